//! Addresses are spread evenly over equal nodes, and moved no more than that takes.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::chart::Settings;
use e2e::cluster::Lab;
use e2e::fault;
use e2e::scene::{self, SETTLED, Scene};
use e2e::speakers;
use e2e::wait::{Look, until};

const ADDRESSES: usize = 30;

/// How often a node comes and goes, and how long everything takes.
#[derive(Debug, Clone, Copy)]
struct Course {
    times: u64,
    /// How long the controller waits before it plans moves: long enough for a test to see that nothing
    /// moves in that time.
    settling: Duration,
    /// How long the node that comes and goes stays: less than that.
    back_for: Duration,
}

/// The plan may come right at the end of its time.
const BEFORE_THE_PLAN: Duration = Duration::from_secs(3);
/// How long the node is away.
const AWAY_FOR: Duration = Duration::from_secs(3);

const SHORT: Course =
    Course { times: 3, settling: Duration::from_secs(8), back_for: Duration::from_secs(4) };
const LONG: Course =
    Course { times: 5, settling: Duration::from_secs(15), back_for: Duration::from_secs(8) };

/// Waits until the busiest node has one address more than the idlest at most.
async fn even(scene: &Scene<'_>, settling: Duration) -> Result<()> {
    until(settling * 2 + SETTLED, "an even spread", async || {
        let spread = scene.spread()?;
        let shares = || {
            let holders = scene.holders().unwrap_or_default();
            let share = |it: &scene::Holder| format!("{} {}", it.node.name, it.owned.len());
            holders.iter().map(share).collect::<Vec<_>>().join(", ")
        };
        Ok(Look::when((spread <= 1).then_some(()), shares))
    })
    .await?;
    scene.settle().await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_node_that_comes_and_goes_loses_each_address_once_and_waits_for_the_plan() -> Result<()> {
    flap(SHORT).await
}

#[tokio::test]
#[ignore = "needs a lab: make test-long"]
async fn a_node_that_goes_on_coming_and_going_loses_each_address_once() -> Result<()> {
    flap(LONG).await
}

async fn flap(course: Course) -> Result<()> {
    let Course { times, settling, back_for } = course;
    let setting = format!("controller.placement.settlingSeconds={}", settling.as_secs());
    let _settings = Settings::with(&Lab::attach()?, &[&setting])?;
    Scene::with("spread", ADDRESSES, async |scene| {
        even(scene, settling).await?;
        let flapping = scene.busiest()?;
        let begun = scene.now();
        let mut returned = begun;
        for _ in 0..times {
            let fault = fault::cut(&flapping.node)?;
            scene.look_on(AWAY_FOR).await?;
            returned = scene.now();
            fault.heal()?;
            scene.look_on(back_for).await?;
        }
        let trace = scene.since(begun);
        for &ip in &scene.addresses {
            let changes = trace.changes(ip);
            let expected = usize::from(flapping.owned.contains(&ip));
            ensure!(changes.len() == expected, "{ip} moved: {changes:?}");
        }

        scene.look_on(settling.saturating_sub(BEFORE_THE_PLAN + back_for)).await?;
        let status = speakers::status(&scene.client, &flapping.node.name).await?;
        ensure!(status["returns"].as_u64() >= Some(times), "{status}");
        let trace = scene.since(returned);
        scene.ensure_unmoved(&trace, &BTreeSet::new())?;
        even(scene, settling).await?;
        let trace = scene.judged(returned)?;
        scene::ensure_no_two_unanswered(&trace)?;
        // A third for the node that came back, and nothing else.
        let moves: usize = scene.addresses.iter().map(|ip| trace.moves(*ip).len()).sum();
        eprintln!("the plan moved {moves} addresses");
        ensure!(moves <= ADDRESSES / 3, "{moves} moves");
        Ok(())
    })
    .await
}
