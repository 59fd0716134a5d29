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
    /// By member and the life of it that is asked for: of one that starts anew, the last words of the
    /// former life still count.
    wanted: BTreeMap<(NodeName, u64), Want>,
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
    /// An older one that was on its way will not do.
    version: u64,
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
