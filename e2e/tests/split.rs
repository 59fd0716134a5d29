//! Speakers cannot reach one another, though clients reach them: no address is answered by two. Each
//! Service has addresses of both families.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::families::Families;
use e2e::fault;
use e2e::observer::{INTERVAL, Observer};
use e2e::scene::{self, QUIET, SETTLED, Scene};
use e2e::trace::Trace;
use e2e::wait::{Look, until};

/// Each has two addresses, one of each family.
const SERVICES: usize = 6;
const ADDRESSES: usize = 2 * SERVICES;
/// Long enough for everything that anybody waits for; `make bench-failover` cuts for a minute.
const CUT: Duration = Duration::from_secs(20);

/// Every address is answered, and by one.
fn ensure_one_each(trace: &Trace) -> Result<()> {
    trace.steady_since(Duration::ZERO).map_err(anyhow::Error::msg)
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn without_a_mesh_every_address_keeps_its_one_owner() -> Result<()> {
    Scene::with("no-mesh", Families::Both.times(SERVICES), async |scene| {
        let begun = scene.now();
        let fault = fault::cut_mesh_everywhere(scene.lab)?;
        scene.look_on(CUT).await?;
        fault.heal()?;
        scene.look_on(Duration::from_secs(5)).await?;
        let trace = scene.judged(begun)?;
        scene.ensure_unmoved(&trace, &BTreeSet::new())?;
        scene::ensure_one_answerer(&trace, Duration::ZERO)?;
        ensure_one_each(&trace)
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_switch_that_isolates_the_nodes_leaves_one_owner_each() -> Result<()> {
    Scene::with("isolated", Families::Both.times(SERVICES), async |scene| {
        let fault = fault::isolate_ports(scene.lab)?;
        scene.look_on(CUT).await?;
        let now = scene.now();
        ensure_one_each(&scene.since(now.saturating_sub(QUIET))).context("isolated")?;
        fault.heal()?;
        scene.look_on(Duration::from_secs(5)).await?;
        let now = scene.now();
        ensure_one_each(&scene.since(now.saturating_sub(QUIET))).context("healed")
    })
    .await
}

/// The addresses that one of these trails has an answer for in its last two seconds.
fn answered(observer: &Observer) -> BTreeSet<IpAddr> {
    let since = observer.now().saturating_sub(QUIET);
    observer.peek(|trace| trace.since(since)).answers.iter().map(|answer| answer.ip).collect()
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn both_halves_of_a_cut_wire_serve_their_clients_and_agree_a_second_after_it_heals()
-> Result<()> {
    Scene::with("halves", Families::Both.times(SERVICES), async |scene| {
        let (stranger, _there) = fault::bystander()?;
        let beyond = Observer::watch_from(scene.lab, &stranger, &scene.addresses, INTERVAL)?;
        // n1 and a client of its own on one side, all the rest on the other.
        let n1 = &scene.lab.node("n1")?.machine;
        let cut = scene.now();
        let fault = fault::halves([n1, &stranger])?;
        until(SETTLED, "all addresses to be answered on both sides", async || {
            let (here, there) = (answered(&scene.observer), answered(&beyond));
            let all = here.len() == ADDRESSES && there.len() == ADDRESSES;
            let state = || format!("{} here, {} there", here.len(), there.len());
            Ok(Look::when((all && scene.now() > cut + QUIET * 2).then_some(()), state))
        })
        .await?;
        let healed = scene.now();
        fault.heal()?;
        scene.look_on(Duration::from_secs(5)).await?;
        let trace = scene.judged(healed)?;
        scene::ensure_one_answerer(&trace, Duration::from_secs(1))?;
        let after = trace.since(healed + Duration::from_secs(1));
        scene::ensure_one_answerer(&after, Duration::ZERO)?;
        ensure_one_each(&after)?;
        let mut other = beyond.finish()?;
        // Two clocks: the one began when the other did, to a moment.
        other = other.since(other.end.saturating_sub(QUIET));
        for ip in &scene.addresses {
            let (here, there) = (after.answerers(*ip), other.answerers(*ip));
            ensure!(here.keys().eq(there.keys()), "{ip}: {here:?} here, {there:?} there");
        }
        Ok(())
    })
    .await
}
