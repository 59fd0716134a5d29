//! What one received frame is answered with, and what it tells us.
//!
//! Runs for every frame that the kernel filter lets through, so it allocates nothing and its cost
//! does not depend on the number of addresses. It must never answer for an address outside the
//! table, nor send to anyone but the asker. Input comes from the network and may be hostile.

use std::net::Ipv4Addr;

use crds::model::ids::{IfIndex, MacAddr};
use serde::{Deserialize, Serialize};

use crate::announce::table::{AddressCounters, Announced, Table};
use crate::wire::Malformed;
use crate::wire::arp::{ArpFrame, ArpRepr, Operation};
use crate::wire::ethernet::FRAME_LEN;

/// The link a frame came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rx {
    /// Its index.
    pub index: IfIndex,
    /// Its MAC at the moment.
    pub mac: MacAddr,
}

/// What to do about a frame, and what it tells us besides. The two are independent: a host that
/// has taken one of our addresses may ask for another of them.
#[derive(Debug)]
pub struct Outcome<'t> {
    /// What to do.
    pub verdict: Verdict<'t>,
    /// What somebody else on the link said about an address, for the engine.
    pub heard: Option<Heard>,
}

/// What to do about a frame.
#[derive(Debug)]
pub enum Verdict<'t> {
    /// Send this.
    Reply(Reply<'t>),
    /// Nothing, and why.
    Drop(DropReason),
}

/// An answer ready to be sent on the link that the request came from.
#[derive(Debug)]
pub struct Reply<'t> {
    /// The whole frame.
    pub frame: [u8; FRAME_LEN],
    /// The address it answers for.
    pub address: Ipv4Addr,
    /// Where to count it.
    pub counters: &'t AddressCounters,
}

/// Why a frame is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Not ARP for IPv4 over Ethernet, or too short.
    Malformed,
    /// Tagged for a VLAN, hence not for this link.
    Tagged,
    /// Sent by this link itself and come back, by a loop or a mirror port.
    OwnFrame,
    /// To neither broadcast nor the link's MAC: overheard in promiscuous mode, or multicast.
    NotForUs,
    /// The sender MAC is a group address or zero: the answer would go to many, or to no one.
    BadSender,
    /// A reply: there is nothing to answer.
    Reply,
    /// Nobody's address here; by far the commonest, since every node hears every request.
    UnknownAddress,
    /// Announced, but not on this link.
    OtherLink,
    /// A gratuitous request for an address that we announce: it tells, it does not ask.
    Announcement,
    /// Would have been answered, had the dead man's switch not been left alone for too long. Not
    /// decided here but by the port, just before it sends.
    Lapsed,
}

impl DropReason {
    /// Every reason, in the order of their discriminants.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Tagged,
        Self::OwnFrame,
        Self::NotForUs,
        Self::BadSender,
        Self::Reply,
        Self::UnknownAddress,
        Self::OtherLink,
        Self::Announcement,
        Self::Lapsed,
    ];

    /// The metric label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Tagged => "tagged",
            Self::OwnFrame => "own_frame",
            Self::NotForUs => "not_for_us",
            Self::BadSender => "bad_sender",
            Self::Reply => "reply",
            Self::UnknownAddress => "unknown_address",
            Self::OtherLink => "other_link",
            Self::Announcement => "announcement",
            Self::Lapsed => "lapsed",
        }
    }
}

impl From<Malformed> for DropReason {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Tagged(_) => Self::Tagged,
            Malformed::Truncated(_)
            | Malformed::EtherType(_)
            | Malformed::HardwareType(_)
            | Malformed::ProtocolType(_)
            | Malformed::AddressLengths { .. }
            | Malformed::Operation(_) => Self::Malformed,
        }
    }
}

/// Somebody else was heard to speak for an address. Whether that is a foreign host, another
/// speaker or another link of this very node, the engine knows: it has all members' MACs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Where.
    pub link: IfIndex,
    /// For which address.
    pub address: Ipv4Addr,
    /// The MAC it is said to be at (in a probe, the prober's).
    pub mac: MacAddr,
    /// The Ethernet source; differs from `mac` when a deputy speaks.
    pub source: MacAddr,
    /// In what way.
    pub kind: HeardKind,
}

/// In what way somebody spoke for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeardKind {
    /// Any ARP whose sender is an address that we answer for on this link, at a MAC that is
    /// neither ours nor the one we deputise for (RFC 5227 section 2.4).
    Conflict,
    /// A gratuitous request or a broadcast reply for an address that we do not answer for.
    Claim,
    /// A reply to us alone: the answer to a question of ours, or of this node's kernel.
    Answer,
    /// A probe (RFC 5227 section 2.1) for an address that we do not answer for.
    Probe,
}

/// Judges `frame`, received on `rx`.
///
/// Answered, as MetalLB does: broadcast and unicast requests for an announced address, probes with
/// sender 0.0.0.0 included, whatever the sender's subnet. The reply goes to the ARP *sender* MAC,
/// not to the Ethernet source, as the kernel's does. Unlike MetalLB, another host's gratuitous
/// request for our address is not answered but reported, and a group address gets no answer: a
/// forged request from `ff:ff:ff:ff:ff:ff` would make a broadcast out of every reply.
pub fn respond<'t>(frame: &[u8], rx: &Rx, table: &'t Table) -> Outcome<'t> {
    let drop = |reason| Outcome { verdict: Verdict::Drop(reason), heard: None };
    let request = match ArpFrame::parse(frame) {
        Ok(request) => request,
        Err(malformed) => return drop(malformed.into()),
    };
    let ArpFrame { destination, source, arp } = &request;
    if *source == rx.mac || arp.sender_mac == rx.mac {
        return drop(DropReason::OwnFrame);
    }
    if *destination != MacAddr::BROADCAST && *destination != rx.mac {
        return drop(DropReason::NotForUs);
    }
    if arp.sender_mac.is_group() || arp.sender_mac == MacAddr::ZERO {
        return drop(DropReason::BadSender);
    }
    let target = table.get(arp.target_ip);
    let verdict = match judge(arp, rx, target) {
        Ok((announced, mac)) => Verdict::Reply(answer(arp, rx, announced, mac)),
        Err(reason) => Verdict::Drop(reason),
    };
    Outcome { verdict, heard: heard(&request, rx, table, target.is_some()) }
}

fn judge<'t>(
    arp: &ArpRepr,
    rx: &Rx,
    target: Option<&'t Announced>,
) -> Result<(&'t Announced, MacAddr), DropReason> {
    if arp.operation == Operation::Reply {
        return Err(DropReason::Reply);
    }
    let announced = target.ok_or(DropReason::UnknownAddress)?;
    if !announced.entry.links.includes(rx.index) {
        return Err(DropReason::OtherLink);
    }
    let mac = announced.entry.answer.mac(rx.index, rx.mac).ok_or(DropReason::OtherLink)?;
    if arp.sender_ip == arp.target_ip {
        return Err(DropReason::Announcement);
    }
    Ok((announced, mac))
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
    Reply { frame: reply.to_frame(), address: arp.target_ip, counters: &announced.counters }
}

fn heard(frame: &ArpFrame, rx: &Rx, table: &Table, target_is_ours: bool) -> Option<Heard> {
    let ArpFrame { destination, source, arp } = frame;
    let expected = |announced: &Announced| {
        !announced.entry.links.includes(rx.index)
            || announced.entry.answer.mac(rx.index, rx.mac) == Some(arp.sender_mac)
    };
    let is_probe = arp.sender_ip.is_unspecified();
    let kind = match table.get(arp.sender_ip) {
        Some(announced) if !expected(announced) => HeardKind::Conflict,
        _ if arp.operation == Operation::Reply && *destination == rx.mac => HeardKind::Answer,
        _ if is_probe => {
            // Whoever probes for an address of ours is answered, and that settles it.
            (arp.operation == Operation::Request && !target_is_ours).then_some(HeardKind::Probe)?
        }
        _ if arp.operation == Operation::Reply || arp.sender_ip == arp.target_ip => {
            HeardKind::Claim
        }
        // An ordinary question of an ordinary host.
        _ => return None,
    };
    let address = if kind == HeardKind::Probe { arp.target_ip } else { arp.sender_ip };
    Some(Heard { link: rx.index, address, mac: arp.sender_mac, source: *source, kind })
}

#[cfg(test)]
mod tests;
