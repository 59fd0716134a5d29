//! The election: of the nodes that may announce a group, which one does.
//!
//! An [`Electorate`] is made once for a set of living nodes and a configuration, and then asked
//! for every group. What advertisements say about nodes is worked out once per combination of
//! advertisements, so that an election costs a few nanoseconds a node.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::rc::Rc;

use crds::model::advertisement::Advertisement;
use crds::model::ids::NodeName;
use crds::model::selector::Labels;

use super::Why;
use super::group::stable_hash;

/// A node that is alive and not barred.
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
    slates: RefCell<Vec<(Vec<String>, Rc<Slate>)>>,
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

impl Electorate {
    /// The electorate of the nodes given with their labels, each alive and not barred.
    pub fn new(nodes: impl IntoIterator<Item = (NodeName, Labels)>) -> Self {
        let node = |(name, labels): (NodeName, Labels)| {
            let hash = stable_hash(name.as_str().as_bytes());
            Node { name, labels, hash }
        };
        let mut nodes: Vec<Node> = nodes.into_iter().map(node).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Self { nodes, slates: RefCell::default() }
    }

    /// The owner of the group with hash `group` whose Services cast `ballots`.
    ///
    /// In this order: the node that can serve most of the Services (all of them, unless they share
    /// an address and have no node in common), the highest sum of preference weights, and then the
    /// highest rendezvous hash, so that a dead node's groups spread evenly over the others and no
    /// other group moves.
    ///
    /// # Errors
    /// [`Why::NoCandidate`] when no node can serve any of them.
    pub fn elect(&self, group: u64, ballots: &[&Ballot<'_>]) -> Result<&NodeName, Why> {
        let slates: Vec<Rc<Slate>> =
            ballots.iter().map(|ballot| self.slate(&ballot.advertisements)).collect();
        let standing = |(index, node): (usize, &Node)| {
            let (mut served, mut weight) = (0_u32, 0_u32);
            for (ballot, slate) in ballots.iter().zip(&slates) {
                let welcome = ballot.only.is_none_or(|only| only.contains(&node.name));
                if let Some(given) = slate[index].filter(|_| welcome) {
                    served += 1;
                    weight += given;
                }
            }
            (served, weight, mix(group ^ node.hash))
        };
        let ranked = self.nodes.iter().enumerate().map(|entry| (standing(entry), entry.1));
        let ranked = ranked.filter(|((served, ..), _)| *served > 0);
        let first = ranked.max_by_key(|(standing, node)| (*standing, Reverse(&node.name)));
        first.map(|(_, node)| &node.name).ok_or(Why::NoCandidate)
    }

    fn slate(&self, advertisements: &[&Advertisement]) -> Rc<Slate> {
        let mut slates = self.slates.borrow_mut();
        // Few combinations occur, most often one: comparing names is cheaper than making a key.
        let same = |(names, _): &&(Vec<String>, _)| {
            names.iter().eq(advertisements.iter().map(|advertisement| &advertisement.name))
        };
        if let Some((_, slate)) = slates.iter().find(same) {
            return Rc::clone(slate);
        }
        let weight = |node: &Node| {
            let mut selecting =
                advertisements.iter().filter(|a| a.selects_node(&node.labels)).peekable();
            selecting.peek()?;
            Some(selecting.map(|advertisement| advertisement.preference_for(&node.labels)).sum())
        };
        let slate: Rc<Slate> = Rc::new(self.nodes.iter().map(weight).collect());
        let names = advertisements.iter().map(|advertisement| advertisement.name.clone()).collect();
        slates.push((names, Rc::clone(&slate)));
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
