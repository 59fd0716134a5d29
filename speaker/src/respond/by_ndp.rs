//! Neighbour discovery: IPv6.

use std::net::Ipv6Addr;

use crds::model::ids::MacAddr;

use super::{DropReason, Heard, HeardKind, Outcome, Reply, Rx, Verdict, announced, is_disputed};
use crate::announce::table::{Announced, Table};
use crate::wire::ndp::{ALL_NODES, NdpFrame, NdpRepr, group_mac, solicited_node};

/// Answered: solicitations for an announced address, to its group or, as clients make sure that a
/// neighbour is still there, to the address itself; with Override, so that a client which knows
/// another MAC replaces it (RFC 4861 section 7.2.4). MetalLB hears none of the second kind, and
/// answers the first without Override (its weaknesses D9 and D10).
///
/// A probe of duplicate address detection is answered to everybody, since the prober has no address
/// yet (RFC 4861 section 7.2.4): that is how a host learns that the address is taken (D11).
pub(super) fn respond<'t>(
    frame: &[u8],
    rx: &Rx,
    table: &'t Table,
) -> Result<Outcome<'t>, DropReason> {
    let frame = NdpFrame::parse(frame)?;
    let NdpFrame { destination, source, message, .. } = &frame;
    let named = match message {
        NdpRepr::Solicitation { source_mac, .. } => source_mac,
        NdpRepr::Advertisement { target_mac, .. } => target_mac,
    };
    let mac = named.unwrap_or(*source);
    if *source == rx.mac || mac == rx.mac {
        return Err(DropReason::OwnFrame);
    }
    if *destination != rx.mac && !destination.is_group() {
        return Err(DropReason::NotForUs);
    }
    if mac.is_group() || mac == MacAddr::ZERO {
        return Err(DropReason::BadSender);
    }
    match *message {
        NdpRepr::Advertisement { target, solicited, .. } => {
            let kind = if is_disputed(rx, table, target.into(), mac) {
                HeardKind::Conflict
            } else if solicited && *destination == rx.mac {
                HeardKind::Answer
            } else {
                HeardKind::Claim
            };
            let heard =
                Heard { link: rx.index, address: target.into(), mac, source: *source, kind };
            Ok(Outcome { verdict: Verdict::Drop(DropReason::Reply), heard: Some(heard) })
        }
        NdpRepr::Solicitation { target, .. } => Ok(solicited_for(target, &frame, mac, rx, table)),
    }
}

/// `mac` asks who has `target`.
fn solicited_for<'t>(
    target: Ipv6Addr,
    frame: &NdpFrame,
    mac: MacAddr,
    rx: &Rx,
    table: &'t Table,
) -> Outcome<'t> {
    let entry = table.get(target);
    let verdict = if frame.to == target || frame.to == solicited_node(target) {
        match announced(rx, entry) {
            Ok((announced, ours)) => {
                Verdict::Reply(answer(target, frame, mac, rx, (announced, ours)))
            }
            Err(reason) => Verdict::Drop(reason),
        }
    } else {
        Verdict::Drop(DropReason::NotForUs)
    };
    let kind = if frame.from.is_unspecified() {
        // Whoever probes for an address of ours is answered, and that settles it.
        entry.is_none().then_some((target, HeardKind::Probe))
    } else {
        let is_disputed = is_disputed(rx, table, frame.from.into(), mac);
        is_disputed.then_some((frame.from, HeardKind::Conflict))
    };
    let heard = kind.map(|(address, kind)| Heard {
        link: rx.index,
        address: address.into(),
        mac,
        source: frame.source,
        kind,
    });
    Outcome { verdict, heard }
}

fn answer<'t>(
    target: Ipv6Addr,
    question: &NdpFrame,
    asker: MacAddr,
    rx: &Rx,
    (announced, mac): (&'t Announced, MacAddr),
) -> Reply<'t> {
    let is_probe = question.from.is_unspecified();
    let (destination, to) =
        if is_probe { (group_mac(ALL_NODES), ALL_NODES) } else { (asker, question.from) };
    let reply = NdpFrame {
        destination,
        source: rx.mac,
        from: target,
        to,
        message: NdpRepr::Advertisement {
            target,
            target_mac: Some(mac),
            router: false,
            solicited: !is_probe,
            overrides: true,
        },
    };
    let frame = reply.to_frame();
    Reply { frame, address: target.into(), counters: &announced.counters }
}

#[cfg(test)]
mod tests;
