//! One run of each fault. Each begins and ends with one steady answerer for each address, and says
//! whether the observer kept up: else nothing is entered.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;

use super::Table;
use super::promise::Kind;
use super::table::Seen;
use crate::fault::{self, Fault};
use crate::label::{EXCLUDE, Label};
use crate::plan::Node;
use crate::scene::{self, Holder, QUIET, SETTLED, Scene, ms};
use crate::speakers;
use crate::trace::Trace;
use crate::wait::{Look, until};

/// How long a node stays away after it was replaced.
const AWAY: Duration = Duration::from_millis(500);
const HUNG: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_mins(1);
/// How long a node that flaps is away, and back.
const FLAP: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(9)];
const FLAPS: usize = 5;

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
    kind: Kind,
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
        let unanswered = ms(failover.slowest());
        table.add(kind, Seen { unanswered, unanswered_asks: None, ..seen(&after) });
    }
    Ok(good)
}

/// The busiest of those that may be cut off: where there are nodes without a kubelet, one of them,
/// since the controller runs on the others.
fn busiest(scene: &Scene<'_>) -> Result<Holder> {
    let bare = scene.lab.nodes().iter().any(|node| node.bare);
    scene.busiest_where(|node| node.bare || !bare)
}

/// All speakers are replaced; then each is killed; then each is killed twice again, and has to wait
/// for the kubelet, the second time for 20 s or more.
pub(super) async fn agents(scene: &Scene<'_>, table: &mut Table) -> Result<bool> {
    let mut good = true;
    scene.observer.forget();
    let lab = scene.lab.clone();
    let begun = scene.now();
    tokio::task::spawn_blocking(move || speakers::roll_out(&lab)).await??;
    scene.settle().await?;
    good &= enter(scene, begun, Kind::RolledOut, table);
    for kind in [Kind::Killed, Kind::KilledAgain, Kind::KilledOnceMore] {
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
            good &= enter(scene, begun, kind, table);
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
    Ok(enter(scene, begun, Kind::Hung, table))
}

/// A node is marked, hands over, and the mark goes.
pub(super) async fn drained(scene: &Scene<'_>, table: &mut Table) -> Result<bool> {
    let old = scene.busiest()?;
    scene.observer.forget();
    let begun = scene.now();
    let label = Label::put(scene.lab, &old.node, EXCLUDE, "true")?;
    until(SETTLED, "others to answer for all addresses", async || {
        let owners = scene.owners();
        let still = old.owned.iter().filter(|ip| owners.get(ip) == Some(&old.mac)).count();
        Ok(Look::when((still == 0).then_some(()), || format!("{still} are still there")))
    })
    .await?;
    scene.settle().await?;
    let good = enter(scene, begun, Kind::Drained, table);
    label.remove()?;
    scene.settle().await?;
    Ok(good)
}

/// The speakers cannot reach one another, and all frames pass.
pub(super) async fn mesh(scene: &Scene<'_>, table: &mut Table) -> Result<bool> {
    scene.observer.forget();
    let begun = scene.now();
    let fault = fault::cut_mesh_everywhere(scene.lab)?;
    scene.look_on(MINUTE).await?;
    fault.heal()?;
    scene.settle().await?;
    Ok(enter(scene, begun, Kind::MeshCut, table))
}

/// The nodes exchange no frames, and clients reach all of them.
pub(super) async fn isolated(scene: &Scene<'_>, table: &mut Table) -> Result<bool> {
    let fault = fault::isolate_ports(scene.lab)?;
    scene.look_on(MINUTE.saturating_sub(QUIET)).await?;
    scene.observer.forget();
    let begun = scene.now();
    scene.look_on(QUIET).await?;
    fault.heal()?;
    scene.settle().await?;
    Ok(enter(scene, begun, Kind::Isolated, table))
}

/// One node is on one side, all the rest on the other.
pub(super) async fn halves(scene: &Scene<'_>, table: &mut Table) -> Result<bool> {
    let alone = scene.busiest()?;
    let fault = fault::halves([&alone.node.machine])?;
    scene.look_on(HUNG).await?;
    scene.observer.forget();
    let healed = scene.now();
    fault.heal()?;
    scene.settle().await?;
    Ok(enter(scene, healed, Kind::Halves, table))
}

/// A node loses its carrier again and again. An address may move once.
pub(super) async fn flapping(scene: &Scene<'_>, table: &mut Table) -> Result<bool> {
    let flapping = scene.busiest()?;
    scene.observer.forget();
    let begun = scene.now();
    for _ in 0..FLAPS {
        let fault = fault::cut(&flapping.node)?;
        scene.look_on(FLAP[0]).await?;
        fault.heal()?;
        scene.look_on(FLAP[1]).await?;
    }
    scene.settle().await?;
    let trace = scene.since(begun);
    let good = scene::kept_up(&trace);
    if good {
        let beyond = |ip: &IpAddr| {
            let allowed = usize::from(flapping.owned.contains(ip));
            trace.changes(*ip).len().saturating_sub(allowed)
        };
        let changes = trace.addresses.iter().map(beyond).sum();
        table.add(Kind::Flapping, Seen { changes, unanswered_asks: None, ..seen(&trace) });
    }
    Ok(good)
}

/// Enters what was seen since then, if the observer kept up.
fn enter(scene: &Scene<'_>, begun: Duration, kind: Kind, table: &mut Table) -> bool {
    let trace = scene.since(begun);
    let good = scene::kept_up(&trace);
    if good {
        table.add(kind, seen(&trace));
    }
    good
}

pub(super) fn seen(trace: &Trace) -> Seen {
    let asks = trace.addresses.iter().map(|ip| trace.unanswered(*ip).len()).sum();
    Seen {
        unanswered: ms(scene::longest_gap(trace)),
        two_answered: ms(two_answered(trace)),
        changes: changes(trace),
        unanswered_asks: Some(asks),
    }
}
