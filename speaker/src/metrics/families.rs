//! Families of metrics, each made on the spot from what it is about.

use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use super::{Checks, Family, State};
use crate::engine::{self, Description};
use crate::io::deadline::Deadline;
use crate::io::ports::Named;
use crate::mesh;
use crate::respond::DropReason;

pub(super) fn ports(ports: &[Named]) -> Result<Vec<Family>, prometheus::Error> {
    let counter = |name, help, labels| IntCounterVec::new(Opts::new(name, help), labels);
    let received = counter(
        "ferrolb_speaker_frames_received_total",
        "Frames that passed the kernel filter.",
        &["interface"],
    )?;
    let dropped = counter(
        "ferrolb_speaker_frames_dropped_total",
        "Frames that were read and not answered, by reason.",
        &["interface", "reason"],
    )?;
    let errors = counter(
        "ferrolb_speaker_socket_errors_total",
        "Failed system calls on packet sockets.",
        &["interface", "operation"],
    )?;
    let overflowed = counter(
        "ferrolb_speaker_frames_lost_total",
        "Frames that came in faster than they were read.",
        &["interface"],
    )?;
    let link_frames = counter(
        "ferrolb_speaker_link_frames_total",
        "Frames of the speakers' own on a link, by direction.",
        &["interface", "direction"],
    )?;
    let unheard = counter(
        "ferrolb_speaker_news_lost_total",
        "What was heard on a link while too much else waited to be looked at.",
        &["interface"],
    )?;
    for Named { name, port, frames } in ports {
        let (counters, of_frames) = (port.counters(), frames.counters());
        received.with_label_values(&[name]).inc_by(counters.received());
        for reason in DropReason::ALL {
            dropped.with_label_values(&[name, reason.reason()]).inc_by(counters.drops(reason));
        }
        let receive_errors = counters.receive_errors() + of_frames.receive_errors();
        errors.with_label_values(&[name, "receive"]).inc_by(receive_errors);
        let send_errors = counters.send_errors() + of_frames.send_errors();
        errors.with_label_values(&[name, "send"]).inc_by(send_errors);
        let drops = [port.queue_drops(), frames.queue_drops()].map(Result::unwrap_or_default);
        overflowed.with_label_values(&[name]).inc_by(drops.iter().sum());
        link_frames.with_label_values(&[name, "in"]).inc_by(of_frames.received());
        link_frames.with_label_values(&[name, "out"]).inc_by(of_frames.sent());
        unheard.with_label_values(&[name]).inc_by(counters.unheard() + of_frames.unheard());
    }
    let families = [received, dropped, errors, overflowed, link_frames, unheard];
    Ok(families.map(Family::Counter).into())
}

pub(super) fn mesh(state: &State) -> Result<Vec<Family>, prometheus::Error> {
    let (members, sees_most) = state.members.unwrap_or_default();
    let members = single("ferrolb_speaker_members", "Speakers alive, this one included.", members)?;
    let opts =
        Opts::new("ferrolb_speaker_mesh_frames_total", "Mesh frames that came in, by outcome.");
    let frames = IntCounterVec::new(opts, &["outcome"])?;
    let mesh::Counts { received, malformed, version, unsealed, replayed, refused } = state.mesh;
    for (outcome, count) in [
        ("handled", received),
        ("malformed", malformed),
        ("version", version),
        ("unsealed", unsealed),
        ("replayed", replayed),
        ("refused", refused),
    ] {
        frames.with_label_values(&[outcome]).inc_by(count);
    }
    let most = IntGaugeVec::new(
        Opts::new("ferrolb_speaker_sees_most", "1 if the members alive are most of the nodes."),
        &[],
    )?;
    if state.members.is_some() {
        most.with_label_values::<&str>(&[]).set(i64::from(sees_most));
    }
    let opts = Opts::new(
        "ferrolb_speaker_knocks_total",
        "How often another speaker was asked by way of the API whether it is there.",
    );
    let knocks = IntCounterVec::new(opts, &[])?;
    knocks.with_label_values::<&str>(&[]).inc_by(state.knocks);
    let opts = Opts::new(
        "ferrolb_speaker_mesh_send_errors_total",
        "Mesh datagrams that the kernel did not take.",
    );
    let lost = IntCounterVec::new(opts, &[])?;
    if let Some(socket) = &state.mesh_socket {
        lost.with_label_values::<&str>(&[]).inc_by(socket.send_errors());
    }
    let counters = [frames, knocks, lost].map(Family::Counter);
    Ok([members, Family::Gauge(most)].into_iter().chain(counters).collect())
}

pub(super) fn conflicts(state: &State) -> Result<[Family; 2], prometheus::Error> {
    let opts = Opts::new(
        "ferrolb_address_conflicts_total",
        "How often another host was found to answer for an address.",
    );
    let family = IntCounterVec::new(opts, &["ip"])?;
    for (ip, count) in &state.conflicts {
        family.with_label_values(&[ip.to_string()]).inc_by(*count);
    }
    let opts = Opts::new(
        "ferrolb_speaker_checks_total",
        "Looks at addresses that this node would inherit, by how many hosts answered.",
    );
    let checks = IntCounterVec::new(opts, &["answers"])?;
    let Checks { none, one, several } = state.checks;
    for (answers, count) in [("none", none), ("one", one), ("several", several)] {
        checks.with_label_values(&[answers]).inc_by(count);
    }
    Ok([family, checks].map(Family::Counter))
}

/// One series for each of these `reasons`.
pub(super) fn unused(reasons: &[&'static str]) -> Result<Family, prometheus::Error> {
    let opts = Opts::new(
        "ferrolb_speaker_unused_interfaces",
        "Interfaces that are not used though somebody may expect it, by reason.",
    );
    let family = IntGaugeVec::new(opts, &["reason"])?;
    for reason in reasons {
        family.with_label_values(&[*reason]).inc();
    }
    Ok(Family::Gauge(family))
}

/// How the speaker itself stands.
pub(super) fn speaker(
    description: &Description,
    deadline: &Deadline,
) -> Result<[Family; 5], prometheus::Error> {
    let opts = Opts::new("ferrolb_speaker_state", "1 for how the speaker stands, 0 otherwise.");
    let standing = IntGaugeVec::new(opts, &["state"])?;
    for (state, name) in [
        (engine::State::Active, "active"),
        (engine::State::Draining, "draining"),
        (engine::State::Drained, "drained"),
        (engine::State::Excluded, "excluded"),
    ] {
        standing.with_label_values(&[name]).set(i64::from(state == description.state));
    }
    let opts = Opts::new(
        "ferrolb_speaker_returns_total",
        "How often this speaker lost touch with the network and came back.",
    );
    let returns = IntCounterVec::new(opts, &[])?;
    returns.with_label_values::<&str>(&[]).inc_by(description.returns);
    let waiting = single(
        "ferrolb_speaker_waiting_addresses",
        "Addresses that this node is to leave and keeps, since no other node can take them.",
        description.waiting.len(),
    )?;
    // One address may be answered for by several, or be heard on several links.
    let mut addresses: Vec<_> = description.conflicts.iter().map(|one| one.address).collect();
    addresses.dedup();
    let conflicting = single(
        "ferrolb_speaker_conflicting_addresses",
        "Addresses that another host answers for, too.",
        addresses.len(),
    )?;
    let may_answer = single(
        "ferrolb_speaker_may_answer",
        "1 while the speaker is in touch and may answer, 0 while it is silent.",
        usize::from(!deadline.has_passed()),
    )?;
    Ok([Family::Gauge(standing), Family::Counter(returns), waiting, conflicting, may_answer])
}

/// A gauge without labels.
fn single(name: &str, help: &str, value: usize) -> Result<Family, prometheus::Error> {
    let family = IntGaugeVec::new(Opts::new(name, help), &[])?;
    family.with_label_values::<&str>(&[]).set(i64::try_from(value).unwrap_or(i64::MAX));
    Ok(Family::Gauge(family))
}
