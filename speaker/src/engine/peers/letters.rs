//! What each word of another member means here.

use std::time::Duration;

use crds::model::ids::{IfIndex, MacAddr, NodeName};
use rand::Rng as _;

use super::super::effect::Effect;
use super::Peers;
use crate::moment::Moment;
use crate::ownership::life::Life;
use crate::ownership::statement::{Part, Phase};
use crate::ownership::word::{Entry, Letter, Whom, Word};

/// How often one that is missing and says something is asked whether it is there.
const INQUIRE_EVERY: Duration = Duration::from_millis(200);

/// One that was heard this recently is there, whatever others say: a verdict takes longer.
const HEARD_COUNTS_FOR: Duration = Duration::from_millis(250);

impl Peers {
    pub(super) fn letter(
        &mut self,
        letter: Letter,
        path: Option<(IfIndex, MacAddr)>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let Letter { from, started, word } = letter;
        if from == *self.book.me() {
            return;
        }
        if let Some(path) = path {
            self.paths.note(&from, path, now);
            if self.health.heard(path.0, now) {
                self.tell_links();
            }
        }
        if self.book.of(&from).is_some_and(|known| started < known.head.started) {
            // A former life, of which a word was late; or a new one on a machine whose clock was set
            // back, which must learn that it needs a later stamp.
            if matches!(word, Word::Ask { .. }) {
                let known = self.book.digest(&self.lives);
                self.tell(&from, Word::Digest { known, reply: false }, effects);
            }
            return;
        }
        self.acquainted.insert(from.clone());
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
            Word::Digest { known, reply } => {
                for Entry { node, started, version, gone } in known {
                    if node == *self.book.me() && started > self.book.mine().head.started {
                        self.restart_as(started + 1, now, effects);
                    }
                    if self.book.is_behind(&node, started, version) {
                        self.sync.want(&node, &from, now);
                    }
                    self.hearsay(node, gone, now);
                }
                self.sync.report(&from);
                if reply {
                    let known = self.book.digest(&self.lives);
                    self.tell(&from, Word::Digest { known, reply: false }, effects);
                }
            }
            Word::Suspect { whom, nonce } => self.suspect(&whom, nonce, now, effects),
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

    /// By another's word `node` is gone, or is not. That counts until it speaks itself.
    fn hearsay(&mut self, node: NodeName, gone: bool, now: Moment) {
        if gone && !self.acquainted.contains(&node) && self.lives.is_present(&node) {
            self.believe(&node, Life::Gone, now);
        }
        if gone {
            self.said_gone.insert(node);
        } else {
            self.said_gone.remove(&node);
        }
    }

    /// Others know a later life of this member: the clock was set back. This one must be the latest.
    fn restart_as(&mut self, started: u64, now: Moment, effects: &mut Vec<Effect>) {
        let outcome = self.mesh.restart_as(started, now);
        self.book.set_head(|head| head.started = started);
        self.mesh_outcome(outcome, None, now, effects);
    }

    /// One that is taken for gone or away says something: it is asked whether it is there, since what
    /// it said may be old.
    fn inquire(&mut self, from: &NodeName, started: u64, now: Moment, effects: &mut Vec<Effect>) {
        let is_missing = matches!(self.lives.of(from), Life::Away | Life::Gone | Life::Hidden);
        let is_known = self.book.of(from).is_some_and(|known| known.head.started == started);
        let asked = self.inquiries.get(from).map(|(_, sent)| *sent);
        let is_due = asked.is_none_or(|sent| now.since(sent) >= INQUIRE_EVERY);
        if is_missing && is_known && is_due {
            let nonce = self.nonces.next_u64() | 1;
            self.inquiries.insert(from.clone(), (nonce, now));
            let ask = self.ask_of(from, nonce, now);
            self.tell(from, ask, effects);
        }
    }

    /// The question to `node` whether it is there.
    pub(super) fn ask_of(&self, node: &NodeName, nonce: u64, now: Moment) -> Word {
        let gone = self.lives.belief(node).filter(|belief| belief.life == Life::Gone);
        let silence = gone.map_or(0, |belief| now.since(belief.since).as_millis());
        let missed = u64::try_from(silence).unwrap_or(u64::MAX);
        Word::Ask { nonce, version: self.book.mine().version, missed }
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
        let letter = self.letter_from_us(word);
        let bytes = self.mesh.seal(&letter);
        effects.push(Effect::Frame { link, to: mac, bytes });
    }

    /// Asks for the statement of `node` if this version of it is not known yet.
    fn compare(&mut self, node: &NodeName, started: u64, version: u64, now: Moment) {
        if self.book.is_behind(node, started, version) {
            self.sync.want(node, node, now);
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
        let inquired = self.inquiries.get(from).filter(|(asked, _)| *asked == nonce);
        let inquired = inquired.map(|(_, sent)| *sent);
        let Some(sent) = self.watch.answered(from, nonce).or(inquired) else { return };
        self.inquiries.remove(from);
        self.contacts.answered(from, sent);
        self.proof = self.proof.max(Some(sent));
        self.compare(from, whom.started, version, now);
        // A new life counts once it says that it is ready; and one that was gone, once it has said
        // what it holds now.
        if !self.is_current(whom) || !self.is_up_to_date(whom, version) {
            return;
        }
        self.heard_lately.insert(from.clone(), sent);
        let doubted = self.watch.settle(from);
        let vouched = self.vouching.remove(from);
        let was_present = self.lives.is_present(from);
        self.believe(from, Life::Present, now);
        for nonce in doubted.into_iter().chain(vouched) {
            self.tell_heard(from, nonce, effects);
        }
        if !was_present && doubted.is_none() {
            self.tell_heard(from, 0, effects);
        }
    }

    /// Whether what is known of this member may be believed now that it is heard: of one that was
    /// gone only its latest statement, since it may have given up what it held. Otherwise that is
    /// believed as soon as it comes.
    fn is_up_to_date(&mut self, whom: &Whom, version: u64) -> bool {
        let was_gone = matches!(self.lives.of(&whom.node), Life::Gone | Life::Hidden);
        if was_gone && self.book.is_behind(&whom.node, whom.started, version) {
            self.returning.insert(whom.node.clone(), (whom.started, version));
            return false;
        }
        true
    }

    fn part(&mut self, from: &NodeName, part: Part, now: Moment, effects: &mut Vec<Effect>) {
        let node = part.head.node.clone();
        let is_leaving = part.head.phase == Phase::Leaving && node == *from;
        let before = self.book.of(&node).map(|statement| statement.head.clone());
        let news = self.book.take(part);
        if news.is_gap {
            self.sync.want(&node, from, now);
        }
        if is_leaving {
            // It may have missed the acknowledgement: it repeats itself until it has it.
            self.touched.members.insert(node.clone());
        }
        if !news.is_newer {
            return;
        }
        self.sync.has(&node);
        self.touched.addresses.extend(news.addresses);
        self.touched.yielded.extend(news.yielded);
        let has_returned = self
            .returning
            .get(&node)
            .is_some_and(|(started, version)| !self.book.is_behind(&node, *started, *version));
        if has_returned {
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
            let gone = self.said_gone.contains(&node);
            self.believe(&node, if gone { Life::Gone } else { Life::Present }, now);
        }
        if before.as_ref() != Some(&after) {
            self.touched.members.insert(node);
            self.sync.forget_crowd();
        }
    }

    fn suspect(&mut self, whom: &Whom, nonce: u64, now: Moment, effects: &mut Vec<Effect>) {
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
        self.suspected(&whom.node, nonce, now);
        if self.vouching.insert(whom.node.clone(), nonce) != Some(nonce) {
            self.watch.hurry(&whom.node, now);
        }
    }

    /// Says to all that we are there.
    fn tell_own(&mut self, nonce: u64, effects: &mut Vec<Effect>) {
        let mine = self.book.mine();
        let whom = Whom { node: mine.head.node.clone(), started: mine.head.started };
        let word = Word::Hears { whom, nonce, version: mine.version };
        self.tell_all(word, effects);
    }

    fn hears(&mut self, from: &NodeName, whom: &Whom, nonce: u64, version: u64, now: Moment) {
        if whom.node == *self.book.me() || !self.is_current(whom) {
            return;
        }
        self.heard_lately.insert(whom.node.clone(), now);
        self.watch.veto(&whom.node, nonce);
        match self.lives.of(&whom.node) {
            Life::Suspected(doubted) if doubted == nonce || nonce == 0 => {
                self.believe(&whom.node, Life::Present, now);
            }
            Life::Away | Life::Gone | Life::Hidden if self.is_up_to_date(whom, version) => {
                self.believe(&whom.node, Life::Present, now);
            }
            _ => {}
        }
        if self.book.is_behind(&whom.node, whom.started, version) {
            self.sync.want(&whom.node, from, now);
        }
    }

    fn verdict(&mut self, whom: &Whom, gone: bool, now: Moment, effects: &mut Vec<Effect>) {
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
        let heard = self.heard_lately.get(&whom.node);
        if heard.is_some_and(|at| now.since(*at) < HEARD_COUNTS_FOR) {
            return;
        }
        self.watch.settle(&whom.node);
        self.believe(&whom.node, if gone { Life::Gone } else { Life::Away }, now);
    }

    /// Whether this life of the member is the one whose claims count.
    fn is_current(&self, whom: &Whom) -> bool {
        self.book.of(&whom.node).is_some_and(|known| known.head.started == whom.started)
    }
}
