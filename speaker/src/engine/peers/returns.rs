//! Members that come back: asked whether they are there, believed once it is known what they hold
//! now, and told what happened meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::model::ids::NodeName;
use rand::Rng as _;

use super::super::effect::Effect;
use super::Peers;
use crate::moment::Moment;
use crate::ownership::life::Life;
use crate::ownership::word::{Whom, Word};

/// How often one that is missing and says something is asked whether it is there.
const INQUIRE_EVERY: Duration = Duration::from_millis(200);
/// And how often at most for one word of it.
const INQUIRIES: u32 = 3;

/// Who is coming back.
#[derive(Debug, Default)]
pub(super) struct Returns {
    /// Members that are missing and were asked all the same.
    inquiries: BTreeMap<NodeName, Inquiry>,
    /// Members that are heard again, and the version of the statement that is still to come.
    awaited: BTreeMap<NodeName, (u64, u64)>,
    /// Members that are back, and may not know what happened meanwhile.
    welcome: BTreeSet<NodeName>,
}

/// A question to one that is missing and said something.
#[derive(Debug, Clone, Copy)]
struct Inquiry {
    nonce: u64,
    sent: Moment,
    /// How often it was asked for the same word.
    count: u32,
}

impl Returns {
    fn is_inquiry_due(&self, node: &NodeName, now: Moment) -> bool {
        self.inquiries.get(node).is_none_or(|asked| asked.sent + INQUIRE_EVERY <= now)
    }

    fn inquired(&mut self, node: &NodeName, nonce: u64, count: u32, now: Moment) {
        self.inquiries.insert(node.clone(), Inquiry { nonce, sent: now, count });
    }

    /// Whom to ask again, and how often each was asked by now.
    fn unanswered(&mut self, now: Moment) -> Vec<(NodeName, u32)> {
        let is_due = |_: &NodeName, asked: &mut Inquiry| asked.sent + INQUIRE_EVERY <= now;
        let due = self.inquiries.extract_if(.., is_due);
        let due = due.filter(|(_, asked)| asked.count < INQUIRIES);
        due.map(|(node, asked)| (node, asked.count)).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.inquiries.values().map(|asked| asked.sent + INQUIRE_EVERY).min()
    }

    /// When `node` was asked under `nonce`, if that was the last time.
    pub(super) fn asked(&self, node: &NodeName, nonce: u64) -> Option<Moment> {
        let asked = self.inquiries.get(node)?;
        (asked.nonce == nonce).then_some(asked.sent)
    }

    /// `node` has answered.
    pub(super) fn answered(&mut self, node: &NodeName) {
        self.inquiries.remove(node);
    }

    fn await_statement(&mut self, whom: &Whom, version: u64) {
        self.awaited.insert(whom.node.clone(), (whom.started, version));
    }

    /// Something else is believed of `node` than before.
    pub(super) fn forget_awaited(&mut self, node: &NodeName) {
        self.awaited.remove(node);
    }

    /// There is no such node any more.
    pub(super) fn forget(&mut self, node: &NodeName) {
        self.inquiries.remove(node);
        self.awaited.remove(node);
        self.welcome.remove(node);
    }

    /// `node` was missing, and is there.
    pub(super) fn is_back(&mut self, node: &NodeName) {
        self.welcome.insert(node.clone());
    }
}

impl Peers {
    /// One that is taken for gone or away says something, or another says that it is there: it is
    /// asked, since what was said may be old.
    pub(super) fn inquire(
        &mut self,
        node: &NodeName,
        started: u64,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let is_known = self.book.of(node).is_some_and(|known| known.head.started == started);
        if is_known && self.returns.is_inquiry_due(node, now) {
            self.inquire_once(node, 1, now, effects);
        }
    }

    /// Asks those again who have not answered.
    pub(super) fn inquire_again(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        for (node, count) in self.returns.unanswered(now) {
            self.inquire_once(&node, count + 1, now, effects);
        }
    }

    fn inquire_once(
        &mut self,
        node: &NodeName,
        count: u32,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        if matches!(self.lives.of(node), Life::Away | Life::Gone | Life::Hidden) {
            let nonce = self.nonces.next_u64() | 1;
            self.returns.inquired(node, nonce, count, now);
            let ask = self.ask_of(node, nonce, now);
            self.tell(node, ask, effects);
        }
    }

    /// The question to `node` whether it is there.
    pub(super) fn ask_of(&self, node: &NodeName, nonce: u64, now: Moment) -> Word {
        let gone = self.lives.belief(node).filter(|belief| belief.life == Life::Gone);
        let silence = gone.map_or(0, |belief| now.since(belief.since).as_millis());
        let missed = u64::try_from(silence).unwrap_or(u64::MAX);
        Word::Ask { nonce, version: self.book.mine().version, missed }
    }

    /// Whether what is known of this member may be believed now that it is heard: of one that was
    /// gone only its latest statement, since it may have given up what it held. Otherwise that is
    /// believed as soon as it comes.
    pub(super) fn is_up_to_date(&mut self, whom: &Whom, version: u64) -> bool {
        let was_gone = matches!(self.lives.of(&whom.node), Life::Gone | Life::Hidden);
        if was_gone && self.book.is_behind(&whom.node, whom.started, version) {
            self.returns.await_statement(whom, version);
            return false;
        }
        true
    }

    /// Whether the statement that `node` was to come back with is there.
    pub(super) fn has_returned(&self, node: &NodeName) -> bool {
        let awaited = self.returns.awaited.get(node);
        awaited.is_some_and(|(started, version)| !self.book.is_behind(node, *started, *version))
    }

    /// Tells those who are back what happened meanwhile.
    pub(super) fn welcome(&mut self, effects: &mut Vec<Effect>) {
        for node in std::mem::take(&mut self.returns.welcome) {
            self.bring_up_to_date(&node, effects);
        }
    }

    /// Tells `node`, which is back, what it may have missed: this member's own changes, and of those
    /// whose node lives though their agent cannot say so, that; of them, and of those who are being
    /// looked into, what they said last.
    fn bring_up_to_date(&mut self, node: &NodeName, effects: &mut Vec<Effect>) {
        let version = self.book.mine().version;
        self.tell(node, Word::Hello { version }, effects);
        let away = self.lives.iter().filter(|(_, life)| *life == Life::Away);
        let away: Vec<NodeName> = away.map(|(node, _)| node.clone()).collect();
        for missing in away {
            if let Some(verdict) = self.verdict_on(&missing) {
                self.tell(node, verdict, effects);
            }
        }
        let mut known = self.book.digest(&self.lives);
        // Of one that is missed only now it cannot be told yet whether it will ever speak again.
        known.retain(|entry| matches!(self.lives.of(&entry.node), Life::Away | Life::Suspected));
        if !known.is_empty() {
            self.tell_known(node, known, false, effects);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::after_start(Duration::from_millis(ms))
    }

    #[test]
    fn one_that_is_missing_is_not_asked_for_each_of_its_words() {
        let node = NodeName::from("n2");
        let mut returns = Returns::default();
        assert!(returns.is_inquiry_due(&node, at(0)));
        returns.inquired(&node, 7, 1, at(0));
        assert!(!returns.is_inquiry_due(&node, at(199)) && returns.is_inquiry_due(&node, at(200)));
        assert_eq!((returns.asked(&node, 7), returns.asked(&node, 8)), (Some(at(0)), None));
        returns.answered(&node);
        assert!(returns.is_inquiry_due(&node, at(100)));
    }

    #[test]
    fn one_that_does_not_answer_is_asked_three_times() {
        let node = NodeName::from("n2");
        let mut returns = Returns::default();
        returns.inquired(&node, 7, 1, at(0));
        assert_eq!(returns.next_deadline(), Some(at(200)));
        assert_eq!(returns.unanswered(at(199)), []);
        assert_eq!(returns.unanswered(at(200)), [(node.clone(), 1)]);
        returns.inquired(&node, 8, 3, at(200));
        assert_eq!(returns.unanswered(at(400)), []);
        assert_eq!(returns.next_deadline(), None);
    }
}
