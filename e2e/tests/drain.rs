//! A node is taken out of service on purpose: the next owner answers before the old one stops.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::config::{self, Config};
use e2e::label::{DRAIN, EXCLUDE, Label};
use e2e::observer::INTERVAL;
use e2e::observer::arp::Kind;
use e2e::plugin;
use e2e::scene::{self, Holder, QUIET, SETTLED, Scene};
use e2e::speakers;
use e2e::trace::Trace;
use e2e::wait::{Look, until};

const ADDRESSES: usize = 12;
const OVERLAP: Duration = Duration::from_millis(100);

/// Waits until somebody else answers for all that this node had.
async fn left(scene: &Scene<'_>, old: &Holder) -> Result<()> {
    until(SETTLED, "others to answer for all addresses", async || {
        let now = scene.holders()?.into_iter().find(|it| it.mac == old.mac);
        let still = now.map_or(0, |it| it.owned.len());
        Ok(Look::when((still == 0).then_some(()), || format!("{still} are still there")))
    })
    .await?;
    scene.settle().await
}

/// Every address that moved did so without a moment's silence: answered by at least one all the
/// time, by two for a moment at most, announced by the new owner before the old one stopped.
fn ensure_handed_over(trace: &Trace, old: &Holder) -> Result<()> {
    scene::ensure_no_two_unanswered(trace)?;
    scene::ensure_one_answerer(trace, OVERLAP)?;
    for &ip in &old.owned {
        let moves = trace.moves(ip).len();
        ensure!(moves == 1, "{ip} changed owners {moves} times");
        let last = trace.answers_for(ip).filter(|it| it.mac == old.mac).last();
        let last = last.map_or(trace.end, |answer| answer.at);
        let told = trace.announcements_of(ip).find(|it| {
            let gratuitous = matches!(it.kind, Kind::GratuitousRequest | Kind::GratuitousReply);
            gratuitous && it.mac != old.mac
        });
        // That the old owner has stopped shows when the new one answers an ask that it does not.
        let next = trace.asks.iter().copied().find(|ask| *ask > last).unwrap_or(trace.end);
        let alone = trace.answers_for(ip).find(|it| it.at > next);
        let alone = alone.map_or(trace.end, |answer| answer.at);
        let in_time = told.is_some_and(|it| it.at <= alone);
        ensure!(
            in_time,
            "{ip}: announced {told:?}, last answer of the old owner {last:?}, \
             first answer without it {alone:?}"
        );
    }
    Ok(())
}

/// The node with most addresses is marked; later the mark goes.
async fn drained(scene: &Scene<'_>, key: &str, state: &str) -> Result<()> {
    let old = scene.busiest()?;
    let marked = scene.now();
    let mark = Label::put(scene.lab, &old.node, key, "true")?;
    left(scene, &old).await?;
    let trace = scene.judged(marked)?;
    ensure_handed_over(&trace, &old)?;
    scene.ensure_unmoved(&trace, &old.owned)?;
    speakers::await_state(&scene.client, &old.node.name, state).await?;

    let unmarked = scene.now();
    mark.remove()?;
    speakers::await_state(&scene.client, &old.node.name, "Active").await?;
    scene.look_on(QUIET * 3).await?;
    let trace = scene.judged(unmarked)?;
    scene::ensure_no_two_unanswered(&trace)?;
    scene.ensure_unmoved(&trace, &BTreeSet::new())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_excluded_node_hands_over_and_gets_nothing_back_at_once() -> Result<()> {
    let body = async |scene: &Scene<'_>| drained(scene, EXCLUDE, "Excluded").await;
    Scene::with("excluded", ADDRESSES, body).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_node_marked_for_draining_hands_over_and_says_so() -> Result<()> {
    let body = async |scene: &Scene<'_>| drained(scene, DRAIN, "Drained").await;
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
        left(scene, &old).await?;
        let trace = scene.judged(marked)?;
        ensure_handed_over(&trace, &old)?;

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
