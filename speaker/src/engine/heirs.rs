//! Who inherits: the next owner of each group that loses its own, spread evenly and alike everywhere.
//!
//! Everybody knows what everybody holds, so each can give the groups of a dead member, in their
//! order, to whoever then has least. Once chosen an heir stays chosen until the group has an owner
//! again: that of a deputy is the one that takes over, and a claim that arrives in between changes
//! no other choice.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use crds::model::electorate::Candidate;
use crds::model::group::Group;
use crds::model::ids::NodeName;

use crate::ownership::book::Book;

/// The heirs chosen.
#[derive(Debug, Default)]
pub(super) struct Heirs {
    chosen: BTreeMap<IpAddr, Choice>,
    /// How many addresses of each lost member each heir was given; `None`: that nobody had.
    given: BTreeMap<Option<NodeName>, BTreeMap<NodeName, usize>>,
    /// How many addresses each candidate holds that a lost member does not, as of now: counted once for all
    /// groups that are decided about together.
    loads: BTreeMap<NodeName, BTreeMap<NodeName, usize>>,
}

#[derive(Debug)]
struct Choice {
    lost: Option<NodeName>,
    heir: NodeName,
    addresses: usize,
}

impl Heirs {
    /// What the candidates hold may have changed since.
    pub(super) fn count_anew(&mut self) {
        self.loads.clear();
    }

    /// The heir of `group` among `candidates`, all of them able; `lost` is who had it.
    pub(super) fn choose(
        &mut self,
        group: &Group,
        candidates: &[Candidate<'_>],
        lost: Option<&NodeName>,
        book: &Book,
    ) -> Option<NodeName> {
        let key = group.addresses.first()?;
        if let Some(choice) = self.chosen.get(key) {
            let is_able = candidates.iter().any(|candidate| *candidate.node == choice.heir);
            if is_able && choice.lost.as_ref() == lost {
                return Some(choice.heir.clone());
            }
            self.forget(key);
        }
        let given = self.given.get(&lost.cloned());
        let mut own = lost.map(|lost| (lost, self.loads.entry(lost.clone()).or_default()));
        let mut load = |node: &NodeName| {
            // New groups come in any order, to each in another: for them only the lot is the same
            // everywhere, and the plan evens out what that leaves uneven.
            let Some((lost, loads)) = &mut own else { return 0 };
            let given = given.and_then(|given| given.get(node)).copied().unwrap_or(0);
            // What it has of the lost one already is in `given`.
            *loads.entry(node.clone()).or_insert_with(|| own_load(book, node, lost)) + given
        };
        let ranked = candidates.iter().map(|candidate| {
            let Candidate { served, weight, lot, node } = *candidate;
            ((served, weight, Reverse(load(node)), lot, Reverse(node)), node)
        });
        let heir = ranked.max()?.1.clone();
        let addresses = group.addresses.len();
        let given = self.given.entry(lost.cloned()).or_default();
        *given.entry(heir.clone()).or_default() += addresses;
        let choice = Choice { lost: lost.cloned(), heir: heir.clone(), addresses };
        self.chosen.insert(*key, choice);
        Some(heir)
    }

    /// The groups that have an heir.
    pub(super) fn restless(&self) -> Vec<IpAddr> {
        self.chosen.keys().copied().collect()
    }

    /// Forgets the groups that no Service has any more.
    pub(super) fn retain(&mut self, exists: impl Fn(&IpAddr) -> bool) {
        let gone: Vec<IpAddr> = self.chosen.keys().filter(|key| !exists(key)).copied().collect();
        for key in &gone {
            self.forget(key);
        }
    }

    /// The group of `key` has an owner.
    pub(super) fn forget(&mut self, key: &IpAddr) {
        let Some(Choice { lost, heir, addresses }) = self.chosen.remove(key) else { return };
        let Some(given) = self.given.get_mut(&lost) else { return };
        if let Some(count) = given.get_mut(&heir) {
            *count = count.saturating_sub(addresses);
        }
        if given.values().all(|count| *count == 0) {
            self.given.remove(&lost);
        }
    }
}

/// How many addresses `node` holds that are not `lost`'s as well.
fn own_load(book: &Book, node: &NodeName, lost: &NodeName) -> usize {
    let load = book.load(node);
    let Some(lost) = book.of(lost) else { return load };
    let Some(statement) = book.of(node) else { return load };
    // The smaller of the two is walked through.
    let (few, many) = if statement.holdings.len() < lost.holdings.len() {
        (&statement.holdings, &lost.holdings)
    } else {
        (&lost.holdings, &statement.holdings)
    };
    load - few.keys().filter(|address| many.contains_key(*address)).count()
}

#[cfg(test)]
mod tests;
