//! Families of metrics, each made on the spot from what it is about.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crds::model::ids::MacAddr;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use super::{Family, State};
use crate::engine;
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
        overflowed.with_label_values(&[name]).inc_by(port.queue_drops().unwrap_or_default());
        link_frames.with_label_values(&[name, "in"]).inc_by(of_frames.received());
        link_frames.with_label_values(&[name, "out"]).inc_by(of_frames.sent());
        unheard.with_label_values(&[name]).inc_by(counters.unheard() + of_frames.unheard());
    }
    let families = [received, dropped, errors, overflowed, link_frames, unheard];
    Ok(families.map(Family::Counter).into())
}

pub(super) fn mesh(state: &State) -> Result<[Family; 2], prometheus::Error> {
    let opts = Opts::new("ferrolb_speaker_members", "Speakers alive, this one included.");
    let members = IntGaugeVec::new(opts, &[])?;
    members.with_label_values::<&str>(&[]).set(i64::try_from(state.members).unwrap_or(i64::MAX));
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
    Ok([Family::Gauge(members), Family::Counter(frames)])
}

pub(super) fn conflicts(
    conflicts: &BTreeMap<(IpAddr, MacAddr), u64>,
) -> Result<Family, prometheus::Error> {
    let opts = Opts::new(
        "ferrolb_address_conflicts_total",
        "How often another host was found to answer for an address.",
    );
    let family = IntCounterVec::new(opts, &["ip", "mac"])?;
    for ((ip, mac), count) in conflicts {
        family.with_label_values(&[ip.to_string(), mac.to_string()]).inc_by(*count);
    }
    Ok(Family::Counter(family))
}

pub(super) fn standing(now: engine::State) -> Result<Family, prometheus::Error> {
    let opts = Opts::new("ferrolb_speaker_state", "1 for how the speaker stands, 0 otherwise.");
    let family = IntGaugeVec::new(opts, &["state"])?;
    for (state, name) in [
        (engine::State::Active, "active"),
        (engine::State::Draining, "draining"),
        (engine::State::Drained, "drained"),
        (engine::State::Excluded, "excluded"),
    ] {
        family.with_label_values(&[name]).set(i64::from(state == now));
    }
    Ok(Family::Gauge(family))
}
