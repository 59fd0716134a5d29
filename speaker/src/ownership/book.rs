//! The book: every member's statement, this one's included, and who holds which address by them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::ids::NodeName;

use super::claim::{Claim, Held};
use super::life::Lives;
use super::part::{Assembled, Assembly, Part};
use super::statement::{Head, Phase, Statement};
use super::word::Entry;

/// Differences up to this many changes are sent; beyond that the whole is shorter to explain.
const WHOLE_BELOW: usize = 80;

/// All statements.
#[derive(Debug)]
pub struct Book {
    mine: Statement,
    others: BTreeMap<NodeName, Statement>,
    /// A new life of a member that does not answer for anything yet; until it does, what its former
    /// life held counts.
    coming: BTreeMap<NodeName, Statement>,
    /// What this node held in a former life, by the word of the others.
    former: Option<Statement>,
    assemblies: BTreeMap<NodeName, Assembly>,
    holders: BTreeMap<IpAddr, BTreeMap<NodeName, Held>>,
    /// What changed in `mine` since the last version was sent.
    changes: BTreeMap<IpAddr, Option<Held>>,
    is_changed: bool,
    same_links: bool,
}

/// What a part of a statement taught.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Somebody else holds these now, or holds them differently.
    pub addresses: BTreeSet<IpAddr>,
    /// Of those, the ones that it does not hold any more.
    pub yielded: BTreeSet<IpAddr>,
    /// The statement is now complete and newer than before.
    pub is_newer: bool,
    /// A version in between is missing: the whole statement is needed.
    pub is_gap: bool,
}

impl Book {
    /// A book with nothing in it but this member's own, empty statement.
    pub fn new(head: Head) -> Self {
        Self {
            mine: Statement { head, version: 1, holdings: BTreeMap::new() },
            others: BTreeMap::new(),
            coming: BTreeMap::new(),
            former: None,
            assemblies: BTreeMap::new(),
            holders: BTreeMap::new(),
            changes: BTreeMap::new(),
            is_changed: false,
            same_links: true,
        }
    }

    /// This member's own statement.
    pub const fn mine(&self) -> &Statement {
        &self.mine
    }

    /// This node.
    pub const fn me(&self) -> &NodeName {
        &self.mine.head.node
    }

    /// What this node held in a former life.
    pub const fn former(&self) -> Option<&Statement> {
        self.former.as_ref()
    }

    /// The statement that counts of `node`.
    pub fn of(&self, node: &NodeName) -> Option<&Statement> {
        if node == self.me() { Some(&self.mine) } else { self.others.get(node) }
    }

    /// How to reach `node`: by its newest life.
    pub fn head(&self, node: &NodeName) -> Option<&Head> {
        let newest = self.coming.get(node).or_else(|| self.others.get(node));
        newest.map(|statement| &statement.head)
    }

    /// The heads of all others, by their newest life.
    pub fn heads(&self) -> impl Iterator<Item = &Head> {
        let lone = self.coming.iter().filter(|(node, _)| !self.others.contains_key(*node));
        let all = self.others.keys().chain(lone.map(|(node, _)| node));
        all.filter_map(|node| self.head(node))
    }

    /// The claims to `address`, of the living and the dead.
    pub fn claims(&self, address: &IpAddr) -> impl Iterator<Item = Claim<'_>> {
        let holders = self.holders.get(address).into_iter().flatten();
        holders.map(|(node, held)| Claim { held, node })
    }

    /// Every address that anybody holds.
    pub fn addresses(&self) -> impl Iterator<Item = &IpAddr> {
        self.holders.keys()
    }

    /// This member's claim to `address`.
    pub fn held(&self, address: &IpAddr) -> Option<&Held> {
        self.mine.holdings.get(address)
    }

    /// How many addresses `node` holds.
    pub fn load(&self, node: &NodeName) -> usize {
        self.of(node).map_or(0, |statement| statement.holdings.len())
    }

    /// Changes what this member says of itself.
    pub fn set_head(&mut self, change: impl FnOnce(&mut Head)) {
        let before = self.mine.head.clone();
        change(&mut self.mine.head);
        self.is_changed |= self.mine.head != before;
        self.same_links &= self.mine.head.links == before.links;
    }

    /// Changes what this member holds; whether that is a change.
    pub fn hold(&mut self, address: IpAddr, held: Option<Held>) -> bool {
        if self.mine.holdings.get(&address) == held.as_ref() {
            return false;
        }
        let me = self.mine.head.node.clone();
        self.index(address, &me, held.clone());
        match held.clone() {
            Some(held) => self.mine.holdings.insert(address, held),
            None => self.mine.holdings.remove(&address),
        };
        self.changes.insert(address, held);
        true
    }

    /// The news about this member for all others, if there is any since the last call.
    pub fn flush(&mut self) -> Vec<Part> {
        if self.changes.is_empty() && !self.is_changed {
            return Vec::new();
        }
        let base = self.mine.version;
        self.mine.version += 1;
        self.is_changed = false;
        let changes = std::mem::take(&mut self.changes);
        let same_links = std::mem::replace(&mut self.same_links, true);
        if self.mine.holdings.len() <= WHOLE_BELOW {
            return self.mine.parts();
        }
        let changes = changes.iter().map(|(address, held)| (*address, held.as_ref()));
        self.mine.difference(base, same_links, changes)
    }

    /// Takes a part of somebody's statement.
    pub fn take(&mut self, part: Part) -> News {
        let node = part.head.node.clone();
        if node == *self.me() {
            return self.take_former(part);
        }
        let known = known(&self.coming, &self.others, &node, part.head.started);
        let whole = match self.assemblies.entry(node.clone()).or_default().take(part, known) {
            Assembled::Nothing => return News::default(),
            Assembled::Gap => return News { is_gap: true, ..News::default() },
            Assembled::Whole(whole) => whole,
        };
        let mut news = News { is_newer: true, ..News::default() };
        // Also where it held nothing, as far as is known here: others may know better.
        let has_past = self.others.contains_key(&node);
        let is_overtaken = self.coming.get(&node).is_some_and(|coming| coming.age() > whole.age());
        if whole.head.phase == Phase::Starting && has_past {
            if !is_overtaken {
                self.coming.insert(node, whole);
            }
            return news;
        }
        if !is_overtaken {
            self.coming.remove(&node);
        }
        let before = self.others.insert(node.clone(), whole.clone());
        let before = before.map(|statement| statement.holdings).unwrap_or_default();
        let all: BTreeSet<IpAddr> = before.keys().chain(whole.holdings.keys()).copied().collect();
        for address in all {
            let held = whole.holdings.get(&address);
            if before.get(&address) != held {
                self.index(address, &node, held.cloned());
                news.addresses.insert(address);
                if held.is_none() {
                    news.yielded.insert(address);
                }
            }
        }
        news
    }

    /// Only a former life can be news to this one.
    fn take_former(&mut self, part: Part) -> News {
        if part.head.started >= self.mine.head.started {
            return News::default();
        }
        let node = part.head.node.clone();
        let assembly = self.assemblies.entry(node).or_default();
        match assembly.take(part, self.former.as_ref()) {
            Assembled::Whole(whole) => {
                self.former = Some(whole);
                News { is_newer: true, ..News::default() }
            }
            Assembled::Gap => News { is_gap: true, ..News::default() },
            Assembled::Nothing => News::default(),
        }
    }

    /// Forgets `node` for good; gives what it held.
    pub fn forget(&mut self, node: &NodeName) -> BTreeSet<IpAddr> {
        self.coming.remove(node);
        self.assemblies.remove(node);
        let held = self.others.remove(node).map(|gone| gone.holdings).unwrap_or_default();
        for address in held.keys() {
            self.index(*address, node, None);
        }
        held.into_keys().collect()
    }

    /// What is known.
    pub fn digest(&self, lives: &Lives) -> Vec<Entry> {
        let entry = |statement: &Statement| {
            let Head { node, started, .. } = &statement.head;
            let gone = node != self.me() && !lives.is_alive(node);
            Entry { node: node.clone(), started: *started, version: statement.version, gone }
        };
        self.others.values().chain([&self.mine]).map(entry).collect()
    }

    /// Whether what is known of `node` is older than this.
    pub fn is_behind(&self, node: &NodeName, started: u64, version: u64) -> bool {
        let known = if node == self.me() {
            // Own words are never news; those of a former life are.
            if started >= self.mine.head.started {
                return false;
            }
            self.former.as_ref()
        } else {
            known(&self.coming, &self.others, node, started)
        };
        known.is_none_or(|known| known.age() < (started, version))
    }

    /// All that is known of `node`, to be passed on.
    pub fn parts_of(&self, node: &NodeName) -> Vec<Part> {
        self.of(node).map(Statement::parts).unwrap_or_default()
    }

    fn index(&mut self, address: IpAddr, node: &NodeName, held: Option<Held>) {
        let holders = self.holders.entry(address).or_default();
        match held {
            Some(held) => holders.insert(node.clone(), held),
            None => holders.remove(node),
        };
        if holders.is_empty() {
            self.holders.remove(&address);
        }
    }
}

/// What is known of `node` in its life that began at `started`, or in a later one. While a new life is
/// coming the last words of the former one still count, and may not all be known.
fn known<'a>(
    coming: &'a BTreeMap<NodeName, Statement>,
    others: &'a BTreeMap<NodeName, Statement>,
    node: &NodeName,
    started: u64,
) -> Option<&'a Statement> {
    let coming = coming.get(node).filter(|coming| coming.head.started <= started);
    coming.or_else(|| others.get(node))
}

#[cfg(test)]
mod tests;
