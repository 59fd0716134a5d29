//! What others say of members: that they are missed, heard, away or gone; and how far that counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::model::ids::NodeName;

use super::super::effect::Effect;
use super::Peers;
use crate::limits;
use crate::moment::Moment;
use crate::ownership::life::Life;
use crate::ownership::word::Whom;

/// A suspicion that nobody follows up is forgotten after this.
const SUSPICION: Duration = Duration::from_millis(700);
/// One that was heard this recently is there, whatever others say: a verdict takes longer.
const HEARD_COUNTS_FOR: Duration = Duration::from_millis(250);

/// What others have said.
#[derive(Debug, Default)]
pub(super) struct Hearsay {
    /// Members that ever spoke to us: of them it takes more.
    acquainted: BTreeSet<NodeName>,
    /// Members that are gone by the word of others, before anything else is known of them.
    said_gone: BTreeSet<NodeName>,
    /// Suspicions, to be forgotten if nothing follows.
    suspicions: BTreeMap<NodeName, Suspicion>,
    /// Members whose next answer is to be told to all, for the suspicions with these numbers.
    vouching: BTreeMap<NodeName, BTreeSet<u64>>,
    /// When each was last known to answer somebody.
    heard_lately: BTreeMap<NodeName, Moment>,
}

/// That a member is missed.
#[derive(Debug, Default)]
struct Suspicion {
    /// The numbers of those who miss it.
    nonces: BTreeSet<u64>,
    /// When it is forgotten.
    end: Moment,
}

impl Hearsay {
    /// `node` has spoken to us itself.
    pub(super) fn acquaint(&mut self, node: &NodeName) {
        self.acquainted.insert(node.clone());
    }

    fn say(&mut self, node: NodeName, gone: bool) {
        if gone {
            self.said_gone.insert(node);
        } else {
            self.said_gone.remove(&node);
        }
    }

    /// What is believed of a member that is new here: that it is there, unless others know better.
    pub(super) fn first_belief(&self, node: &NodeName) -> Life {
        if self.said_gone.contains(node) { Life::Gone } else { Life::Present }
    }

    /// `node` is missed by somebody, under `nonce`.
    pub(super) fn suspect(&mut self, node: &NodeName, nonce: u64, now: Moment) {
        let suspicion = self.suspicions.entry(node.clone()).or_default();
        suspicion.end = now + SUSPICION;
        add(&mut suspicion.nonces, nonce);
    }

    /// `node` is heard, which answers the suspicion under `nonce`, or all of them if that is zero; whether
    /// none is left.
    fn is_cleared(&mut self, node: &NodeName, nonce: u64) -> bool {
        let Some(suspicion) = self.suspicions.get_mut(node) else { return true };
        suspicion.nonces.remove(&nonce);
        nonce == 0 || suspicion.nonces.is_empty()
    }

    /// Those who were missed, and of whom nothing more was said.
    pub(super) fn take_stale(&mut self, now: Moment) -> Vec<NodeName> {
        let stale = self.suspicions.extract_if(.., |_, suspicion| suspicion.end <= now);
        stale.map(|(node, _)| node).collect()
    }

    /// This is believed of `node` now.
    pub(super) fn believed(&mut self, node: &NodeName, life: Life) {
        if life != Life::Suspected {
            self.suspicions.remove(node);
        }
        if life == Life::Present {
            self.vouching.remove(node);
        }
    }

    /// The next answer of `node` is to be told to all, under `nonce`; whether that is news.
    fn ask_to_vouch(&mut self, node: &NodeName, nonce: u64) -> bool {
        add(self.vouching.entry(node.clone()).or_default(), nonce)
    }

    /// `node` has answered: under which numbers that is to be told.
    pub(super) fn take_vouching(&mut self, node: &NodeName) -> BTreeSet<u64> {
        self.vouching.remove(node).unwrap_or_default()
    }

    /// `node` was there at this moment, as somebody knows first-hand.
    pub(super) fn heard(&mut self, node: &NodeName, at: Moment) {
        let heard = self.heard_lately.entry(node.clone()).or_insert(at);
        *heard = at.max(*heard);
    }

    fn is_heard(&self, node: &NodeName, now: Moment) -> bool {
        self.heard_lately.get(node).is_some_and(|at| now.since(*at) < HEARD_COUNTS_FOR)
    }

    /// There is no such node any more.
    pub(super) fn forget(&mut self, node: &NodeName) {
        self.acquainted.remove(node);
        self.said_gone.remove(node);
        self.suspicions.remove(node);
        self.vouching.remove(node);
        self.heard_lately.remove(node);
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.suspicions.values().map(|suspicion| suspicion.end).min()
    }
}

/// Adds a number; whether it is news. Of more than there is room for the lowest goes.
fn add(nonces: &mut BTreeSet<u64>, nonce: u64) -> bool {
    let is_news = nonces.insert(nonce);
    if nonces.len() > limits::SUSPICIONS {
        nonces.pop_first();
    }
    is_news
}

impl Peers {
    /// By another's word `node` is gone, or is not. That counts until it speaks itself.
    pub(super) fn hear_of(&mut self, node: NodeName, gone: bool, now: Moment) {
        if gone && !self.hearsay.acquainted.contains(&node) && self.lives.is_present(&node) {
            self.believe(&node, Life::Gone, now);
        }
        self.hearsay.say(node, gone);
    }

    /// `from` misses this member, under `nonce`.
    pub(super) fn suspect(
        &mut self,
        from: &NodeName,
        whom: &Whom,
        nonce: u64,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let mine = &self.book.mine().head;
        if whom.node == mine.node {
            if whom.started == mine.started {
                self.tell_own(nonce, effects);
            }
            return;
        }
        if !self.is_current(whom) {
            return;
        }
        // One that was cut off missed everybody; coming back it says so, and that says nothing of them.
        if self.lives.is_alive(from) {
            self.suspected(&whom.node, nonce, now);
        }
        if self.hearsay.ask_to_vouch(&whom.node, nonce) {
            self.watch.hurry(&whom.node, now);
        }
    }

    /// `from` hears this member.
    pub(super) fn hears(
        &mut self,
        from: &NodeName,
        whom: &Whom,
        nonce: u64,
        version: u64,
        now: Moment,
    ) {
        if whom.node == *self.book.me() || !self.is_current(whom) {
            return;
        }
        self.hearsay.heard(&whom.node, now);
        self.watch.veto(&whom.node, nonce);
        match self.lives.of(&whom.node) {
            Life::Suspected if self.hearsay.is_cleared(&whom.node, nonce) => {
                self.believe(&whom.node, Life::Present, now);
            }
            Life::Away | Life::Gone | Life::Hidden if self.is_up_to_date(whom, version) => {
                self.believe(&whom.node, Life::Present, now);
            }
            _ => {}
        }
        if self.book.is_behind(&whom.node, whom.started, version) {
            self.sync.want(&whom.node, from, (whom.started, version), now);
        }
    }

    /// Another has given its verdict on this member.
    pub(super) fn verdict(
        &mut self,
        whom: &Whom,
        gone: bool,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let mine = &self.book.mine().head;
        if whom.node == mine.node {
            if whom.started == mine.started {
                self.tell_own(0, effects);
            }
            return;
        }
        if !self.is_current(whom) {
            return;
        }
        // Whoever gave it may hear nobody itself.
        if self.hearsay.is_heard(&whom.node, now) {
            return;
        }
        self.watch.settle(&whom.node);
        self.believe(&whom.node, if gone { Life::Gone } else { Life::Away }, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::after_start(Duration::from_millis(ms))
    }

    #[test]
    fn a_suspicion_that_nobody_follows_up_is_forgotten() {
        let node = NodeName::from("n2");
        let mut hearsay = Hearsay::default();
        hearsay.suspect(&node, 7, at(0));
        hearsay.believed(&node, Life::Suspected);
        assert_eq!(hearsay.take_stale(at(699)), []);
        assert_eq!(hearsay.next_deadline(), Some(at(700)));
        assert_eq!(hearsay.take_stale(at(700)), ["n2".into()]);
        assert_eq!(hearsay.take_stale(at(700)), [], "said once");
        hearsay.suspect(&node, 7, at(0));
        hearsay.believed(&node, Life::Gone);
        assert_eq!(hearsay.next_deadline(), None, "something followed");
    }

    #[test]
    fn each_suspicion_is_vouched_against_once() {
        let node = NodeName::from("n2");
        let mut hearsay = Hearsay::default();
        assert!(hearsay.ask_to_vouch(&node, 7));
        assert!(!hearsay.ask_to_vouch(&node, 7), "its repetition is no news");
        assert!(hearsay.ask_to_vouch(&node, 8));
        assert!(hearsay.take_vouching(&node).into_iter().eq([7, 8]), "both watchers wait for it");
        assert!(hearsay.take_vouching(&node).is_empty());
    }

    /// Two watchers miss it, and repeat that in turn.
    #[test]
    fn a_suspicion_is_over_when_all_who_have_it_are_answered() {
        let node = NodeName::from("n2");
        let mut hearsay = Hearsay::default();
        for nonce in [7, 8, 7, 8] {
            hearsay.suspect(&node, nonce, at(0));
        }
        assert!(!hearsay.is_cleared(&node, 7) && !hearsay.is_cleared(&node, 9));
        assert!(hearsay.is_cleared(&node, 8));
        hearsay.suspect(&node, 7, at(0));
        assert!(hearsay.is_cleared(&node, 0), "it was heard since, whoever missed it");
    }

    #[test]
    fn suspicions_without_end_fill_nothing() {
        let node = NodeName::from("n2");
        let mut hearsay = Hearsay::default();
        for nonce in 1..10_000 {
            hearsay.suspect(&node, nonce, at(0));
            hearsay.ask_to_vouch(&node, nonce);
        }
        assert_eq!(hearsay.take_vouching(&node).len(), limits::SUSPICIONS);
        assert_eq!(hearsay.suspicions[&node].nonces.len(), limits::SUSPICIONS);
    }

    #[test]
    fn one_that_was_heard_a_moment_ago_is_there_whatever_others_say() {
        let node = NodeName::from("n2");
        let mut hearsay = Hearsay::default();
        assert!(!hearsay.is_heard(&node, at(0)));
        hearsay.heard(&node, at(100));
        assert!(hearsay.is_heard(&node, at(349)) && !hearsay.is_heard(&node, at(350)));
    }
}
