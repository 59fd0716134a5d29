//! One run of each fault. Each begins and ends with one steady answerer for each address, and says
//! whether the observer kept up: else nothing is entered.

use std::time::Duration;

use anyhow::Result;

use super::Table;
use crate::fault::{self, Fault};
use crate::label::Label;
use crate::plan::Node;
use crate::scene::{self, Holder, SETTLED, Scene, ms};
use crate::speakers;
use crate::trace::Trace;
use crate::wait::{Look, until};

/// How long a node stays away after it was replaced.
const AWAY: Duration = Duration::from_millis(500);
const HUNG: Duration = Duration::from_secs(10);

/// The longest time in which two answered for one address.
fn two_answered(trace: &Trace) -> Duration {
    let rivalries = trace.addresses.iter().flat_map(|ip| trace.rivalries(*ip));
    let lengths =
        rivalries.filter(|it| it.sure > 0).map(|it| it.to.saturating_sub(it.from) + trace.interval);
    lengths.max().unwrap_or_default()
}

fn changes(trace: &Trace) -> usize {
    trace.addresses.iter().map(|ip| trace.changes(*ip).len()).sum()
}

/// A node is cut off, replaced, and comes back.
pub(super) async fn cut(
    scene: &Scene<'_>,
    title: &str,
    cut: fn(&Node) -> Result<Fault>,
    table: &mut Table,
) -> Result<bool> {
    let dead = busiest(scene)?;
    scene.observer.forget();
    let (failover, fault) = scene.fail_over(&dead, cut).await?;
    scene.look_on(AWAY).await?;
    let returned = scene.now();
    fault.heal()?;
    scene.settle().await?;
    let good = scene::kept_up(&scene.since(failover.at));
    if good {
        let after = scene.since(returned);
        let two = ms(two_answered(&after));
        table.add(title, ms(failover.slowest()), two, changes(&after));
    }
    Ok(good)
}

/// The busiest of those that may be cut off: where there are nodes without a kubelet, one of them,
/// since the controller runs on the others.
fn busiest(scene: &Scene<'_>) -> Result<Holder> {
    let bare = scene.lab.nodes().iter().any(|node| node.bare);
    scene.busiest_where(|node| node.bare || !bare)
}

/// All speakers are replaced; then each is killed; then each is killed again, and has to wait for
/// the kubelet.
pub(super) async fn agents(scene: &Scene<'_>, table: &mut Table) -> Result<bool> {
    let mut good = true;
    scene.observer.forget();
    let lab = scene.lab.clone();
    let begun = scene.now();
    tokio::task::spawn_blocking(move || speakers::roll_out(&lab)).await??;
    scene.settle().await?;
    good &= enter(scene, begun, "speakers rolled out", table);
    for title in ["speaker killed", "speaker killed again"] {
        for node in scene.lab.nodes() {
            scene.observer.forget();
            let begun = scene.now();
            fault::kill_agent(node)?;
            until(SETTLED * 2, "the speaker to be back", async || {
                let agent = fault::agent(node, fault::SPEAKER);
                Ok(Look::when(agent.ok(), || "not there".to_owned()))
            })
            .await?;
            scene.settle().await?;
            good &= enter(scene, begun, title, table);
        }
    }
    Ok(good)
}

/// A speaker hangs and wakes up.
pub(super) async fn hang(scene: &Scene<'_>, table: &mut Table) -> Result<bool> {
    let hung = scene.busiest()?;
    scene.observer.forget();
    let begun = scene.now();
    let fault = fault::hang_agent(&hung.node)?;
    scene.look_on(HUNG).await?;
    fault.heal()?;
    scene.settle().await?;
    Ok(enter(scene, begun, "speaker hangs for 10 s", table))
}

/// A node is marked, hands over, and the mark goes.
pub(super) async fn labelled(
    scene: &Scene<'_>,
    title: &str,
    key: &str,
    table: &mut Table,
) -> Result<bool> {
    let old = scene.busiest()?;
    scene.observer.forget();
    let begun = scene.now();
    let label = Label::put(scene.lab, &old.node, key, "true")?;
    until(SETTLED, "others to answer for all addresses", async || {
        let owners = scene.owners();
        let still = old.owned.iter().filter(|ip| owners.get(ip) == Some(&old.mac)).count();
        Ok(Look::when((still == 0).then_some(()), || format!("{still} are still there")))
    })
    .await?;
    scene.settle().await?;
    let good = enter(scene, begun, title, table);
    label.remove()?;
    scene.settle().await?;
    Ok(good)
}

/// Enters what was seen since then, if the observer kept up.
fn enter(scene: &Scene<'_>, begun: Duration, title: &str, table: &mut Table) -> bool {
    let trace = scene.since(begun);
    let good = scene::kept_up(&trace);
    if good {
        let unanswered = ms(scene::longest_gap(&trace));
        table.add(title, unanswered, ms(two_answered(&trace)), changes(&trace));
    }
    good
}
