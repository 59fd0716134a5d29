//! One member in this one's charge: asking it, and judging it.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::model::ids::NodeName;

use super::doubt::{Company, DOUBT, Doubt, Finding, round_after};
use super::{Act, Surroundings};
use crate::moment::Moment;

/// How often a member that is there is asked.
const ASK_EVERY: Duration = Duration::from_millis(125);
/// How often one that is not is asked: healing is to be noticed at once.
const ASK_MISSING_EVERY: Duration = Duration::from_millis(400);
/// An answer that takes longer counts as missed. A network takes a millisecond, a busy machine can
/// take this long; being wrong costs a few frames.
const ANSWER_WITHIN: Duration = Duration::from_millis(80);
/// This many misses in a row are a suspicion.
pub(super) const MISSES: u32 = 2;
/// Without a witness on the wire that ever answered, only the mesh's word counts, after this.
const BLIND_DOUBT: Duration = Duration::from_secs(2);
/// After somebody else has heard the one we miss, it is not missed again for this long.
const HUSH: Duration = Duration::from_secs(1);
/// How often the kernel of a member is asked while its agent is away.
const NODE_EVERY: Duration = Duration::from_millis(200);
/// How long the wire alone may speak for an agent: a switch may answer from memory.
const WIRE_ALONE: Duration = Duration::from_secs(5);
/// And how long an answer there counts.
const WIRE_COUNTS_FOR: Duration = Duration::from_millis(450);
/// How often it is asked in health until it has answered once.
const WITNESS_EVERY: Duration = Duration::from_secs(5);

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
        let doubt = self.doubt.as_ref().map(|doubt| doubt.next_round);
        let first = self.next_ask.min(self.next_question);
        expiry.into_iter().chain(doubt).fold(first, Moment::min)
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
            let every = if self.wire_alone.is_some() { NODE_EVERY } else { WITNESS_EVERY };
            self.next_question = now + every;
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

    /// One that nothing but the wire speaks for is left in peace while that does, for a while.
    fn rely_on_wire(&mut self, now: Moment) {
        if let (Some(begun), Some(answered)) = (self.wire_alone, self.answered_on_wire)
            && now < begun + WIRE_ALONE
        {
            self.hush = self.hush.max(answered + WIRE_COUNTS_FOR);
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

    fn look_into(
        &mut self,
        node: &NodeName,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        let Some(doubt) = &mut self.doubt else { return };
        if doubt.is_vetoed {
            // The others reach it: the way between us and it is broken, not the member.
            self.doubt = None;
            self.misses = 0;
            self.hush = now + HUSH;
            return;
        }
        if doubt.keeps_company(around) == Company::Late {
            *doubt = Doubt::new(doubt.nonce, now);
        }
        if now < doubt.next_round {
            return;
        }
        let (nonce, since) = (doubt.nonce, doubt.since);
        // Its kernel has said that the process ended, so the node was there a moment ago.
        let hung_up = around.lives.belief(node).is_some_and(|belief| belief.hung_up);
        let is_due = now >= since + if hung_up { 2 * DOUBT } else { DOUBT };
        doubt.next_round = now + round_after(now.since(since));
        if is_due && let Some(finding) = self.finding(node, since, around, now) {
            self.doubt = None;
            self.misses = 0;
            self.pending.clear();
            self.next_ask = now + ASK_MISSING_EVERY;
            self.next_question = now + NODE_EVERY;
            acts.push(match finding {
                Finding::Gone => Act::Verdict { node: node.clone(), gone: true },
                Finding::Away => Act::Verdict { node: node.clone(), gone: false },
                Finding::Innocent => {
                    self.wire_alone.get_or_insert(now);
                    Act::Hears { node: node.clone(), nonce }
                }
            });
            return;
        }
        acts.push(Act::Suspect { node: node.clone(), nonce });
        self.ask(node, true, around, now, acts);
        acts.push(Act::Question(node.clone()));
        acts.push(Act::Count);
    }

    /// What the questions since `since` have shown, unless it is too early to say.
    fn finding(
        &self,
        node: &NodeName,
        since: Moment,
        around: &Surroundings<'_>,
        now: Moment,
    ) -> Option<Finding> {
        let after = |moment: Option<Moment>| moment.is_some_and(|moment| moment >= since);
        // What answers for one whose process has ended, by its kernel's word, or that has always
        // spoken by frames and does not any more, is a switch, from memory.
        let hung_up = around.lives.belief(node).is_some_and(|belief| belief.hung_up);
        let is_enough = !(around.spoke_by_frame)(node)
            && self.wire_alone.is_none_or(|begun| now < begun + WIRE_ALONE);
        if after(self.answered_on_wire) && !hung_up && is_enough {
            return Some(Finding::Innocent);
        }
        if after(self.testified) {
            return Some(Finding::Away);
        }
        // Whoever hears nobody may be the one that is cut off, and must conclude nothing.
        around.heard_since(since)?;
        if self.has_witness {
            return Some(Finding::Gone);
        }
        if hung_up {
            return Some(Finding::Away);
        }
        (now >= since + BLIND_DOUBT && (around.mesh_lost)(node)).then_some(Finding::Gone)
    }

    /// A member whose agent is away: it is its node that must go on answering.
    pub(super) fn watch_node(
        &mut self,
        node: &NodeName,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        if let Some(doubt) = &mut self.doubt {
            let since = doubt.since;
            if doubt.keeps_company(around) == Company::Late {
                *doubt = Doubt::new(doubt.nonce, now);
            } else if self.testified.is_some_and(|at| at >= since) {
                self.doubt = None;
                self.next_question = now + NODE_EVERY;
            } else if now >= doubt.next_round {
                self.look_into_node(node, since, around, now, acts);
            }
        } else if now >= self.next_question {
            let nonce = (around.nonce)();
            let next_round = now + round_after(Duration::ZERO);
            self.doubt = Some(Doubt { next_round, ..Doubt::new(nonce, now) });
            acts.push(Act::Question(node.clone()));
        }
        self.ask_missing(node, around, now, acts);
    }

    fn look_into_node(
        &mut self,
        node: &NodeName,
        since: Moment,
        around: &Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        let is_due = now >= since + DOUBT;
        let has_company = around.heard_since(since).is_some();
        if is_due && self.has_witness && has_company {
            self.doubt = None;
            acts.push(Act::Verdict { node: node.clone(), gone: true });
            return;
        }
        if let Some(doubt) = &mut self.doubt {
            doubt.next_round = now + round_after(now.since(since));
        }
        acts.push(Act::Question(node.clone()));
        acts.push(Act::Count);
    }

    /// A member that nothing is expected of.
    pub(super) fn watch_missing(
        &mut self,
        node: &NodeName,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        self.doubt = None;
        self.next_question = now + WITNESS_EVERY;
        self.ask_missing(node, around, now, acts);
    }

    fn ask_missing(
        &mut self,
        node: &NodeName,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        // Late answers count here: any at all is news.
        self.pending.retain(|_, sent| *sent + 4 * ASK_MISSING_EVERY > now);
        self.misses = 0;
        self.is_missing = true;
        if now >= self.next_ask {
            self.next_ask = now + ASK_MISSING_EVERY;
            self.ask(node, true, around, now, acts);
        }
    }
}
