//! A node dies: others answer for its addresses within a second, and its return disturbs nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use e2e::fault;
use e2e::scene::{self, Scene, trial};
use e2e::wait::{Look, until};

/// Enough for every node to own some.
const ADDRESSES: usize = 12;

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_node_whose_cable_is_pulled_is_replaced_within_a_second() -> Result<()> {
    let body = async |scene: &Scene<'_>| trial::dies_and_returns(scene, fault::cut).await.map(drop);
    Scene::with("cable", ADDRESSES, body).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_node_behind_a_dead_switch_is_replaced_within_a_second() -> Result<()> {
    let body = async |scene: &Scene<'_>| {
        trial::dies_and_returns(scene, fault::cut_silently).await.map(drop)
    };
    Scene::with("silence", ADDRESSES, body).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_dead_node_is_replaced_also_while_the_api_server_is_stopped() -> Result<()> {
    Scene::with("no-api", ADDRESSES, async |scene| {
        let outage = fault::stop_api_server(scene.lab)?;
        trial::dies_and_returns(scene, fault::cut_silently).await?;
        trial::dies_and_returns(scene, fault::cut).await?;
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
