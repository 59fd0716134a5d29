//! What this member says of itself and of others without being asked, and what it repeats.

use std::time::Duration;

use crds::model::ids::NodeName;

use super::super::effect::Effect;
use super::Peers;
use crate::moment::Moment;
use crate::ownership::life::Life;
use crate::ownership::part::Part;
use crate::ownership::word::{Digest, Entry, Whom, Word};

/// News is repeated after these times: what one frame in twenty loses, two more rarely do.
const REPEATS: [Duration; 2] = [Duration::from_millis(60), Duration::from_millis(250)];
/// How often every link is told that this member is on it.
const HELLO_EVERY: Duration = Duration::from_secs(10);

/// What is to be said again, and when.
#[derive(Debug)]
pub(super) struct Repeats {
    news: Vec<(Moment, News)>,
    next_hello: Moment,
}

/// What bears repeating.
#[derive(Debug, Clone)]
enum News {
    /// Of this member's own statement.
    Mine(Part),
    /// The verdict on another, as long as it is believed. Who heard that one a moment ago believes
    /// only the last time.
    Verdict(NodeName),
}

impl Repeats {
    pub(super) const fn new(now: Moment) -> Self {
        Self { news: Vec::new(), next_hello: now }
    }

    fn add(&mut self, news: &News, now: Moment) {
        self.news.extend(REPEATS.map(|after| (now + after, news.clone())));
    }

    fn take_due(&mut self, now: Moment) -> Vec<News> {
        let due = self.news.extract_if(.., |(when, _)| *when <= now);
        due.map(|(_, news)| news).collect()
    }

    /// The links are others than before.
    pub(super) const fn hello_now(&mut self) {
        self.next_hello = Moment::START;
    }

    /// Whether every link is to be told again that this member is on it.
    pub(super) fn is_hello_due(&mut self, now: Moment) -> bool {
        let is_due = now >= self.next_hello;
        if is_due {
            self.next_hello = now + HELLO_EVERY;
        }
        is_due
    }

    pub(super) fn next_deadline(&self, has_links: bool) -> Option<Moment> {
        let news = self.news.iter().map(|(when, _)| *when).min();
        let hello = has_links.then_some(self.next_hello);
        news.into_iter().chain(hello).min()
    }
}

impl Peers {
    /// Says who we are to one who does not know it yet, and asks the same.
    pub(super) fn greet(&mut self, node: &NodeName, effects: &mut Vec<Effect>) {
        for part in self.book.mine().parts() {
            self.tell(node, Word::Part(part), effects);
        }
        self.tell_digest(node, true, effects);
    }

    /// Tells `node` which statements are known here; and whether it is to say the same.
    pub(super) fn tell_digest(&mut self, node: &NodeName, reply: bool, effects: &mut Vec<Effect>) {
        self.tell_known(node, self.book.digest(&self.lives), reply, effects);
    }

    /// The same of some of them.
    pub(super) fn tell_known(
        &mut self,
        node: &NodeName,
        known: Vec<Entry>,
        reply: bool,
        effects: &mut Vec<Effect>,
    ) {
        for page in Digest::pages(known, reply) {
            self.tell(node, Word::Digest(page), effects);
        }
    }

    /// Begins to ask all others for what happened meanwhile.
    pub(in crate::engine) fn ask_all(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.sync.begin(now);
        for page in Digest::pages(self.book.digest(&self.lives), true) {
            self.tell_all(Word::Digest(page), effects);
        }
    }

    /// Tells all others what changed in this member's own statement.
    pub(in crate::engine) fn publish(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        for part in self.book.flush() {
            self.repeats.add(&News::Mine(part.clone()), now);
            self.tell_all(Word::Part(part), effects);
        }
    }

    /// Tells all others what is believed of `node`, which is away or gone.
    pub(super) fn pronounce(&mut self, node: &NodeName, now: Moment, effects: &mut Vec<Effect>) {
        self.repeats.add(&News::Verdict(node.clone()), now);
        self.tell_verdict(node, effects);
    }

    fn tell_verdict(&mut self, node: &NodeName, effects: &mut Vec<Effect>) {
        if let Some(verdict) = self.verdict_on(node) {
            self.tell_all(verdict, effects);
        }
    }

    /// What to tell others of `node`, if it is away or gone.
    pub(super) fn verdict_on(&self, node: &NodeName) -> Option<Word> {
        let gone = match self.lives.of(node) {
            Life::Gone => true,
            Life::Away => false,
            Life::Present | Life::Suspected | Life::Hidden => return None,
        };
        let whom = self.whom(node)?;
        Some(Word::Verdict { whom, gone, hung_up: self.hung_up(node) })
    }

    /// Says again what is to be repeated.
    pub(super) fn say_again(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        for news in self.repeats.take_due(now) {
            match news {
                News::Mine(part) => self.tell_all(Word::Part(part), effects),
                News::Verdict(node) => self.tell_verdict(&node, effects),
            }
        }
    }

    /// Repeats this member's own statement to all.
    pub(in crate::engine) fn repeat(&mut self, effects: &mut Vec<Effect>) {
        for part in self.book.mine().parts() {
            self.tell_all(Word::Part(part), effects);
        }
    }

    /// Tells the owner `node`, which leaves, that its addresses are answered for.
    pub(in crate::engine) fn acknowledge(&mut self, node: &NodeName, effects: &mut Vec<Effect>) {
        if let Some(version) = self.book.of(node).map(|statement| statement.version) {
            self.tell(node, Word::Deputised(version), effects);
        }
    }

    /// Says to all that `node` is heard.
    pub(super) fn tell_heard(&mut self, node: &NodeName, nonce: u64, effects: &mut Vec<Effect>) {
        let version = self.book.of(node).map_or(0, |statement| statement.version);
        if let Some(whom) = self.whom(node) {
            self.tell_all(Word::Hears { whom, nonce, version }, effects);
        }
    }

    /// Says to all that we are there.
    pub(super) fn tell_own(&mut self, nonce: u64, effects: &mut Vec<Effect>) {
        let mine = self.book.mine();
        let whom = Whom { node: mine.head.node.clone(), started: mine.head.started };
        let word = Word::Hears { whom, nonce, version: mine.version };
        self.tell_all(word, effects);
    }
}
