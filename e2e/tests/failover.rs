//! A node dies: others answer for its addresses within a second, and its return disturbs nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::fault::{self, Fault};
use e2e::plan::Node;
use e2e::scene::{self, Scene, ms};
use e2e::wait::{Look, until};

/// Enough for every node to own some.
const ADDRESSES: usize = 12;
const FAILOVER: Duration = Duration::from_secs(1);
const AFTER_RETURN: Duration = Duration::from_secs(5);

/// The busiest node is cut off, and comes back.
async fn dies_and_returns(scene: &Scene<'_>, cut: fn(&Node) -> Result<Fault>) -> Result<()> {
    let dead = scene.busiest()?;
    let (failover, fault) = scene.fail_over(&dead, cut).await?;
    let (name, count) = (&dead.node.name, dead.owned.len());
    eprintln!("{name} cut off: {count} addresses, the slowest {:.0} ms", ms(failover.slowest()));
    ensure!(failover.slowest() <= FAILOVER, "{:?}", failover.after);
    scene.settle().await?;

    let returned = scene.now();
    fault.heal()?;
    scene.look_on(AFTER_RETURN).await?;
    let trace = scene.judged(returned)?;
    scene::ensure_one_answerer(&trace, Duration::ZERO)?;
    scene.ensure_unmoved(&trace, &BTreeSet::new())?;
    scene.ensure_unmoved(&scene.since(failover.at), &dead.owned)
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_node_whose_cable_is_pulled_is_replaced_within_a_second() -> Result<()> {
    let body = async |scene: &Scene<'_>| dies_and_returns(scene, fault::cut).await;
    Scene::with("cable", ADDRESSES, body).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_node_behind_a_dead_switch_is_replaced_within_a_second() -> Result<()> {
    let body = async |scene: &Scene<'_>| dies_and_returns(scene, fault::cut_silently).await;
    Scene::with("silence", ADDRESSES, body).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_dead_node_is_replaced_also_while_the_api_server_is_stopped() -> Result<()> {
    Scene::with("no-api", ADDRESSES, async |scene| {
        let outage = fault::stop_api_server(scene.lab)?;
        dies_and_returns(scene, fault::cut_silently).await?;
        dies_and_returns(scene, fault::cut).await?;
        outage.heal()?;
        until(scene::SETTLED, "the API server to be back", async || {
            scene.lab.kubectl(&["get", "nodes"]).map(Look::Seen)
        })
        .await
        .map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn while_the_api_server_is_stopped_nothing_moves() -> Result<()> {
    Scene::with("api-outage", ADDRESSES, async |scene| {
        let stopped = scene.now();
        let outage = fault::stop_api_server(scene.lab)?;
        scene.look_on(Duration::from_secs(15)).await?;
        outage.heal()?;
        scene.look_on(Duration::from_secs(10)).await?;
        let trace = scene.judged(stopped)?;
        // When it is back, everything on the machine speaks to it at once.
        scene::ensure_answered(&trace, Duration::from_millis(200))?;
        scene.ensure_unmoved(&trace, &BTreeSet::new())
    })
    .await
}
