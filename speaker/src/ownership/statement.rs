//! What a member says of itself: how to reach it, whether it takes addresses, and which it holds.
//!
//! Only the member itself changes its statement, and each change has the next version, so of two
//! statements of one member the newer is simply true. They travel in parts that fit into a frame:
//! complete, or as the difference to the version before.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crds::model::ids::{MacAddr, NodeName};
use serde::{Deserialize, Serialize};

use super::claim::Held;

/// Addresses in one part: with the longest names it stays within one frame.
const PER_PART: usize = 80;

/// Where in its life a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It has just started, and answers for nothing yet.
    Starting,
    /// At work.
    Ready,
    /// It is about to end; its node stays.
    Leaving,
}

/// A link of a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkWord {
    /// Its name there; advertisements name interfaces.
    pub name: String,
    /// Its MAC.
    pub mac: MacAddr,
    /// The node's own addresses on it, which the node's kernel answers for.
    pub addresses: Vec<IpAddr>,
}

/// All of a statement but the addresses held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Who speaks.
    pub node: NodeName,
    /// When it started, by its own wall clock: tells lives of one agent apart.
    pub started: u64,
    /// Where it receives datagrams.
    pub addr: SocketAddr,
    /// Where in its life it is.
    pub phase: Phase,
    /// Its links that can carry announcements.
    pub links: Vec<LinkWord>,
    /// It has all the links it ever had: others, that have, do better in its place.
    pub whole: bool,
}

/// A whole statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// All but the addresses.
    pub head: Head,
    /// Grows with each change.
    pub version: u64,
    /// What it holds.
    pub holdings: BTreeMap<IpAddr, Held>,
}

/// A piece of a statement on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// All but the addresses.
    pub head: Head,
    /// The version that this leads to.
    pub version: u64,
    /// The version that it changes; zero: none, it is complete.
    pub base: u64,
    /// Which part of how many.
    pub index: u16,
    /// How many.
    pub count: u16,
    /// What is held, or has changed.
    pub holdings: Vec<(IpAddr, Held)>,
    /// What is no longer held.
    pub dropped: Vec<IpAddr>,
}

impl Statement {
    /// Which life and version this is; the greater is the newer.
    pub const fn age(&self) -> (u64, u64) {
        (self.head.started, self.version)
    }

    /// The parts of the whole statement.
    pub fn parts(&self) -> Vec<Part> {
        let holdings = self.holdings.iter().map(|(address, held)| (*address, Some(held.clone())));
        self.split(0, &holdings.collect::<Vec<_>>())
    }

    /// The parts that lead from `base` to this version: for each address, what is held now.
    pub fn difference(
        &self,
        base: u64,
        changes: impl IntoIterator<Item = (IpAddr, Option<Held>)>,
    ) -> Vec<Part> {
        self.split(base, &changes.into_iter().collect::<Vec<_>>())
    }

    fn split(&self, base: u64, changes: &[(IpAddr, Option<Held>)]) -> Vec<Part> {
        let empty: [&[_]; 1] = [&[]];
        let chunks: Vec<&[_]> =
            if changes.is_empty() { empty.to_vec() } else { changes.chunks(PER_PART).collect() };
        let count = u16::try_from(chunks.len()).unwrap_or(u16::MAX);
        let part = |(index, chunk): (u16, &[(IpAddr, Option<Held>)])| Part {
            head: self.head.clone(),
            version: self.version,
            base,
            index,
            count,
            holdings: chunk.iter().filter_map(|(a, held)| Some((*a, held.clone()?))).collect(),
            dropped: chunk.iter().filter(|(_, held)| held.is_none()).map(|(a, _)| *a).collect(),
        };
        (0..count).zip(chunks).map(part).collect()
    }
}

/// Puts the parts of one statement together.
#[derive(Debug, Default)]
pub struct Assembly {
    target: Option<(u64, u64, u64)>,
    parts: BTreeMap<u16, Part>,
}

/// What became of a part.
#[derive(Debug, PartialEq, Eq)]
pub enum Assembled {
    /// More parts are to come, or it is old.
    Nothing,
    /// It changes a version that is not known here: the whole statement is needed.
    Gap,
    /// The statement is this now.
    Whole(Statement),
}

impl Assembly {
    /// Takes a part; `known` is what is known of that member.
    pub fn take(&mut self, part: Part, known: Option<&Statement>) -> Assembled {
        let age = (part.head.started, part.version);
        if known.is_some_and(|known| known.age() >= age) {
            return Assembled::Nothing;
        }
        let target = (part.head.started, part.version, part.base);
        if self.target != Some(target) {
            // A newer one makes the older pointless; a whole one is as good as a difference.
            if self.target.is_some_and(|(started, version, _)| (started, version) > age) {
                return Assembled::Nothing;
            }
            self.parts.clear();
            self.target = Some(target);
        }
        let (base, count, head) = (part.base, part.count, part.head.clone());
        let version = part.version;
        let based = match known {
            _ if base == 0 => Some(BTreeMap::new()),
            Some(known) if known.age() == (head.started, base) => Some(known.holdings.clone()),
            _ => None,
        };
        let Some(mut holdings) = based else {
            return Assembled::Gap;
        };
        self.parts.insert(part.index, part);
        if self.parts.len() < usize::from(count) {
            return Assembled::Nothing;
        }
        for part in std::mem::take(&mut self.parts).into_values() {
            for address in part.dropped {
                holdings.remove(&address);
            }
            holdings.extend(part.holdings);
        }
        self.target = None;
        Assembled::Whole(Statement { head, version, holdings })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::claim::Rank;
    use super::*;

    fn statement(version: u64, count: u32) -> Statement {
        let held = Held { rank: Rank::Firm, counter: 1, offer: None };
        let address = |n| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
        Statement {
            head: Head {
                node: "n1".into(),
                started: 5,
                addr: "192.0.2.1:7946".parse().unwrap(),
                phase: Phase::Ready,
                links: Vec::new(),
                whole: true,
            },
            version,
            holdings: (0..count).map(|n| (address(n), held.clone())).collect(),
        }
    }

    #[test]
    fn parts_in_any_order_make_the_whole_and_twice_makes_no_difference() {
        let whole = statement(7, 500);
        let mut assembly = Assembly::default();
        let mut parts = whole.parts();
        parts.reverse();
        let last = parts.pop().unwrap();
        for part in parts.iter().chain(&parts) {
            assert_eq!(assembly.take(part.clone(), None), Assembled::Nothing);
        }
        assert_eq!(assembly.take(last, None), Assembled::Whole(whole));
    }

    #[test]
    fn a_difference_applies_to_the_version_it_names_and_no_other() {
        let (old, new) = (statement(7, 3), statement(8, 2));
        let gone = *old.holdings.keys().last().unwrap();
        let parts = new.difference(7, [(gone, None)]);
        let mut assembly = Assembly::default();
        assert_eq!(assembly.take(parts[0].clone(), Some(&old)), Assembled::Whole(new.clone()));
        assert_eq!(assembly.take(parts[0].clone(), Some(&statement(6, 3))), Assembled::Gap);
        assert_eq!(assembly.take(parts[0].clone(), None), Assembled::Gap);
        assert_eq!(assembly.take(parts[0].clone(), Some(&new)), Assembled::Nothing);
    }

    #[test]
    fn a_new_life_replaces_whatever_version_the_old_one_had() {
        let old = statement(900, 3);
        let mut new = statement(1, 1);
        new.head.started = 6;
        let mut assembly = Assembly::default();
        assert_eq!(assembly.take(new.parts().remove(0), Some(&old)), Assembled::Whole(new.clone()));
        assert_eq!(assembly.take(old.parts().remove(0), Some(&new)), Assembled::Nothing);
    }
}
