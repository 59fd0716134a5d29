//! What is checked before the API server takes it, and that the checks are there: while certificates
//! change, while controllers come and go.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use e2e::checks::{CONFIGURATION, Trials, Tried, Unchecked};
use e2e::cluster::Lab;
use e2e::config::{self, Config, NAMESPACE};
use e2e::temp_ns::TempNamespace;
use e2e::usage;
use e2e::wait::{Look, SOON, until};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::json;

const SECRET: &str = "metallb-webhook-cert";
const CONTROLLERS: &str = "app.kubernetes.io/component=controller";
const DEPLOYMENT: &str = "deployment/ferrolb-controller";
const EVERY: Duration = Duration::from_millis(50);

/// How long objects are tried after a death: longer than it takes until the container runs again.
const AFTERWARDS: Duration = Duration::from_secs(12);

/// Longer than any change of certificates takes: a new authority is trusted for ten seconds first.
const CHANGED: Duration = Duration::from_mins(1);

fn kubectl(lab: &Lab, args: &[&str]) -> Result<String> {
    lab.kubectl(&[&["-n", NAMESPACE], args].concat())
}

/// What the API server says to these objects, which it must not take.
fn refusal(lab: &Lab, yaml: &str) -> Result<String> {
    let refused = Config::apply(lab, yaml).err().context("taken")?;
    Ok(format!("{refused:#}"))
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn bad_objects_are_denied_with_object_field_and_cause() -> Result<()> {
    let lab = Lab::attach()?;
    let _good = Config::pool(&lab, "good", "172.17.255.1-172.17.255.9")?;
    let rows = [
        (
            "ipaddresspool",
            config::pool("bad", "172.17.255.99-172.17.255.90"),
            "IPAddressPool \"bad\": spec.addresses[0]: invalid CIDR \
             \"172.17.255.99-172.17.255.90\" in pool \"bad\": invalid IP range \
             \"172.17.255.99-172.17.255.90\": start IP \"172.17.255.99\" is after the end IP \
             \"172.17.255.90\"",
        ),
        (
            "ipaddresspool",
            config::pool("bad", "172.17.255.5-172.17.255.20"),
            "IPAddressPool \"bad\": spec.addresses[0]: CIDR \"172.17.255.5-172.17.255.20\" in \
             pool \"bad\" overlaps with already defined CIDR \"172.17.255.1-172.17.255.9\" of \
             pool \"good\"",
        ),
        (
            "l2advertisement",
            config::advertisement("bad", "ipAddressPools: [good, good]"),
            "L2Advertisement \"bad\": spec.ipAddressPools[1]: duplicate definition of \
             ipAddressPools \"good\"",
        ),
    ];
    for (kind, yaml, why) in rows {
        let text = refusal(&lab, &yaml)?;
        let denied = format!(
            "admission webhook \"{kind}validationwebhook.metallb.io\" denied the request: {why}"
        );
        ensure!(text.contains(&denied), "{kind}: {text}");
    }
    TempNamespace::with(&lab, "elsewhere", async |space| {
        let here = config::pool("elsewhere", "172.17.255.90/32");
        let there = here.replace(NAMESPACE, &space.name);
        let text = refusal(&lab, &there)?;
        let why = format!("resource must be created in {NAMESPACE} namespace");
        ensure!(text.contains(&why), "{text}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_broken_object_holds_up_no_other_and_can_lose_its_finalizer() -> Result<()> {
    let lab = Lab::attach()?;
    let unchecked = Unchecked::begin(&lab)?;
    let _broken = Config::apply(&lab, &config::pool("broken", "172.17.255.0/33"))?;
    unchecked.end()?;
    let _good = Config::pool(&lab, "good", "172.17.255.1-172.17.255.9")?;

    let object = "ipaddresspool/broken";
    let patch = |patch: &str| kubectl(&lab, &["patch", object, "--type=merge", "-p", patch]);
    patch(r#"{"metadata": {"finalizers": ["ferrolb.io/test"], "labels": {"a": "b"}}}"#)?;
    ensure!(patch(r#"{"spec": {"autoAssign": false}}"#).is_err(), "still broken, and taken");
    kubectl(&lab, &["delete", object, "--wait=false"])?;
    patch(r#"{"metadata": {"finalizers": null}}"#)?;
    kubectl(&lab, &["wait", "--for=delete", object, "--timeout=20s"])?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_advertisement_for_a_pool_that_is_not_there_is_taken_with_a_warning() -> Result<()> {
    let lab = Lab::attach()?;
    let mut command = lab.command("sh");
    // Warnings are for people: kubectl prints them with its errors.
    command.args(["-c", "kubectl create --dry-run=server -f - 2>&1"]);
    let advertisement = config::advertisement("early", "ipAddressPools: [not-yet]");
    let said = e2e::namespace::feed(&mut command, &advertisement)?;
    ensure!(said.contains("Warning: there is no IPAddressPool \"not-yet\" (yet)"), "{said}");
    Ok(())
}

/// How often each container has begun to serve a certificate, by its log.
fn served(lab: &Lab) -> Result<BTreeMap<String, usize>> {
    let mut served = BTreeMap::new();
    let containers = ["--all-containers", "--prefix", "--tail=-1"];
    let logs = kubectl(lab, &[&["logs", "-l", CONTROLLERS], &containers[..]].concat())?;
    for line in logs.lines() {
        let container = line.split(']').next().unwrap_or_default().to_owned();
        let count = served.entry(container).or_default();
        *count += usize::from(line.contains("webhook certificate served"));
    }
    Ok(served)
}

/// Waits until every container serves another certificate than before, and then until some more
/// objects have been tried.
async fn all_changed(
    lab: &Lab,
    before: &BTreeMap<String, usize>,
    trials: &Trials,
) -> Result<Duration> {
    let begun = trials.elapsed();
    until(CHANGED, "every container to serve another certificate", async || {
        let now = served(lab)?;
        // Pods of before the last change of the chart's settings may just be ending.
        let is_new =
            |(one, count): (&String, &usize)| *count > before.get(one).copied().unwrap_or(0);
        let changed = now.len() == 2 * CONTAINERS.len() && now.iter().all(is_new);
        Ok(Look::when(changed.then_some(()), || format!("before {before:?}, now {now:?}")))
    })
    .await?;
    let took = trials.elapsed().saturating_sub(begun);
    more(trials).await?;
    Ok(took)
}

/// Waits until some more objects have been tried.
async fn more(trials: &Trials) -> Result<()> {
    let enough = trials.made() + 40;
    until(SOON, "more objects to be tried", async || {
        let made = trials.made();
        Ok(Look::when((made >= enough).then_some(()), || format!("{made} of {enough}")))
    })
    .await
}

fn ensure_none_failed(what: &str, tried: &Tried) -> Result<()> {
    eprintln!("{what}: {} objects tried, {} failed", tried.made, tried.failed.len());
    ensure!(tried.failed.is_empty(), "{what}: {:#?}", tried.failed);
    ensure!(tried.made > 40, "{what}: only {} tried", tried.made);
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_deleted_secret_is_made_anew_and_no_admission_fails() -> Result<()> {
    let lab = Lab::attach()?;
    let before = served(&lab)?;
    let trials = Trials::start(lab.kube_client().await?, EVERY);
    kubectl(&lab, &["delete", "secret", SECRET])?;
    let took = all_changed(&lab, &before, &trials).await?;
    eprintln!("another authority in use everywhere after {:.1} s", took.as_secs_f64());
    ensure_none_failed("Secret deleted", &trials.finish().await?)
}

/// An authority that ends in a day, and a certificate of it for the webhook, as the Secret's texts.
fn about_to_expire() -> Result<serde_json::Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let day = Duration::from_hours(24);
    let epoch = date_time_ymd(1970, 1, 1);
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (authority.not_before, authority.not_after) =
        (epoch + now.saturating_sub(day), epoch + now + day);
    let ca = authority.self_signed(&authority_key)?.pem();
    let ca_key = authority_key.serialize_pem();
    let name = format!("metallb-webhook-service.{NAMESPACE}.svc");
    let mut params = CertificateParams::new(vec![name])?;
    (params.not_before, params.not_after) = (authority.not_before, authority.not_after);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &Issuer::new(authority, authority_key))?.pem();
    Ok(json!({
        "ca.crt": ca, "ca.key": ca_key, "tls.crt": certificate, "tls.key": key.serialize_pem(),
    }))
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_authority_that_is_about_to_expire_is_replaced_and_no_admission_fails() -> Result<()> {
    let lab = Lab::attach()?;
    let before = served(&lab)?;
    let trials = Trials::start(lab.kube_client().await?, EVERY);
    let patch = json!({"stringData": about_to_expire()?}).to_string();
    let expiring = kubectl(
        &lab,
        &["patch", "secret", SECRET, "--type=merge", "-p", &patch, "-o", "jsonpath={.data}"],
    )?;
    all_changed(&lab, &before, &trials).await?;
    let now = kubectl(&lab, &["get", "secret", SECRET, "-o", "jsonpath={.data}"])?;
    ensure!(now != expiring, "the Secret was left as it was");
    ensure_none_failed("authority about to expire", &trials.finish().await?)
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn trust_that_somebody_takes_away_comes_back() -> Result<()> {
    let lab = Lab::attach()?;
    let field = "jsonpath={.webhooks[*].clientConfig.caBundle}";
    let kind = "validatingwebhookconfiguration";
    let bundles = || lab.kubectl(&["get", kind, CONFIGURATION, "-o", field]);
    let before = bundles()?;
    let patch = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
    lab.kubectl(&["patch", kind, CONFIGURATION, "--type=json", "-p", patch])?;
    until(SOON, "the authority in all webhooks", async || {
        let now = bundles()?;
        Ok(Look::when((now == before).then_some(()), || now))
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn controllers_that_are_deleted_or_replaced_fail_no_admission() -> Result<()> {
    let lab = Lab::attach()?;
    let trials = Trials::start(lab.kube_client().await?, EVERY);
    let one = kubectl(&lab, &["get", "pods", "-l", CONTROLLERS, "-o", "name"])?;
    let one = one.lines().next().context("no controller")?.to_owned();
    let all = lab.clone();
    tokio::task::spawn_blocking(move || -> Result<()> {
        let rolled_out = || kubectl(&all, &["rollout", "status", DEPLOYMENT, "--timeout=90s"]);
        kubectl(&all, &["delete", &one])?;
        rolled_out()?;
        kubectl(&all, &["rollout", "restart", DEPLOYMENT])?;
        rolled_out()?;
        Ok(())
    })
    .await??;
    more(&trials).await?;
    ensure_none_failed("controllers deleted and replaced", &trials.finish().await?)
}

/// Each controller has a container that also serves the webhook, and one that does nothing else.
const CONTAINERS: [(&str, &str); 2] =
    [("controller", "--webhook-mode=enabled"), ("webhook", "--webhook-mode=onlywebhook")];

/// Kills one process that was started with `argument`, and tries on for [`AFTERWARDS`]. It happens
/// between two objects: what a process is answering at that very moment dies with it.
async fn killed(lab: &Lab, argument: &str) -> Result<Tried> {
    // Others may still end, after a test before this one.
    let all = until(SOON, "two controllers of two processes", async || {
        let now = usage::programs("controller");
        let are_all = (now.len() == 2 * CONTAINERS.len()).then(|| now.clone());
        Ok(Look::when(are_all, || format!("{now:?}")))
    });
    let mut all = all.await?.into_iter();
    kubectl(lab, &["rollout", "status", DEPLOYMENT, "--timeout=90s"])?;
    let one = all.find(|process| process.arguments().contains(argument));
    let one = one.with_context(|| format!("no process with {argument}"))?;
    let trials = Trials::start(lab.kube_client().await?, EVERY);
    more(&trials).await?;
    trials.one_more().await?;
    let killed = trials.elapsed();
    one.signal(libc::SIGKILL)?;
    until(AFTERWARDS * 2, "some time after", async || {
        let past = trials.elapsed() > killed + AFTERWARDS;
        Ok(Look::when(past.then_some(()), || format!("{:?}", trials.elapsed())))
    })
    .await?;
    ensure!(!one.is_alive(), "process {one} survives SIGKILL");
    trials.finish().await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_container_that_is_killed_fails_no_admission() -> Result<()> {
    let lab = Lab::attach()?;
    for (container, argument) in CONTAINERS {
        let tried = killed(&lab, argument).await?;
        ensure_none_failed(&format!("container {container} killed"), &tried)?;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_controller_that_is_deleted_by_force_fails_no_admission() -> Result<()> {
    let lab = Lab::attach()?;
    kubectl(&lab, &["rollout", "status", DEPLOYMENT, "--timeout=90s"])?;
    let one = kubectl(&lab, &["get", "pods", "-l", CONTROLLERS, "-o", "name"])?;
    let one = one.lines().next().context("no controller")?;
    let trials = Trials::start(lab.kube_client().await?, EVERY);
    more(&trials).await?;
    kubectl(&lab, &["delete", one, "--force", "--grace-period=0"])?;
    kubectl(&lab, &["rollout", "status", DEPLOYMENT, "--timeout=90s"])?;
    more(&trials).await?;
    ensure_none_failed("controller deleted by force", &trials.finish().await?)
}
