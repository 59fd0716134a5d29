//! ARP: IPv4.

use super::{DropReason, Heard, HeardKind, Outcome, Reply, Rx, Verdict, announced, is_disputed};
use crate::announce::table::{Announced, Table};
use crate::wire::arp::{ArpFrame, ArpRepr, Operation};
use crds::model::ids::MacAddr;

/// Answered, as MetalLB does: broadcast and unicast requests for an announced address, probes with
/// sender 0.0.0.0 included, whatever the sender's subnet. The reply goes to the ARP *sender* MAC,
/// not to the Ethernet source, as the kernel's does. Unlike MetalLB, another host's gratuitous
/// request for our address is not answered but reported, and a group address gets no answer: a
/// forged request from `ff:ff:ff:ff:ff:ff` would make a broadcast out of every reply.
pub(super) fn respond<'t>(
    frame: &[u8],
    rx: &Rx,
    table: &'t Table,
) -> Result<Outcome<'t>, DropReason> {
    let request = ArpFrame::parse(frame)?;
    let ArpFrame { destination, source, arp } = &request;
    if *source == rx.mac || arp.sender_mac == rx.mac {
        return Err(DropReason::OwnFrame);
    }
    if *destination != MacAddr::BROADCAST && *destination != rx.mac {
        return Err(DropReason::NotForUs);
    }
    if arp.sender_mac.is_group() || arp.sender_mac == MacAddr::ZERO {
        return Err(DropReason::BadSender);
    }
    let target = table.get(arp.target_ip);
    let verdict = match judge(arp, rx, target) {
        Ok((announced, mac)) => Verdict::Reply(answer(arp, rx, announced, mac)),
        Err(reason) => Verdict::Drop(reason),
    };
    Ok(Outcome { verdict, heard: heard(&request, rx, table, target.is_some()) })
}

fn judge<'t>(
    arp: &ArpRepr,
    rx: &Rx,
    target: Option<&'t Announced>,
) -> Result<(&'t Announced, MacAddr), DropReason> {
    if arp.operation == Operation::Reply {
        return Err(DropReason::Reply);
    }
    let found = announced(rx, target)?;
    if arp.sender_ip == arp.target_ip {
        return Err(DropReason::Announcement);
    }
    Ok(found)
}

fn answer<'t>(arp: &ArpRepr, rx: &Rx, announced: &'t Announced, sender_mac: MacAddr) -> Reply<'t> {
    let reply = ArpFrame {
        destination: arp.sender_mac,
        source: rx.mac,
        arp: ArpRepr {
            operation: Operation::Reply,
            sender_mac,
            sender_ip: arp.target_ip,
            target_mac: arp.sender_mac,
            target_ip: arp.sender_ip,
        },
    };
    let frame = reply.to_frame().into();
    Reply { frame, address: arp.target_ip.into(), counters: &announced.counters }
}

fn heard(frame: &ArpFrame, rx: &Rx, table: &Table, target_is_ours: bool) -> Option<Heard> {
    let ArpFrame { destination, source, arp } = frame;
    let is_probe = arp.sender_ip.is_unspecified();
    let kind = if is_disputed(rx, table, arp.sender_ip.into(), arp.sender_mac) {
        HeardKind::Conflict
    } else if arp.operation == Operation::Reply && *destination == rx.mac {
        HeardKind::Answer
    } else if is_probe {
        // Whoever probes for an address of ours is answered, and that settles it.
        (arp.operation == Operation::Request && !target_is_ours).then_some(HeardKind::Probe)?
    } else if arp.operation == Operation::Reply || arp.sender_ip == arp.target_ip {
        HeardKind::Claim
    } else {
        // An ordinary question of an ordinary host.
        return None;
    };
    let address = if kind == HeardKind::Probe { arp.target_ip } else { arp.sender_ip };
    let (link, mac, source) = (rx.index, arp.sender_mac, *source);
    Some(Heard { link, address: address.into(), mac, source, kind })
}
