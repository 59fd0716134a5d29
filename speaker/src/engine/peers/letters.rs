//! What each word of another member means here.

use std::time::Duration;

use crds::model::ids::{IfIndex, MacAddr, NodeName};

use super::super::effect::Effect;
use super::Peers;
use crate::moment::Moment;
use crate::ownership::life::Life;
use crate::ownership::part::Part;
use crate::ownership::statement::Phase;
use crate::ownership::word::{Digest, Entry, Letter, Whom, Word};

impl Peers {
    pub(super) fn letter(
        &mut self,
        letter: Letter,
        path: Option<(IfIndex, MacAddr)>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let Letter { from, started, to, word } = letter;
        if from == *self.book.me() {
            return;
        }
        if let Some(to) = to.filter(|to| !self.is_meant(to)) {
            // Switches flood what they cannot place, and a stranger may send it again. But a former life
            // of this one is asked where it is not known yet that this one began.
            if to.node == *self.book.me() && matches!(word, Word::Ask { .. }) {
                let version = self.book.mine().version;
                self.tell(&from, Word::Hello { version }, effects);
            }
            return;
        }
        // What is sealed says who speaks, and nothing of the Ethernet header that it came behind.
        if let Some(path) = path.filter(|(_, mac)| self.may_have(&from, *mac)) {
            if self.paths.note(&from, path, now) {
                // Whoever deputises for it can answer on that link, too.
                self.touched.members.insert(from.clone());
                // And it for us: of what is said on all links at once, one copy counts.
                self.hello_on(path, effects);
            }
            if self.health.heard(path.0, now) {
                self.tell_links();
            }
        }
        if self.book.of(&from).is_some_and(|known| started < known.head.started) {
            // A former life, of which a word was late; or a new one on a machine whose clock was set
            // back, which must learn that it needs a later stamp.
            if matches!(word, Word::Ask { .. }) {
                self.tell_digest(&from, false, effects);
            }
            return;
        }
        self.hearsay.acquaint(&from);
        self.inquire(&from, started, now, effects);
        match word {
            Word::Ask { nonce, version, missed } => {
                if self.was_suspended(&from, Duration::from_millis(missed), now) {
                    // What it would say of its claims is not true any more.
                    return;
                }
                let answer = Word::Answer { nonce, version: self.book.mine().version };
                self.reply(&from, path, answer, effects);
                self.compare(&from, started, version, now);
                if !self.lives.is_present(&from) {
                    self.watch.hurry(&from, now);
                }
            }
            Word::Answer { nonce, version } => {
                self.answer(&Whom { node: from, started }, nonce, version, now, effects);
            }
            Word::Hello { version } => self.compare(&from, started, version, now),
            Word::Part(part) => self.part(&from, part, now, effects),
            Word::Want(node) => {
                for part in self.book.parts_of(&node) {
                    self.tell(&from, Word::Part(part), effects);
                }
            }
            Word::Digest(Digest { known, reply, page, pages }) => {
                for Entry { node, started, version, gone } in known {
                    if node == *self.book.me() && started > self.book.mine().head.started {
                        self.restart_as(started.saturating_add(1), now, effects);
                    }
                    if self.book.is_behind(&node, started, version) {
                        self.sync.want(&node, &from, (started, version), now);
                    }
                    self.hear_of(node.clone(), gone, now);
                    if !gone && self.lives.of(&node) == Life::Gone {
                        // Somebody knows better, and perhaps could not make itself heard.
                        self.inquire(&node, started, now, effects);
                    }
                }
                self.sync.report(&from, page, pages);
                if reply {
                    self.tell_digest(&from, false, effects);
                }
            }
            Word::Suspect { whom, nonce } => {
                self.suspect(&from, &whom, nonce, now, effects);
            }
            Word::Hears { whom, nonce, version } => {
                self.hears(&from, &whom, nonce, version, now);
            }
            Word::Verdict { whom, gone, hung_up } => {
                self.verdict(&whom, gone, now, effects);
                if hung_up && self.lives.of(&whom.node) == Life::Away {
                    self.lives.hang_up(&whom.node);
                }
            }
            Word::Deputised(version) => {
                if version == self.book.mine().version {
                    self.deputised.insert(from);
                }
            }
        }
    }

    /// Whether `from`, which has taken us for gone for so long, shows that our clock stood still.
    fn was_suspended(&mut self, from: &NodeName, missed: Duration, now: Moment) -> bool {
        self.stood_still |= self.contacts.stood_still(from, missed, now);
        self.stood_still
    }

    /// Answers on the path that the question came by.
    fn reply(
        &mut self,
        to: &NodeName,
        path: Option<(IfIndex, MacAddr)>,
        word: Word,
        effects: &mut Vec<Effect>,
    ) {
        let Some((link, mac)) = path else {
            return self.tell(to, word, effects);
        };
        let letter = self.letter_from_us(self.addressee(to), word);
        let bytes = self.mesh.seal(&letter);
        effects.push(Effect::Frame { link, to: mac, bytes });
    }

    /// Asks for the statement of `node` if this version of it is not known yet.
    fn compare(&mut self, node: &NodeName, started: u64, version: u64, now: Moment) {
        if self.book.is_behind(node, started, version) {
            self.sync.want(node, node, (started, version), now);
        }
    }

    fn answer(
        &mut self,
        whom: &Whom,
        nonce: u64,
        version: u64,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let from = &whom.node;
        let inquired = self.returns.asked(from, nonce);
        let Some(sent) = self.watch.answered(from, nonce).or(inquired) else { return };
        self.returns.answered(from);
        self.contacts.answered(from, sent);
        self.touch.prove(sent);
        self.compare(from, whom.started, version, now);
        // A new life counts once it says that it is ready; and one that was gone, once it has said
        // what it holds now.
        if !self.is_current(whom) || !self.is_up_to_date(whom, version) {
            return;
        }
        self.hearsay.heard(from, sent);
        let doubted = self.watch.settle(from);
        let vouched = self.hearsay.take_vouching(from);
        let was_present = self.lives.is_present(from);
        self.believe(from, Life::Present, now);
        for nonce in doubted.into_iter().chain(vouched) {
            self.tell_heard(from, nonce, effects);
        }
        if !was_present && doubted.is_none() {
            self.tell_heard(from, 0, effects);
        }
    }

    fn part(&mut self, from: &NodeName, part: Part, now: Moment, effects: &mut Vec<Effect>) {
        let node = part.head.node.clone();
        let is_leaving = part.head.phase == Phase::Leaving && node == *from;
        let age = (part.head.started, part.version);
        let before = self.book.of(&node).map(|statement| statement.head.clone());
        let news = self.book.take(part);
        if news.is_gap {
            self.sync.want(&node, from, age, now);
        }
        if is_leaving {
            // It may have missed the acknowledgement: it repeats itself until it has it.
            self.touched.members.insert(node.clone());
        }
        if !news.is_newer {
            return;
        }
        let Self { book, sync, .. } = self;
        sync.has(&node, |life, version| book.is_behind(&node, life, version));
        self.touched.addresses.extend(news.addresses);
        self.touched.yielded.extend(news.yielded);
        if self.has_returned(&node) {
            self.believe(&node, Life::Present, now);
        }
        let Some(after) = self.book.of(&node).map(|statement| statement.head.clone()) else {
            return;
        };
        let is_new_life = before.as_ref().is_none_or(|before| before.started < after.started);
        if is_new_life && node == *from {
            // From its own mouth, and never heard before.
            self.believe(&node, Life::Present, now);
            self.greet(&node, effects);
        } else if self.lives.belief(&node).is_none() {
            // By hearsay: it counts as there until a watcher says otherwise.
            self.believe(&node, self.hearsay.first_belief(&node), now);
        } else if is_new_life && matches!(self.lives.of(&node), Life::Gone | Life::Hidden) {
            // It started again while it could not be heard: it counts when it has answered.
            self.greet(&node, effects);
        }
        if before.as_ref() != Some(&after) {
            self.forget_old_paths(&node);
            self.touched.members.insert(node);
            self.sync.forget_crowd();
        }
    }

    /// Whether `to` is this member, or a later life of it by somebody's word: the clock may have been set back.
    fn is_meant(&self, to: &Whom) -> bool {
        let mine = &self.book.mine().head;
        to.node == mine.node && to.started >= mine.started
    }

    /// Whether this life of the member is the one whose claims count.
    pub(super) fn is_current(&self, whom: &Whom) -> bool {
        self.book.of(&whom.node).is_some_and(|known| known.head.started == whom.started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::neighbour::{Neighbour, identity};

    fn ask(missed: u64) -> Word {
        Word::Ask { nonce: 7, version: 1, missed }
    }

    /// The switch floods what is for a machine that is not there, and whoever is on the segment may send it to
    /// all; or a machine has come back under another name, and is taken for its former self.
    #[test]
    fn a_question_to_somebody_else_is_nobody_elses_and_one_to_a_former_life_is_answered_by_a_hello()
    {
        let now = Moment::after_start(Duration::from_secs(100));
        let mut peers = Peers::new(identity(1), 1, Moment::START);
        let mut neighbour = Neighbour::new(2);
        for bytes in neighbour.statement() {
            peers.datagram(&bytes, now, &mut Vec::new());
        }
        peers.contacts.answered(neighbour.node(), now);
        peers.contacts.answered(neighbour.node(), now + Duration::from_secs(50));
        let later = now + Duration::from_secs(51);
        let mut hears = |node: &str, started, missed| {
            let to = Whom { node: node.into(), started };
            let bytes = neighbour.say_to(Some(to), ask(missed));
            let mut effects = Vec::new();
            peers.datagram(&bytes, later, &mut effects);
            let said = neighbour.heard(effects);
            (said, peers.stood_still())
        };
        assert_eq!(hears("n3", 1, 10_000_000), (vec![], false));
        let hello = Word::Hello { version: 1 };
        assert_eq!(hears("n1", 0, 10_000_000), (vec![hello], false));
        let answer = Word::Answer { nonce: 7, version: 1 };
        assert_eq!(hears("n1", 1, 0), (vec![answer.clone()], false));
        assert_eq!(hears("n1", 2, 0), (vec![answer], false), "its clock was set back");
        assert_eq!(hears("n1", 1, 10_000_000), (vec![], true), "it did stand still");
    }
}
