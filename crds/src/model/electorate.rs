//! The election: of the nodes that may announce a group, which goes first.
//!
//! Speakers elect heirs by it, and the controller plans by it, so that they agree on who is a
//! candidate. An [`Electorate`] is made once for a set of nodes and a configuration, and then asked
//! for every group. What advertisements say about nodes is worked out once per combination of
//! advertisements, so that an election costs a few nanoseconds a node.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::advertisement::Advertisement;
use super::group::stable_hash;
use super::ids::NodeName;
use super::selector::Labels;

/// A node that is not barred.
#[derive(Debug)]
struct Node {
    name: NodeName,
    labels: Labels,
    hash: u64,
}

/// The nodes that may announce anything at all.
#[derive(Debug)]
pub struct Electorate {
    nodes: Vec<Node>,
    /// Worked out when first asked for. Nobody waits for this lock: it is there so that an electorate
    /// may go from thread to thread with its owner.
    slates: Mutex<Vec<(Vec<String>, Arc<Slate>)>>,
}

/// By node of the electorate, in its order: the weight that a combination of advertisements gives
/// it, or `None` where they do not select it.
type Slate = Vec<Option<u32>>;

/// What one Service of a group wants.
#[derive(Debug)]
pub struct Ballot<'a> {
    /// The advertisements meant for it, in the order of their names; not empty.
    pub advertisements: Vec<&'a Advertisement>,
    /// The nodes with a usable endpoint, where only those may announce.
    pub only: Option<&'a BTreeSet<NodeName>>,
}

/// A node that may announce a group, and what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Which.
    pub node: &'a NodeName,
    /// How many of the group's Services it can serve: all of them, unless they share an address and
    /// have no node in common.
    pub served: u32,
    /// The sum of its preference weights.
    pub weight: u32,
    /// Its rendezvous hash for this group: scatters a dead node's groups over all others, and moves
    /// no other group.
    pub lot: u64,
}

impl Candidate<'_> {
    /// The greater goes first: by Services served, then weight, then lot, then the lower name.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let key = |candidate: &Self| (candidate.served, candidate.weight, candidate.lot);
        key(self).cmp(&key(other)).then_with(|| other.node.cmp(self.node))
    }

    /// Whether it is as good as `other` by all that users asked for; the lot does not count.
    pub const fn equals(&self, other: &Self) -> bool {
        self.served == other.served && self.weight == other.weight
    }
}

impl Electorate {
    /// The electorate of the nodes given with their labels, none of them barred.
    pub fn new(nodes: impl IntoIterator<Item = (NodeName, Labels)>) -> Self {
        let node = |(name, labels): (NodeName, Labels)| {
            let hash = stable_hash(name.as_str().as_bytes());
            Node { name, labels, hash }
        };
        let mut nodes: Vec<Node> = nodes.into_iter().map(node).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Self { nodes, slates: Mutex::default() }
    }

    /// Of the nodes that `may` announce it, the one that goes first for the group with hash `group`,
    /// whose Services cast `ballots`; `None` when no such node can serve any of them.
    pub fn elect(
        &self,
        group: u64,
        ballots: &[&Ballot<'_>],
        may: impl Fn(&NodeName) -> bool,
    ) -> Option<&NodeName> {
        self.candidates(group, ballots)
            .filter(|candidate: &Candidate<'_>| may(candidate.node))
            .max_by(Candidate::precedence)
            .map(|candidate| candidate.node)
    }

    /// Every node that can serve at least one of the Services that cast `ballots`, in no particular
    /// order.
    pub fn candidates<'a, 'b>(
        &'a self,
        group: u64,
        ballots: &'b [&'b Ballot<'b>],
    ) -> impl Iterator<Item = Candidate<'a>> + use<'a, 'b> {
        let slates: Vec<Arc<Slate>> =
            ballots.iter().map(|ballot| self.slate(&ballot.advertisements)).collect();
        self.nodes.iter().enumerate().filter_map(move |(index, node)| {
            let (mut served, mut weight) = (0_u32, 0_u32);
            for (ballot, slate) in ballots.iter().zip(&slates) {
                let welcome = ballot.only.is_none_or(|only| only.contains(&node.name));
                if let Some(given) = slate[index].filter(|_| welcome) {
                    served += 1;
                    weight += given;
                }
            }
            let lot = mix(group ^ node.hash);
            (served > 0).then_some(Candidate { node: &node.name, served, weight, lot })
        })
    }

    fn slate(&self, advertisements: &[&Advertisement]) -> Arc<Slate> {
        let mut slates = self.slates.lock().unwrap_or_else(PoisonError::into_inner);
        // Few combinations occur, most often one: comparing names is cheaper than making a key.
        let same = |(names, _): &&(Vec<String>, _)| {
            names.iter().eq(advertisements.iter().map(|advertisement| &advertisement.name))
        };
        if let Some((_, slate)) = slates.iter().find(same) {
            return Arc::clone(slate);
        }
        let weight = |node: &Node| {
            let mut selecting =
                advertisements.iter().filter(|a| a.selects_node(&node.labels)).peekable();
            selecting.peek()?;
            Some(selecting.map(|advertisement| advertisement.preference_for(&node.labels)).sum())
        };
        let slate: Arc<Slate> = Arc::new(self.nodes.iter().map(weight).collect());
        let names = advertisements.iter().map(|advertisement| advertisement.name.clone()).collect();
        slates.push((names, Arc::clone(&slate)));
        slate
    }
}

/// Scatters 64 bits: the finaliser of SplitMix64, a bijection with full avalanche.
const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests;
