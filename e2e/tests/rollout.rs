//! All speakers are replaced, one after the other, under traffic: nobody notices. Nor when each time
//! their Secret has another key, as `docs/operations.md` says how.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::Lab;
use e2e::config::{Config, NAMESPACE};
use e2e::families::Families;
use e2e::observer::INTERVAL;
use e2e::scene::{self, SETTLED, Scene, ms};
use e2e::scrape::{self, Reader, Target};
use e2e::temp_ns::TempNamespace;
use e2e::visitor::Visitor;
use e2e::wait::{Look, until};
use e2e::{client, many, speakers, web};
use serde_json::{Value, json};

/// Addresses nobody stands behind, and those of web servers.
const BARE: usize = 24;
const SERVED: usize = 6;
const REQUESTS_EVERY: Duration = Duration::from_millis(20);

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_rollout_of_the_speakers_changes_no_mac_and_fails_no_request() -> Result<()> {
    rolled_out("rollout", Families::Default, &[]).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn nor_do_three_with_addresses_of_both_families_that_change_the_key() -> Result<()> {
    let old = secret_now(&Lab::attach()?)?;
    let new = "a key of the test that changes keys";
    let steps = [
        json!({"stringData": {"secretkey-also": new}}),
        json!({"stringData": {"secretkey": new}, "data": {"secretkey-also": old}}),
        json!({"data": {"secretkey-also": null}}),
    ];
    rolled_out("rollout-both", Families::Both, &steps).await
}

/// The kubelets bring the new key within so long.
const KUBELET: Duration = Duration::from_mins(4);
/// How long speakers that have it go on with the former one, and a little more.
const SEALS_AFTER: Duration = Duration::from_secs(130);

#[tokio::test]
#[ignore = "needs a lab: make test-long"]
async fn nor_does_a_key_that_is_changed_in_one_step_and_followed() -> Result<()> {
    Scene::with("key", BARE, async |scene| {
        let (lab, begun) = (scene.lab, scene.now());
        let reader = Reader::allowed(scene.space, "reader").await?;
        let patch = json!({"stringData": {"secretkey": "a key that all follow by themselves"}});
        lab.kubectl(&["-n", NAMESPACE, "patch", "secret", SECRET, "-p", &patch.to_string()])?;
        until(KUBELET, "all speakers to see the new key", async || {
            let selector = "app.kubernetes.io/component=speaker";
            let logs = lab.kubectl(&["-n", NAMESPACE, "logs", "-l", selector, "--tail=-1"])?;
            let seen = logs.lines().filter(|line| line.contains("keyChanged")).count();
            Ok(Look::when((seen == lab.nodes().len()).then_some(()), || seen.to_string()))
        })
        .await?;
        ensure_all_understood(lab, &reader)?;
        scene.look_on(SEALS_AFTER).await?;
        // One that starts now knows the new one alone.
        let lab = lab.clone();
        tokio::task::spawn_blocking(move || speakers::roll_out(&lab)).await??;
        scene.settle().await?;
        ensure_all_understood(scene.lab, &reader)?;
        let trace = scene.since(begun);
        scene.ensure_unmoved(&trace, &BTreeSet::new())
    })
    .await
}

const SECRET: &str = "ferrolb-memberlist";

/// The speakers' key, as the Secret has it: in base64.
fn secret_now(lab: &Lab) -> Result<String> {
    let path = "jsonpath={.data.secretkey}";
    lab.kubectl(&["-n", NAMESPACE, "get", "secret", SECRET, "-o", path])
}

/// Rolls the speakers out once, or once after each of these changes of their Secret.
async fn rolled_out(test: &str, families: Families, secrets: &[Value]) -> Result<()> {
    let lab = Lab::attach()?;
    let pool = families.pool("172.17.255.100-172.17.255.199", "fd17:255::100-fd17:255::1ff");
    let _config = Config::pool(&lab, "rollout", &pool)?;
    TempNamespace::with(&lab, test, async |space| {
        let served = serve(space, families).await?;
        let kube = lab.kube_client().await?;
        let watch = many::watch_assigned(kube.clone(), space.name.clone(), BARE + SERVED, SETTLED);
        let (assigned, made) =
            tokio::join!(watch, many::create(&kube, &space.name, families.times(BARE)));
        made?;
        let addresses = assigned?.addresses().collect();
        let scene = Scene::of(&lab, space, addresses, INTERVAL).await?;
        scene
            .play(async |scene| {
                if secrets.is_empty() {
                    return under_traffic(scene, &served).await;
                }
                let reader = Reader::allowed(space, "reader").await?;
                for secret in secrets {
                    let patch = secret.to_string();
                    lab.kubectl(&["-n", NAMESPACE, "patch", "secret", SECRET, "-p", &patch])?;
                    under_traffic(scene, &served).await.with_context(|| patch)?;
                    ensure_all_understood(&lab, &reader)?;
                }
                Ok(())
            })
            .await
    })
    .await
}

/// Services before web servers; all of them reachable.
async fn serve(space: &TempNamespace, families: Families) -> Result<Vec<IpAddr>> {
    let pods = web::deploy(space, 3).await?;
    let mut served = Vec::new();
    for number in 0..SERVED {
        let name = format!("web-{number}");
        let service = space.balance_with(&name, "{}", &families.lines()).await?;
        served.extend(service.await_count(families.each()).await?);
    }
    for ip in &served {
        client::curl_reaches(&client::page(*ip), &pods).await?;
    }
    Ok(served)
}

async fn under_traffic(scene: &Scene<'_>, served: &[IpAddr]) -> Result<()> {
    let begun = scene.now();
    let visitor = Visitor::start(served.to_vec(), REQUESTS_EVERY)?;
    let lab = scene.lab.clone();
    tokio::task::spawn_blocking(move || speakers::roll_out(&lab)).await??;
    scene.settle().await?;
    let visits = visitor.finish()?;
    let trace = scene.since(begun);
    let changes: usize = scene.addresses.iter().map(|ip| trace.changes(*ip).len()).sum();
    eprintln!(
        "rollout in {:.1?}: longest gap {:.0} ms, {changes} changes of owner; {} requests, \
         {} failed, the slowest {:.0} ms",
        scene.now().saturating_sub(begun),
        ms(scene::longest_gap(&trace)),
        visits.made,
        visits.failed.len(),
        ms(visits.slowest),
    );
    let trace = scene.judged(begun)?;
    scene.ensure_unmoved(&trace, &BTreeSet::new())?;
    scene::ensure_one_answerer(&trace, Duration::ZERO)?;
    scene::ensure_no_two_unanswered(&trace)?;
    ensure!(visits.failed.is_empty(), "{:#?}", visits.failed);
    Ok(())
}

/// No speaker has heard a frame that it had no key for.
fn ensure_all_understood(lab: &Lab, reader: &Reader) -> Result<()> {
    for node in lab.nodes() {
        let text = reader.scrape(&Target::speaker(node))?;
        let of = |outcome| {
            let series = format!("ferrolb_speaker_mesh_frames_total{{outcome=\"{outcome}\"}}");
            scrape::value(&text, &series).with_context(|| format!("{}: no {series}", node.name))
        };
        let (handled, unsealed) = (of("handled")?, of("unsealed")?);
        ensure!(handled > 0.0 && unsealed == 0.0, "{}: {handled}, {unsealed}", node.name);
    }
    Ok(())
}
