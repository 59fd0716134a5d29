//! What tests do to a scene, whatever its addresses are, and what they ask of it then.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Holder, QUIET, SETTLED, Scene, ensure_answered, ensure_no_two_unanswered};
use super::{ensure_one_answerer, longest_gap, ms};
use crate::fault::{self, Fault};
use crate::label::Label;
use crate::plan::Node;
use crate::speakers;
use crate::trace::Trace;
use crate::wait::{Look, until};

const FAILOVER: Duration = Duration::from_secs(1);
const AFTER_RETURN: Duration = Duration::from_secs(5);
/// For an agent that was killed.
const UNANSWERED: Duration = Duration::from_millis(200);
/// How long two may answer while one hands over to the other.
pub const OVERLAP: Duration = Duration::from_millis(100);
/// The kubelet lets a container that died twice wait for 10 s, and after the third time for 20 s.
const BACK: Duration = Duration::from_mins(2);

/// The busiest node is cut off and replaced within a second, and comes back without anybody
/// noticing. Gives what was seen since it was cut off.
pub async fn dies_and_returns(scene: &Scene<'_>, cut: fn(&Node) -> Result<Fault>) -> Result<Trace> {
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
    ensure_one_answerer(&trace, Duration::ZERO)?;
    scene.ensure_unmoved(&trace, &BTreeSet::new())?;
    let whole = scene.since(failover.at);
    scene.ensure_unmoved(&whole, &dead.owned)?;
    Ok(whole)
}

/// Kills a node's speaker, and looks on until it is back and all is quiet: nothing has moved, and
/// nothing went unanswered for long. Gives how long it was away.
pub async fn agent_dies(scene: &Scene<'_>, holder: &Holder) -> Result<Duration> {
    let killed = scene.now();
    fault::kill_agent(&holder.node)?;
    let away = back(scene, holder).await?;
    scene.settle().await?;
    let trace = scene.judged(killed)?;
    let (gap, name) = (longest_gap(&trace), &holder.node.name);
    eprintln!("speaker of {name} killed, away for {away:.1?}: unanswered for {:.0} ms", ms(gap));
    scene.ensure_unmoved(&trace, &BTreeSet::new())?;
    ensure_one_answerer(&trace, Duration::ZERO)?;
    ensure_answered(&trace, UNANSWERED)?;
    Ok(away)
}

/// Waits until the node's speaker runs again; gives how long that took.
async fn back(scene: &Scene<'_>, holder: &Holder) -> Result<Duration> {
    let begun = scene.now();
    until(BACK, "the speaker to be back", async || {
        Ok(Look::when(fault::agent(&holder.node, fault::SPEAKER).ok(), || "not there".to_owned()))
    })
    .await?;
    Ok(scene.now().saturating_sub(begun))
}

/// The node with most addresses is marked and hands over; later the mark goes, and nothing moves.
/// Gives what was seen since it was marked.
pub async fn drained(scene: &Scene<'_>, key: &str, state: &str) -> Result<Trace> {
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
    ensure_no_two_unanswered(&trace)?;
    scene.ensure_unmoved(&trace, &BTreeSet::new())?;
    Ok(scene.since(marked))
}

/// Waits until somebody else answers for all that this node had.
pub async fn left(scene: &Scene<'_>, old: &Holder) -> Result<()> {
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
pub fn ensure_handed_over(trace: &Trace, old: &Holder) -> Result<()> {
    ensure_one_answerer(trace, OVERLAP)?;
    for &ip in &old.owned {
        let unanswered = trace.unanswered(ip);
        ensure!(
            unanswered.is_empty(),
            "{ip} went unanswered: {unanswered:?}\n{:?}",
            trace.gaps(ip)
        );
        let moves = trace.moves(ip).len();
        ensure!(moves == 1, "{ip} changed owners {moves} times");
        let last = trace.answers_for(ip).filter(|it| it.mac == old.mac).last();
        let last = last.map_or(trace.end, |answer| answer.at);
        let told =
            trace.announcements_of(ip).find(|it| it.kind.is_announcement() && it.mac != old.mac);
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
