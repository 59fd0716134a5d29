//! What is written down of a run, for the scenes that look at its figures.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::ids::{MacAddr, NodeName, ServiceKey};
use speaker::engine::Conflict;

use crate::node::{self, NodeId};
use crate::time::At;

/// A time during which a client got no answer for an address, or several.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "who and what is for the message of a scene that fails")]
pub(crate) struct Span {
    pub(crate) client: usize,
    pub(crate) address: IpAddr,
    pub(crate) since: At,
    pub(crate) until: At,
}

/// An address has one MAC again, and another than before.
#[derive(Debug, Clone)]
pub(crate) struct Moved {
    pub(crate) at: At,
    pub(crate) client: usize,
    pub(crate) address: IpAddr,
    /// `None`: it is the first.
    pub(crate) from: Option<MacAddr>,
    pub(crate) to: MacAddr,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Ledger {
    pub(crate) gaps: Vec<Span>,
    pub(crate) overlaps: Vec<Span>,
    pub(crate) moves: Vec<Moved>,
    /// What agents reported of others that answer for addresses of ours.
    pub(crate) conflicts: Vec<(At, NodeId, Conflict)>,
    /// Why agents said that they do not announce a Service: the words of logs and metrics.
    pub(crate) silences: BTreeSet<(NodeId, ServiceKey, &'static str)>,
    /// What nodes said last of addresses that nobody answered for, and who owns them; and everything
    /// that any said.
    pub(crate) unanswered: BTreeMap<NodeId, BTreeMap<IpAddr, NodeName>>,
    pub(crate) ever_unanswered: BTreeSet<(IpAddr, NodeName)>,
    /// Gratuitous frames.
    pub(crate) sent: Vec<(At, NodeId, IpAddr)>,
    /// How many bytes each node put on its wires, headers included.
    pub(crate) bytes: BTreeMap<NodeId, usize>,
    /// Who answered whom in the end.
    pub(crate) end: BTreeMap<(usize, IpAddr), BTreeSet<MacAddr>>,
}

impl Ledger {
    pub(crate) fn count_bytes(&mut self, id: NodeId, bytes: usize) {
        *self.bytes.entry(id).or_default() += bytes;
    }

    /// From `from` on an address was answered with another MAC.
    pub(crate) fn moves_after(&self, from: At) -> Vec<&Moved> {
        self.moves.iter().filter(|moved| moved.at >= from && moved.from.is_some()).collect()
    }

    /// The longest time without an answer that ended after `from`.
    pub(crate) fn longest_gap(&self, from: At) -> At {
        longest(&self.gaps, from)
    }

    /// The longest time with two MACs that ended after `from`.
    pub(crate) fn longest_overlap(&self, from: At) -> At {
        longest(&self.overlaps, from)
    }

    /// Which node's MAC each address had for client 0 at `at`.
    pub(crate) fn owners(&self, at: At) -> BTreeMap<IpAddr, NodeId> {
        let until = self.moves.iter().filter(|moved| moved.client == 0 && moved.at <= at);
        until.filter_map(|moved| Some((moved.address, node::owner_of(moved.to)?.0))).collect()
    }

    /// Every address has exactly one MAC for every client in the end.
    pub(crate) fn ends_well(&self) -> bool {
        self.end.values().all(|macs| macs.len() == 1)
    }
}

fn longest(spans: &[Span], from: At) -> At {
    let lengths =
        spans.iter().filter(|span| span.until >= from).map(|span| span.until - span.since);
    lengths.max().unwrap_or_default()
}
