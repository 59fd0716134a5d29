//! A node is taken out of service on purpose: the next owner answers before the old one stops.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::config::{self, Config};
use e2e::label::{DRAIN, EXCLUDE, Label};
use e2e::observer::INTERVAL;
use e2e::plugin;
use e2e::scene::{self, SETTLED, Scene, trial};
use e2e::speakers;

const ADDRESSES: usize = 12;

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_excluded_node_hands_over_and_gets_nothing_back_at_once() -> Result<()> {
    let body = async |scene: &Scene<'_>| trial::drained(scene, EXCLUDE, "Excluded").await.map(drop);
    Scene::with("excluded", ADDRESSES, body).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_node_marked_for_draining_hands_over_and_says_so() -> Result<()> {
    let body = async |scene: &Scene<'_>| trial::drained(scene, DRAIN, "Drained").await.map(drop);
    Scene::with("drained", ADDRESSES, body).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn the_command_follows_a_node_until_it_is_drained_and_takes_the_mark_off() -> Result<()> {
    Scene::with("commanded", ADDRESSES, async |scene| {
        let old = scene.busiest()?;
        let node = old.node.name.as_str();
        let marked = scene.now();
        let mark = Label::of_another(scene.lab, &old.node, DRAIN);
        let told = plugin::run(scene.lab, &["drain", node])?;
        let last = told.lines().last().unwrap_or_default();
        ensure!(last.starts_with(&format!("{node} is drained")), "{told}");
        speakers::await_state(&scene.client, node, "Drained").await?;
        trial::left(scene, &old).await?;
        let trace = scene.judged(marked)?;
        trial::ensure_handed_over(&trace, &old)?;

        let told = plugin::run(scene.lab, &["undrain", node])?;
        let last = told.lines().last().unwrap_or_default();
        ensure!(last.starts_with(&format!("{node} takes addresses again")), "{told}");
        speakers::await_state(&scene.client, node, "Active").await?;
        let Err(error) = plugin::run(scene.lab, &["drain", "n99"]) else {
            anyhow::bail!("a node that is not there was drained")
        };
        ensure!(format!("{error:#}").contains("the cluster has no node \"n99\""), "{error:#}");
        mark.remove()
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_draining_node_without_a_successor_goes_on_answering_and_says_that_it_waits() -> Result<()>
{
    let lab = e2e::cluster::Lab::attach()?;
    let only = "nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n2}}]";
    let pool = config::pool("last", "172.17.255.200-172.17.255.209");
    let _config = Config::apply(&lab, &(pool + &config::advertisement("last", only)))?;
    Scene::within(&lab, "last", 3, INTERVAL, async |scene| {
        let n2 = scene.busiest()?;
        ensure!(n2.node.name == "n2", "{} answers", n2.node.name);
        let marked = scene.now();
        let _mark = Label::annotate(scene.lab, &n2.node, DRAIN, "true")?;
        let waiting = |status: &serde_json::Value| {
            let waiting = status["waiting"].as_array().map_or(0, Vec::len);
            status["state"] == "Draining" && waiting == n2.owned.len()
        };
        let (client, what) = (&scene.client, "addresses that wait");
        speakers::await_status(client, "n2", what, SETTLED, waiting).await?;
        let trace = scene.judged(marked)?;
        scene::ensure_no_two_unanswered(&trace)?;
        scene.ensure_unmoved(&trace, &BTreeSet::new())
    })
    .await
}
