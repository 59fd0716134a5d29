//! Two controllers, one of which works: what happens when that one dies while it is needed most.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::Lab;
use e2e::config::Config;
use e2e::process::Process;
use e2e::temp_ns::TempNamespace;
use e2e::{many, usage};

const SERVICES: usize = 200;
const NAMESPACE: &str = "metallb-system";

/// The process of the controller that holds the lease: its environment names its pod, and the
/// holder's identity begins with that. The pod's other container only serves the webhook.
fn leader(lab: &Lab) -> Result<Process> {
    let path = "jsonpath={.spec.holderIdentity}";
    let holder =
        lab.kubectl(&["-n", NAMESPACE, "get", "lease", "ferrolb-controller", "-o", path])?;
    let is_holder = |process: &Process| {
        let environment = std::fs::read(format!("/proc/{}/environ", process.pid));
        let environment = environment.unwrap_or_default();
        let pod = environment
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(b"METALLB_POD_NAME="));
        let is_in_pod =
            pod.is_some_and(|pod| !pod.is_empty() && holder.as_bytes().starts_with(pod));
        is_in_pod && !process.arguments().contains("onlywebhook")
    };
    let found = usage::programs("controller").into_iter().find(is_holder);
    found.with_context(|| format!("the holder {holder} has no process"))
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_leader_killed_amid_two_hundred_creations_loses_nothing_and_gives_nothing_twice()
-> Result<()> {
    let lab = Lab::attach()?;
    let _config = Config::pool(&lab, "succession", "172.17.252.0/24")?;
    TempNamespace::with(&lab, "succession", async |space| {
        let client = lab.kube_client().await?;
        let deadline = Duration::from_mins(1);
        let watch = tokio::spawn(many::watch_assigned(client.clone(), space.name.clone(), SERVICES, deadline));
        let killed = async {
            // In the middle: some have addresses, and some are yet to come.
            e2e::wait::until(deadline, "a third of the addresses", async || {
                let found = many::addresses(&client, &space.name).await?.len();
                Ok(e2e::wait::Look::when((found >= SERVICES / 3).then_some(()), || format!("{found}")))
            })
            .await?;
            leader(&lab)?.signal(libc::SIGKILL)
        };
        let (made, killed) = tokio::join!(many::create(&client, &space.name, SERVICES), killed);
        let last_made = made?;
        killed?;
        let assigned = watch.await??;
        let waited = assigned.last().context("none")?.saturating_duration_since(last_made);
        eprintln!("leader killed amid {SERVICES} creations: the last address {:.1} s after the last creation", waited.as_secs_f64());
        ensure!(assigned.given_twice().is_empty(), "given twice: {:?}", assigned.given_twice());
        ensure!(assigned.changed.is_empty(), "changed: {:?}", assigned.changed);
        let now = many::addresses(&client, &space.name).await?;
        ensure!(now.len() == SERVICES, "{} of {SERVICES} have addresses", now.len());
        for (name, ips) in &now {
            let first = assigned.first.get(name).map(|(ips, _)| ips);
            ensure!(first == Some(ips), "{name} has {ips:?} now");
        }
        many::delete(&client, &space.name).await
    })
    .await
}
