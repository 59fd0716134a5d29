//! A statement on its way: split into parts that each fit into a message, whole or as the difference to an
//! earlier version, and put together again.
//!
//! How many links and addresses fit into a part depends on the names in it, so each is measured before it
//! is put in. The names of successors, which many addresses have in common, stand in a part once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crds::model::ids::NodeName;
use serde::{Deserialize, Serialize};

use super::claim::{Held, Rank};
use super::statement::{Head, LinkWord, Statement};
use crate::limits;

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// All but the addresses; of the links those in this part.
    pub head: Head,
    /// The version that this leads to.
    pub version: u64,
    /// The version that it changes; zero: none, it is complete.
    base: u64,
    /// Which part of how many.
    index: u16,
    count: u16,
    /// The links are those of the version that it changes.
    same_links: bool,
    /// Who is offered something in this part.
    successors: Vec<NodeName>,
    /// What is held, or has changed.
    holdings: Vec<Holding>,
    /// What is no longer held.
    dropped: Vec<IpAddr>,
}

/// An address and the claim to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holding {
    address: IpAddr,
    rank: Rank,
    counter: u64,
    /// Which of the part's successors it is offered to.
    offer: Option<u16>,
}

impl Statement {
    /// The parts of the whole statement.
    pub fn parts(&self) -> Vec<Part> {
        let holdings = self.holdings.iter().map(|(address, held)| (*address, Some(held)));
        self.split(0, false, holdings)
    }

    /// The parts that lead from `base` to this version: for each address, what is held now.
    pub fn difference<'a>(
        &self,
        base: u64,
        same_links: bool,
        changes: impl IntoIterator<Item = (IpAddr, Option<&'a Held>)>,
    ) -> Vec<Part> {
        self.split(base, same_links, changes)
    }

    fn split<'a>(
        &self,
        base: u64,
        same_links: bool,
        changes: impl IntoIterator<Item = (IpAddr, Option<&'a Held>)>,
    ) -> Vec<Part> {
        let mut splitter = Splitter::new(Part {
            head: Head { links: Vec::new(), ..self.head.clone() },
            version: self.version,
            base,
            index: 0,
            count: 0,
            same_links,
            successors: Vec::new(),
            holdings: Vec::new(),
            dropped: Vec::new(),
        });
        if !same_links {
            self.head.links.iter().for_each(|link| splitter.link(link));
        }
        // What goes to one successor goes together, so that few parts name it.
        let mut changes: Vec<(IpAddr, Option<&Held>)> = changes.into_iter().collect();
        changes.sort_by_key(|(_, held)| held.and_then(|held| held.offer.as_ref()));
        for (address, held) in changes {
            match held {
                Some(held) => splitter.holding(address, held),
                None => splitter.dropped(address),
            }
        }
        splitter.finish()
    }
}

/// Fills one part after the other.
struct Splitter {
    empty: Part,
    /// Bytes that an empty part leaves.
    room: usize,
    open: Part,
    /// Bytes that are left in the open one.
    left: usize,
    full: Vec<Part>,
}

impl Splitter {
    /// Bytes of index, count, and the lengths of four lists, beyond what they take when they are zero.
    const COUNTS: usize = 2 * 2 + 4 * 2;

    fn new(empty: Part) -> Self {
        let room = limits::WORD.saturating_sub(size(&empty) + Self::COUNTS);
        Self { open: empty.clone(), left: room, empty, room, full: Vec::new() }
    }

    fn link(&mut self, link: &LinkWord) {
        self.take(size(link));
        self.open.head.links.push(link.clone());
    }

    fn dropped(&mut self, address: IpAddr) {
        self.take(size(&address));
        self.open.dropped.push(address);
    }

    fn holding(&mut self, address: IpAddr, held: &Held) {
        let (rank, counter) = (held.rank, held.counter);
        // As long as any.
        let offer = held.offer.as_ref().map(|_| u16::MAX);
        let own = size(&Holding { address, rank, counter, offer });
        let Some(successor) = &held.offer else {
            self.take(own);
            return self.open.holdings.push(Holding { address, rank, counter, offer: None });
        };
        let is_named = self.open.successors.contains(successor);
        if self.take(own + if is_named { 0 } else { size(successor) }) && is_named {
            // The next part does not name it yet.
            self.left = self.left.saturating_sub(size(successor));
        }
        let at = self.open.successors.iter().position(|named| named == successor);
        let at = at.unwrap_or_else(|| {
            self.open.successors.push(successor.clone());
            self.open.successors.len() - 1
        });
        // A part has room for a few hundred names at most.
        let offer = u16::try_from(at).ok();
        self.open.holdings.push(Holding { address, rank, counter, offer });
    }

    /// Takes so many bytes of the open part, or of the next one; whether it is the next.
    fn take(&mut self, bytes: usize) -> bool {
        let is_full = bytes > self.left;
        if is_full {
            self.full.push(std::mem::replace(&mut self.open, self.empty.clone()));
            self.left = self.room;
        }
        self.left = self.left.saturating_sub(bytes);
        is_full
    }

    fn finish(mut self) -> Vec<Part> {
        self.full.push(self.open);
        let count = u16::try_from(self.full.len()).unwrap_or(u16::MAX);
        let numbered = (0..count).zip(self.full);
        numbered.map(|(index, part)| Part { index, count, ..part }).collect()
    }
}

/// Its bytes on the wire.
pub(super) fn size(value: &impl Serialize) -> usize {
    // Fails only for types that serde cannot describe, which these are not.
    postcard::experimental::serialized_size(value).unwrap_or_default()
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
        if known.is_some_and(|known| known.age() >= age) || part.index >= part.count {
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
        let (base, count) = (part.base, part.count);
        let based = match known {
            _ if base == 0 => Some((Vec::new(), BTreeMap::new())),
            Some(known) if known.age() == (part.head.started, base) => {
                let links = if part.same_links { known.head.links.clone() } else { Vec::new() };
                Some((links, known.holdings.clone()))
            }
            _ => None,
        };
        let Some((mut links, mut holdings)) = based else {
            return Assembled::Gap;
        };
        let (mut head, version) = (part.head.clone(), part.version);
        self.parts.insert(part.index, part);
        if self.parts.len() < usize::from(count) {
            return Assembled::Nothing;
        }
        self.target = None;
        for part in std::mem::take(&mut self.parts).into_values() {
            for address in part.dropped {
                holdings.remove(&address);
            }
            for Holding { address, rank, counter, offer } in part.holdings {
                let offer = offer.and_then(|at| part.successors.get(usize::from(at)).cloned());
                holdings.insert(address, Held { rank, counter, offer });
            }
            links.extend(part.head.links);
        }
        head.links = links;
        Assembled::Whole(Statement { head, version, holdings })
    }
}

#[cfg(test)]
mod tests;
