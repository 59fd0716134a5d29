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
    /// Those who have said which statements they know since then.
    reported: BTreeSet<NodeName>,
    wanted: BTreeMap<NodeName, Want>,
    next_digest: Moment,
    /// Whom it was told last.
    told: Option<NodeName>,
    /// Who was there when charges were last assigned.
    crowd: Option<BTreeMap<NodeName, bool>>,
}

/// A statement that is missing.
#[derive(Debug)]
struct Want {
    from: NodeName,
    /// Life and version: an older one that was on its way will not do.
    age: (u64, u64),
    due: Moment,
    tries: u32,
}

impl Sync {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            began: now,
            reported: BTreeSet::new(),
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

    /// `node` has said which statements it knows.
    pub(super) fn report(&mut self, node: &NodeName) {
        self.reported.insert(node.clone());
    }

    /// The statement of `node` is missing, and `from` has it: that of this life and version at
    /// least.
    pub(super) fn want(&mut self, node: &NodeName, from: &NodeName, age: (u64, u64), now: Moment) {
        let want = || Want { from: from.clone(), age, due: now, tries: 0 };
        let want = self.wanted.entry(node.clone()).or_insert_with(want);
        want.age = want.age.max(age);
    }

    /// `node` does what its statement does not say: a newer one is on its way, or has been lost.
    pub(super) fn miss(&mut self, node: &NodeName, now: Moment) {
        let want = || Want { from: node.clone(), age: (0, 0), due: now + AGAIN, tries: TRIES - 1 };
        self.wanted.entry(node.clone()).or_insert_with(want);
    }

    /// A statement of `node` has come, of this life and version.
    pub(super) fn has(&mut self, node: &NodeName, age: (u64, u64)) {
        if self.wanted.get(node).is_some_and(|want| want.age <= age) {
            self.wanted.remove(node);
        }
    }

    /// Which statements to ask for now, and of whom.
    pub(super) fn due(&mut self, now: Moment) -> Vec<(NodeName, NodeName)> {
        let mut due = Vec::new();
        self.wanted.retain(|node, want| {
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
            || (self.wanted.is_empty() && there.all(|node| self.reported.contains(node)))
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
