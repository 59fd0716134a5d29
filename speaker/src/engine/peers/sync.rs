//! Keeping the book complete: who must still say what they know, what is missing, and whom to ask.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::model::ids::NodeName;

use crate::moment::Moment;
use crate::ownership::life::{Life, Lives};

/// How long the others have to say what they know.
const PATIENCE: Duration = Duration::from_millis(500);
/// A statement that was asked for and did not come is asked for again after this.
const AGAIN: Duration = Duration::from_millis(80);
/// And that often.
const TRIES: u32 = 5;
/// How often one of the others, in turn, is told which statements are known here.
const DIGEST_EVERY: Duration = Duration::from_secs(1);

/// What is outstanding.
#[derive(Debug)]
pub(super) struct Sync {
    began: Moment,
    /// Which pages of their digests others have sent since then.
    reported: BTreeMap<NodeName, Pages>,
    /// By member and the life of it that is asked for: of one that starts anew, the last words of the
    /// former life still count.
    wanted: BTreeMap<(NodeName, u64), Want>,
    next_digest: Moment,
    /// Whom it was told last.
    told: Option<NodeName>,
    /// Who was there when charges were last assigned.
    crowd: Option<BTreeMap<NodeName, bool>>,
}

/// The pages of a digest that have come.
#[derive(Debug, Default)]
struct Pages {
    come: BTreeSet<u16>,
    count: u16,
}

impl Pages {
    /// Of two digests of different lengths the pages of the later count.
    fn add(&mut self, page: u16, count: u16) {
        if self.count != count {
            *self = Self { come: BTreeSet::new(), count };
        }
        if page < count {
            self.come.insert(page);
        }
    }

    fn is_whole(&self) -> bool {
        self.count > 0 && self.come.len() == usize::from(self.count)
    }
}

/// A statement that is missing.
#[derive(Debug)]
struct Want {
    from: NodeName,
    /// An older one that was on its way will not do.
    version: u64,
    due: Moment,
    tries: u32,
}

impl Sync {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            began: now,
            reported: BTreeMap::new(),
            wanted: BTreeMap::new(),
            next_digest: now + DIGEST_EVERY,
            told: None,
            crowd: None,
        }
    }

    /// Everybody is to report anew.
    pub(super) fn begin(&mut self, now: Moment) {
        self.began = now;
        self.reported.clear();
    }

    /// `node` has said which statements it knows, on this page of so many.
    pub(super) fn report(&mut self, node: &NodeName, page: u16, pages: u16) {
        self.reported.entry(node.clone()).or_default().add(page, pages);
    }

    /// The statement of `node` is missing, and `from` has it: that of this life and version at
    /// least.
    pub(super) fn want(&mut self, node: &NodeName, from: &NodeName, age: (u64, u64), now: Moment) {
        let (life, version) = age;
        let want = || Want { from: from.clone(), version, due: now, tries: 0 };
        let want = self.wanted.entry((node.clone(), life)).or_insert_with(want);
        want.version = want.version.max(version);
    }

    /// `node` does what its statement does not say: a newer one is on its way, or has been lost.
    pub(super) fn miss(&mut self, node: &NodeName, now: Moment) {
        if self.wanted.keys().all(|(wanted, _)| wanted != node) {
            let want = Want { from: node.clone(), version: 0, due: now + AGAIN, tries: TRIES - 1 };
            self.wanted.insert((node.clone(), 0), want);
        }
    }

    /// A statement of `node` has come; `is_behind` tells whether one of a life and version is missing
    /// still.
    pub(super) fn has(&mut self, node: &NodeName, is_behind: impl Fn(u64, u64) -> bool) {
        self.wanted.retain(|(wanted, life), want| wanted != node || is_behind(*life, want.version));
    }

    /// There is no such node any more.
    pub(super) fn forget(&mut self, node: &NodeName) {
        self.reported.remove(node);
        self.wanted.retain(|(wanted, _), want| wanted != node && want.from != *node);
    }

    /// Which statements to ask for now, and of whom.
    pub(super) fn due(&mut self, now: Moment) -> Vec<(NodeName, NodeName)> {
        let mut due = Vec::new();
        self.wanted.retain(|(node, _), want| {
            if want.due > now {
                return true;
            }
            want.tries += 1;
            want.due = now + AGAIN;
            if want.tries <= TRIES {
                due.push((node.clone(), want.from.clone()));
            }
            want.tries <= TRIES
        });
        due
    }

    /// Whom to tell which statements are known here, if it is time.
    pub(super) fn digest_due(&mut self, lives: &Lives, now: Moment) -> Option<NodeName> {
        if now < self.next_digest {
            return None;
        }
        self.next_digest = now + DIGEST_EVERY;
        let after = |node: &&NodeName| self.told.as_ref().is_none_or(|told| *node > told);
        let next = lives.present().find(after).or_else(|| lives.present().next()).cloned();
        self.told.clone_from(&next);
        next
    }

    /// Whether all who are there have said what they know, and what was missing has come.
    pub(super) fn is_done<'a>(
        &self,
        mut there: impl Iterator<Item = &'a NodeName>,
        now: Moment,
    ) -> bool {
        now >= self.ends_by()
            || (self.wanted.is_empty()
                && there.all(|node| self.reported.get(node).is_some_and(Pages::is_whole)))
    }

    pub(super) fn ends_by(&self) -> Moment {
        self.began + PATIENCE
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.wanted.values().map(|want| want.due).chain([self.next_digest]).min()
    }

    /// Charges must be assigned anew.
    pub(super) fn forget_crowd(&mut self) {
        self.crowd = None;
    }

    /// Whether the same members are there as when this was last asked.
    pub(super) fn is_same_crowd(&mut self, lives: &Lives) -> bool {
        let able = |(node, life): (&NodeName, Life)| (node.clone(), life == Life::Present);
        let crowd: BTreeMap<NodeName, bool> = lives.iter().map(able).collect();
        if self.crowd.as_ref() == Some(&crowd) {
            return true;
        }
        self.crowd = Some(crowd);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_come_when_all_its_pages_have() {
        let node = NodeName::from("n2");
        let mut sync = Sync::new(Moment::START);
        let is_done = |sync: &Sync| sync.is_done([&node].into_iter(), Moment::START);
        for (page, pages, expected) in [
            (0, 3, false),
            (2, 3, false),
            (2, 3, false),
            // Somebody came meanwhile, and its digest is longer now; or shorter.
            (1, 4, false),
            (1, 2, false),
            (7, 2, false),
            (0, 2, true),
        ] {
            sync.report(&node, page, pages);
            assert_eq!(is_done(&sync), expected, "page {page} of {pages}");
        }
        sync.begin(Moment::START);
        assert!(!is_done(&sync));
    }
}
