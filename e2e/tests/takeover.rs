//! ferrolb takes over from MetalLB, and MetalLB from ferrolb, by the commands of `docs/migration.md`:
//! every address is kept, and no two machines answer for one. Needs a cluster without ferrolb, and
//! MetalLB's programs: `e2e/run-tests` gives it a lab of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::Lab;
use e2e::config::{self, NAMESPACE};
use e2e::metallb::{Metallb, await_checks};
use e2e::procedure::{Reader, Variant};
use e2e::scene::{self, SETTLED, Scene, ms};
use e2e::service::{self, Service};
use e2e::speakers;
use e2e::temp_ns::TempNamespace;
use e2e::visitor::Visitor;
use e2e::wait::{Look, SOON, until};
use e2e::{client, observer, web};
use serde_json::{Value, json};

const PAGE: &str = "migration.md";
const TAKING: &str = "Taking over from MetalLB";
const BACK: &str = "Going back to MetalLB";

const SERVICES: usize = 12;
const REQUESTS_EVERY: Duration = Duration::from_millis(20);
/// Two machines that answer for an address do so further apart than this.
const APART: Duration = Duration::from_millis(100);
/// How long nobody may answer, at most. The page says what is to be expected.
const PAUSE: Duration = Duration::from_secs(15);
/// No address moves for the sake of an even spread while the test looks at who answers.
const STILL: &str = "controller.placement.settlingSeconds=3600";

/// Annotations and more lines of the spec of some of the Services; the others have none.
const SPECIAL: [(&str, &str); 5] = [
    ("metallb.io/loadBalancerIPs: 172.17.255.140", ""),
    ("metallb.universe.tf/loadBalancerIPs: 172.17.255.141", "externalTrafficPolicy: Local"),
    ("metallb.io/allow-shared-ip: k, metallb.io/loadBalancerIPs: 172.17.255.142", ""),
    (
        "metallb.universe.tf/allow-shared-ip: k, metallb.io/loadBalancerIPs: 172.17.255.142",
        "ports: [{port: 8080, targetPort: 8000}]",
    ),
    ("metallb.universe.tf/address-pool: kept", ""),
];

/// Objects of all these kinds in MetalLB's namespace are looked at when one program has gone.
const INSIDE: &str = "deployments,daemonsets,serviceaccounts,roles,rolebindings,secrets,configmaps,\
                      services,poddisruptionbudgets,leases,networkpolicies";
const OUTSIDE: &str =
    "clusterroles,clusterrolebindings,validatingwebhookconfigurations,customresourcedefinitions";

#[tokio::test]
#[ignore = "needs a lab without ferrolb: make e2e"]
async fn from_metallb_as_helm_installs_it_and_back() -> Result<()> {
    there_and_back(Variant::Helm).await
}

#[tokio::test]
#[ignore = "needs a lab without ferrolb: make e2e"]
async fn from_metallb_as_its_manifests_install_it_and_back() -> Result<()> {
    there_and_back(Variant::Manifests).await
}

async fn there_and_back(variant: Variant) -> Result<()> {
    let lab = Lab::attach()?;
    let metallb = Metallb::install(&lab, variant, &[STILL])?;
    await_checks(&lab).await?;
    lab.apply(&config::pool("kept", "172.17.255.100-172.17.255.149"))?;
    lab.apply(&config::advertisement("kept", "ipAddressPools: [kept]"))?;
    let charts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts");
    let files: Vec<_> = metallb.files().into_iter().chain([("charts", charts)]).collect();
    let reader = Reader::open(&lab, PAGE, variant, &files)?;
    // With manifests there are no values; this user has one for ferrolb.
    fs::write(reader.file("values.yaml"), "controller: {placement: {settlingSeconds: 3600}}\n")?;
    TempNamespace::with(&lab, "takeover", async |space| {
        let addresses = serve(space).await?;
        let scene = Scene::of(&lab, space, addresses, observer::INTERVAL).await?;
        scene
            .play(async |scene| {
                let story = Story { scene, reader: &reader, variant, kept: Kept::see(scene)? };
                story.give_up().await?;
                story.take_over().await?;
                story.go_back().await
            })
            .await
    })
    .await
}

/// All Services, with pods behind them; their addresses, each once.
async fn serve(space: &TempNamespace) -> Result<Vec<IpAddr>> {
    web::deploy(space, space.lab().nodes().len()).await?;
    let mut addresses = BTreeSet::new();
    for number in 0..SERVICES {
        let (annotations, more) = SPECIAL.get(number).copied().unwrap_or_default();
        let service = format!("web-{number}");
        let service = space.balance_with(&service, &format!("{{{annotations}}}"), more).await?;
        addresses.insert(service.address().await?);
    }
    for ip in &addresses {
        // With the policy `Local` not all pods can be reached.
        until(SOON, &format!("a page at {ip}"), async || {
            client::curl(&client::page(*ip)).map(Look::Seen)
        })
        .await?;
    }
    Ok(addresses.into_iter().collect())
}

/// What must be the same after every step.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    /// What each Service wants, and the addresses it has.
    services: BTreeMap<String, Value>,
    /// Definitions and pools, by their uid.
    uids: BTreeMap<String, String>,
}

impl Kept {
    fn see(scene: &Scene<'_>) -> Result<Self> {
        let all: Value =
            serde_json::from_str(&scene.space.kubectl(&["get", "services", "-o", "json"])?)?;
        let all = all["items"].as_array().context("no list")?;
        let service = |it: &Value| {
            let kept = json!({"spec": it["spec"], "status": it["status"]["loadBalancer"]});
            (it["metadata"]["name"].to_string(), kept)
        };
        let mut uids = BTreeMap::new();
        for kind in ["customresourcedefinitions", "ipaddresspools"] {
            let path = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
            let text = scene.lab.kubectl(&["-n", NAMESPACE, "get", kind, "-o", path])?;
            let lines = text.lines().filter_map(|line| line.split_once(' '));
            let lines = lines.filter(|(name, _)| !name.ends_with(".ferrolb.io"));
            uids.extend(lines.map(|(name, uid)| (name.to_owned(), uid.to_owned())));
        }
        Ok(Self { services: all.iter().map(service).collect(), uids })
    }
}

/// A procedure under way, and all that is watched meanwhile.
struct Story<'a> {
    scene: &'a Scene<'a>,
    reader: &'a Reader<'a>,
    variant: Variant,
    kept: Kept,
}

impl Story<'_> {
    /// Carries out a step, after which everything has to be as before.
    fn step(&self, section: &str, title: &str) -> Result<()> {
        let begun = self.scene.now();
        let said = self.reader.step(section, title)?;
        let took = self.scene.now().saturating_sub(begun);
        eprintln!("{:?}, {section}, {title}: {took:.1?}", self.variant);
        let now = Kept::see(self.scene)?;
        ensure!(now == self.kept, "{title}: was {:?}, now {now:?}\n{said}", self.kept);
        Ok(())
    }

    /// As far as the changeover, and then not: MetalLB answers throughout.
    async fn give_up(&self) -> Result<()> {
        self.reader.begin(TAKING)?;
        let begun = self.scene.now();
        for title in ["1.", "2.", "3.", "4.", "If it does not work"] {
            self.step(TAKING, title)?;
        }
        await_checks(self.scene.lab).await?;
        self.scene.settle().await?;
        let trace = self.scene.since(begun);
        self.scene.ensure_unmoved(&trace, &BTreeSet::new())?;
        scene::ensure_answered(&trace, Duration::from_millis(500))
    }

    async fn take_over(&self) -> Result<()> {
        let whole = async || {
            for title in ["1.", "2.", "3.", "4.", "5."] {
                self.step(TAKING, title)?;
            }
            self.scene.settle().await?;
            for title in ["6.", "7."] {
                self.step(TAKING, title)?;
            }
            Ok(())
        };
        let moved = self.under_traffic("MetalLB to ferrolb", whole).await?;
        ensure!(
            moved == 0,
            "{moved} addresses moved: ferrolb begins where the records say they are"
        );
        for node in self.scene.lab.nodes() {
            speakers::await_state(&self.scene.client, &node.name, "Active").await?;
        }
        self.await_announcers().await?;
        await_checks(self.scene.lab).await?;
        let shared = [
            "configmap/metallb-excludel2",
            "secret/metallb-webhook-cert",
            "service/metallb-webhook-service",
        ];
        self.await_only("ferrolb", &shared, "metallb").await
    }

    async fn go_back(&self) -> Result<()> {
        self.under_traffic("ferrolb to MetalLB", async || {
            for title in ["1.", "2.", "3.", "4.", "5.", "6."] {
                self.step(BACK, title)?;
            }
            self.scene.settle().await
        })
        .await?;
        self.await_announcers().await?;
        await_checks(self.scene.lab).await?;
        until(SOON, "nothing of ferrolb to be left", async || {
            let left = self.inside()?.into_iter().chain(self.outside()?);
            let left: Vec<String> = left.filter(|name| name.contains("ferrolb")).collect();
            Ok(Look::when(left.is_empty().then_some(()), || format!("{left:?}")))
        })
        .await
    }

    /// Carries out the body while clients go on asking, and judges what they saw. Returns how many
    /// addresses moved.
    async fn under_traffic(
        &self,
        what: &str,
        body: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<usize> {
        let scene = self.scene;
        scene.settle().await?;
        let begun = scene.now();
        let visitor = Visitor::remembering(scene.addresses.clone(), REQUESTS_EVERY)?;
        body().await?;
        scene.settle().await?;
        let visits = visitor.finish()?;
        let trace = scene.judged_to(APART, begun)?;
        let pause = scene::longest_gap(&trace);
        let closest = trace.addresses.iter().filter_map(|ip| trace.closest_rivals(*ip)).min();
        let moved = trace.addresses.iter().filter(|ip| !trace.moves(**ip).is_empty()).count();
        eprintln!(
            "{:?}, {what}: nobody answered for {:.0} ms at most; {moved} of {} addresses moved, \
             {}; of {} requests {} failed, the slowest took {:.0} ms",
            self.variant,
            ms(pause),
            trace.addresses.len(),
            closest.map_or_else(
                || "no two machines answered for one".to_owned(),
                |closest| format!("two machines answered {:.0} ms apart at least", ms(closest)),
            ),
            visits.made,
            visits.failed.len(),
            ms(visits.slowest),
        );
        let is_apart = closest.is_none_or(|closest| closest > APART);
        ensure!(is_apart, "two machines answered for an address at once\n{trace}");
        scene::ensure_answered(&trace, PAUSE)?;
        // Who is just being served when an address moves is cut off: once for each that does.
        ensure!(visits.failed.len() <= moved, "{:#?}\n{trace}", visits.failed);
        Ok(moved)
    }

    /// Every Service has one record, which names the node that answers.
    async fn await_announcers(&self) -> Result<()> {
        let owners = self.scene.owners();
        for number in 0..SERVICES {
            let name = format!("web-{number}");
            let service: Service =
                service::Service::find(self.scene.lab, &self.scene.space.name, &name).await?;
            let mac = owners.get(&service.address().await?).context("nobody answers")?;
            let is_owner = |node: &e2e::plan::Node| node.mac.parse().is_ok_and(|own| *mac == own);
            service.announcer_that(is_owner).await?;
        }
        Ok(())
    }

    /// Waits until in MetalLB's namespace only this program's objects are left, and these; and outside
    /// of it nothing called after the other but the definitions and what names the webhook.
    async fn await_only(&self, program: &str, these: &[&str], other: &str) -> Result<()> {
        until(SETTLED, &format!("only {program} to be left"), async || {
            let inside: Vec<_> =
                self.inside()?.into_iter().filter(|name| !name.contains(program)).collect();
            let outside = self.outside()?.into_iter().filter(|name| name.contains(other));
            let outside: Vec<_> = outside
                .filter(|name| !name.contains("definition") && !name.contains("webhook"))
                .collect();
            let is_good = inside == these && outside.is_empty();
            Ok(Look::when(is_good.then_some(()), || format!("{inside:?}, {outside:?}")))
        })
        .await
    }

    /// What is in MetalLB's namespace, without what is in every namespace.
    fn inside(&self) -> Result<Vec<String>> {
        let names = self.scene.lab.kubectl(&["-n", NAMESPACE, "get", INSIDE, "-o", "name"])?;
        let everywhere = ["serviceaccount/default", "configmap/kube-root-ca.crt"];
        let mut names: Vec<String> =
            names.lines().filter(|name| !everywhere.contains(name)).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    fn outside(&self) -> Result<Vec<String>> {
        let names = self.scene.lab.kubectl(&["get", OUTSIDE, "-o", "name"])?;
        Ok(names.lines().map(str::to_owned).collect())
    }
}
