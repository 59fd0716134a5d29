//! One member in this one's charge: what is known by asking it, and when it is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::model::ids::NodeName;

use super::doubt::Doubt;
use super::{Act, Surroundings};
use crate::moment::Moment;

mod absent;
mod verdict;

/// How often a member that is there is asked.
const ASK_EVERY: Duration = Duration::from_millis(125);
/// How often one that is not is asked: healing is to be noticed at once.
const ASK_MISSING_EVERY: Duration = Duration::from_millis(400);
/// An answer that takes longer counts as missed. A network takes a millisecond, a busy machine can
/// take this long; being wrong costs a few frames.
const ANSWER_WITHIN: Duration = Duration::from_millis(80);
/// This many misses in a row are a suspicion.
pub(super) const MISSES: u32 = 2;
/// How often the kernel of a member is asked while its agent is away.
const NODE_EVERY: Duration = Duration::from_millis(200);
/// How often it is asked in health until it has answered once: soon at first, since its addresses may
/// not have been known yet; and seldom if it never does.
const WITNESS_SOON: Duration = Duration::from_millis(500);
const WITNESS_EVERY: Duration = Duration::from_secs(5);
/// So often it is asked soon.
const WITNESS_TRIES: u32 = 6;

/// What is known of one member by asking it.
#[derive(Debug)]
pub(super) struct Charge {
    next_ask: Moment,
    pending: BTreeMap<u64, Moment>,
    misses: u32,
    doubt: Option<Doubt>,
    hush: Moment,
    /// Whether its kernel ever answered for the node's own address.
    has_witness: bool,
    /// How often it was asked for that.
    tried: u32,
    next_question: Moment,
    /// When its kernel last answered.
    testified: Option<Moment>,
    /// Its agent was last seen to answer on the wire, though it does not answer us.
    answered_on_wire: Option<Moment>,
    /// Since when only the wire speaks for it.
    wire_alone: Option<Moment>,
    /// Nothing is expected of it: answers are welcome at any time, and their absence no news.
    is_missing: bool,
}

impl Charge {
    pub(super) const fn new(now: Moment) -> Self {
        Self {
            next_ask: now,
            pending: BTreeMap::new(),
            misses: 0,
            doubt: None,
            hush: now,
            has_witness: false,
            tried: 0,
            next_question: now,
            testified: None,
            answered_on_wire: None,
            wire_alone: None,
            is_missing: false,
        }
    }

    /// It has answered the question with this nonce; gives when that was asked, if it was.
    pub(super) fn answered(&mut self, nonce: u64) -> Option<Moment> {
        let sent = self.pending.remove(&nonce)?;
        self.pending.retain(|_, asked| *asked > sent);
        self.misses = 0;
        self.wire_alone = None;
        Some(sent)
    }

    /// Ends the doubt, if there is one; gives its number.
    pub(super) fn settle(&mut self) -> Option<u64> {
        self.misses = 0;
        self.doubt.take().map(|doubt| doubt.nonce)
    }

    /// Another hears it, while it is doubted here under `nonce`.
    pub(super) fn veto(&mut self, nonce: u64) {
        if let Some(doubt) = self.doubt.as_mut().filter(|doubt| doubt.nonce == nonce) {
            doubt.is_vetoed = true;
        }
    }

    pub(super) const fn testify(&mut self, now: Moment) {
        self.has_witness = true;
        self.testified = Some(now);
    }

    pub(super) const fn seen_answering(&mut self, now: Moment) {
        self.answered_on_wire = Some(now);
    }

    /// Doubts it from the next turn on.
    pub(super) const fn suspect(&mut self, now: Moment) {
        self.misses = MISSES;
        self.next_ask = now;
    }

    /// Asks it in the next turn.
    pub(super) const fn hurry(&mut self, now: Moment) {
        self.next_ask = now;
    }

    /// Whether an answer of it has not come.
    pub(super) const fn is_missed(&self) -> bool {
        self.misses > 0
    }

    /// Whether its next turn begins a doubt.
    pub(super) fn begins_to_doubt(&self, now: Moment) -> bool {
        self.doubt.is_none() && self.misses >= MISSES && now >= self.hush
    }

    /// When it has its next turn.
    pub(super) fn next(&self) -> Moment {
        let pending = self.pending.values().min().filter(|_| !self.is_missing);
        let expiry = pending.map(|sent| *sent + ANSWER_WITHIN);
        // A doubt asks in rounds of its own, instead of what is asked without one.
        let first = match &self.doubt {
            None => self.next_ask.min(self.next_question),
            Some(doubt) if self.is_missing => doubt.next_round.min(self.next_ask),
            Some(doubt) => doubt.next_round.min(self.next_question),
        };
        expiry.into_iter().fold(first, Moment::min)
    }

    /// A member that should answer.
    pub(super) fn watch(
        &mut self,
        node: &NodeName,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        self.is_missing = false;
        self.expire(now);
        if now >= self.next_question {
            let every = match self.wire_alone {
                Some(_) => NODE_EVERY,
                None if self.tried < WITNESS_TRIES && !self.has_witness => WITNESS_SOON,
                None => WITNESS_EVERY,
            };
            self.next_question = now + every;
            self.tried = self.tried.saturating_add(1);
            if self.wire_alone.is_some() || !self.has_witness {
                acts.push(Act::Question(node.clone()));
            }
        }
        self.rely_on_wire(now);
        if self.doubt.is_some() {
            self.look_into(node, around, now, acts);
        } else if self.begins_to_doubt(now) {
            let nonce = (around.nonce)();
            self.doubt = Some(Doubt::new(nonce, now));
            self.look_into(node, around, now, acts);
        } else if now >= self.next_ask {
            self.next_ask = now + ASK_EVERY;
            self.ask(node, self.misses > 0, around, now, acts);
        }
    }

    /// Counts the answers that did not come in time; the first is asked for again at once.
    fn expire(&mut self, now: Moment) {
        let before = self.pending.len();
        self.pending.retain(|_, sent| *sent + ANSWER_WITHIN > now);
        if self.pending.len() < before {
            self.misses = self.misses.saturating_add(1);
            self.next_ask = now;
        }
    }

    fn ask(
        &mut self,
        node: &NodeName,
        everywhere: bool,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        let nonce = (around.nonce)();
        self.pending.insert(nonce, now);
        acts.push(Act::Ask { node: node.clone(), nonce, everywhere });
    }
}
