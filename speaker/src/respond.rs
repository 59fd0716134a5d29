//! What one received frame is answered with, and what it tells us.
//!
//! Runs for every frame that the kernel filter lets through, so it allocates nothing and its cost
//! does not depend on the number of addresses. It must never answer for an address outside the
//! table, nor send to anyone but the asker. Input comes from the network and may be hostile.

use std::net::IpAddr;

use crds::model::ids::{IfIndex, MacAddr};
use serde::{Deserialize, Serialize};

use crate::announce::table::{AddressCounters, Announced, Table};
use crate::wire::ethernet::EthernetHeader;
use crate::wire::frame::Frame;
use crate::wire::{Malformed, ndp};

mod by_arp;
mod by_ndp;

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
    pub frame: Frame,
    /// The address it answers for.
    pub address: IpAddr,
    /// Where to count it.
    pub counters: &'t AddressCounters,
}

/// Why a frame is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Neither ARP for IPv4 nor neighbour discovery over Ethernet, or too short, or invalid.
    Malformed,
    /// Tagged for a VLAN, hence not for this link.
    Tagged,
    /// Sent by this link itself and come back, by a loop or a mirror port.
    OwnFrame,
    /// Neither to the link's MAC nor to everybody: overheard in promiscuous mode.
    NotForUs,
    /// The sender MAC is a group address or zero: the answer would go to many, or to no one.
    BadSender,
    /// A reply or an advertisement: there is nothing to answer.
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
            _ => Self::Malformed,
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
    pub address: IpAddr,
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
    /// Anything from, or said about, an address that we answer for on this link, at a MAC that is
    /// neither ours nor the one we deputise for (RFC 5227 section 2.4).
    Conflict,
    /// A gratuitous request, a broadcast reply or an unsolicited advertisement for an address that
    /// we do not answer for.
    Claim,
    /// A reply to us alone: the answer to a question of ours, or of this node's kernel.
    Answer,
    /// A probe (RFC 5227 section 2.1, RFC 4862 section 5.4) for an address that we do not answer
    /// for.
    Probe,
}

/// Judges `frame`, received on `rx`.
pub fn respond<'t>(frame: &[u8], rx: &Rx, table: &'t Table) -> Outcome<'t> {
    let judged = match EthernetHeader::parse(frame) {
        Ok((header, _)) if header.ethertype == ndp::ETHERTYPE => by_ndp::respond(frame, rx, table),
        Ok(_) => by_arp::respond(frame, rx, table),
        Err(malformed) => Err(malformed.into()),
    };
    judged.unwrap_or_else(|reason| Outcome { verdict: Verdict::Drop(reason), heard: None })
}

/// The entry that answers for `target` on this link, and the MAC it is answered with.
fn announced<'t>(
    rx: &Rx,
    target: Option<&'t Announced>,
) -> Result<(&'t Announced, MacAddr), DropReason> {
    let announced = target.ok_or(DropReason::UnknownAddress)?;
    if !announced.entry.links.includes(rx.index) {
        return Err(DropReason::OtherLink);
    }
    let mac = announced.entry.answer.mac(rx.index, rx.mac).ok_or(DropReason::OtherLink)?;
    Ok((announced, mac))
}

/// Whether we answer for `address` on this link, and not with `mac`.
fn is_disputed(rx: &Rx, table: &Table, address: IpAddr, mac: MacAddr) -> bool {
    table.get(address).is_some_and(|announced| {
        announced.entry.links.includes(rx.index)
            && announced.entry.answer.mac(rx.index, rx.mac) != Some(mac)
    })
}

#[cfg(test)]
mod tests;
