//! The other members: what they say, whether they are there, and how to reach them.
//!
//! ```text
//! datagrams, frames -> mesh -> letters -> book, lives        questions, statements -> effects
//! the wire's answers ---------------------> watch -> acts ---------^
//! ```
//!
//! It keeps what ownership decides upon up to date, and notes what that touches; it decides about
//! no address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crds::model::ids::{IfIndex, MacAddr, NodeName};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::effect::Effect;
use crate::announce::desired::PortSpec;
use crate::facts::SpeakerFacts;
use crate::link::LinkFacts;
use crate::mesh::{Identity, Mesh, Outcome};
use crate::moment::Moment;
use crate::ownership::book::Book;
use crate::ownership::life::{Life, Lives};
use crate::ownership::statement::{Head, LinkWord, Part, Phase};
use crate::ownership::watch::{Act, Surroundings, Watch};
use crate::ownership::word::{Letter, Whom, Word};

mod charges;
mod contacts;
mod knock;
mod letters;
mod linkhealth;
mod paths;
mod sync;
mod witness;

use contacts::Contacts;
use knock::Knocks;
use linkhealth::LinkHealth;
use paths::Paths;
use sync::Sync;

/// How long answers may be given after the last proof that this agent is in touch. Longer than the
/// watch needs to find out that a member has lost its agent, shorter than a second: so long two may
/// answer after a suspended machine wakes up.
const PROVEN_FOR: Duration = Duration::from_millis(600);
/// A suspicion that nobody follows up is forgotten after this.
const SUSPICION: Duration = Duration::from_millis(700);
/// News is repeated after these times: what one frame in twenty loses, two more rarely do.
const REPEATS: [Duration; 2] = [Duration::from_millis(60), Duration::from_millis(250)];
/// How often every link is told that this member is on it.
const HELLO_EVERY: Duration = Duration::from_secs(10);
/// Frames that arrived this recently show that a link works.
const FRAMES_COUNT_FOR: Duration = Duration::from_secs(1);
/// A member that is alone shows that it is no hung process this often.
const ALONE_TICK: Duration = Duration::from_millis(200);

/// The other members, and what they know of us.
pub(super) struct Peers {
    mesh: Mesh,
    book: Book,
    lives: Lives,
    watch: Watch,
    paths: Paths,
    sync: Sync,
    /// Members that ever spoke to us.
    acquainted: BTreeSet<NodeName>,
    /// Members that are gone by the word of others, before anything else is known of them.
    said_gone: BTreeSet<NodeName>,
    /// Members that are heard again, and the version of the statement that is still to come.
    returning: BTreeMap<NodeName, (u64, u64)>,
    knocks: Knocks,
    ports: Vec<PortSpec>,
    /// All links that can carry announcements, as they are told of.
    words: BTreeMap<IfIndex, LinkWord>,
    /// The names of all links that ever could.
    had: BTreeSet<String>,
    health: LinkHealth,
    nonces: SmallRng,
    /// When the latest question that was answered had been asked.
    proof: Option<Moment>,
    /// Frames of any host arrived since this moment, by the counters.
    frames: Option<Moment>,
    counted: Option<(Moment, BTreeMap<IfIndex, u64>)>,
    /// Suspicions of others, to be forgotten if nothing follows.
    suspicions: BTreeMap<NodeName, Moment>,
    /// Members that are back, and may not know what happened meanwhile.
    welcome: BTreeSet<NodeName>,
    /// This machine was suspended, and what it held may be another's.
    stood_still: bool,
    /// Members whose next answer is to be told to all, for the suspicion with this number.
    vouching: BTreeMap<NodeName, u64>,
    /// Members that are missing and were asked all the same: under which number, and when.
    inquiries: BTreeMap<NodeName, (u64, Moment)>,
    /// When each was last known to answer somebody.
    heard_lately: BTreeMap<NodeName, Moment>,
    contacts: Contacts,
    /// Until when the ports may answer, as last told to them.
    renewed: Moment,
    next_alone: Moment,
    attended: BTreeSet<SocketAddr>,
    /// News to be repeated.
    repeats: Vec<(Moment, Part)>,
    next_hello: Moment,
    /// Who was last said to live, and whether that was certain.
    members: (BTreeSet<NodeName>, bool),
    /// Who answers in our place while we leave.
    deputised: BTreeSet<NodeName>,
    pub(super) touched: Touched,
    /// A deliberate defect: see [`super::Defect::SkipWireCheck`].
    pub(super) skips_wire: bool,
}

/// What must be decided anew.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Somebody else holds these differently.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Somebody else has given these up.
    pub(super) yielded: BTreeSet<IpAddr>,
    /// A member that was gone is back.
    pub(super) returned: bool,
    /// This member's own links do not work as before.
    pub(super) links: bool,
    /// Others are there than before, or other things can be expected of them: what they hold.
    pub(super) members: BTreeSet<NodeName>,
}

impl Peers {
    pub(super) fn new(identity: Identity, seed: u64, now: Moment) -> Self {
        let head = Head {
            node: identity.member.node.clone(),
            started: identity.member.started,
            addr: identity.member.addr,
            phase: Phase::Starting,
            links: Vec::new(),
            whole: true,
        };
        Self {
            mesh: Mesh::new(identity, now),
            book: Book::new(head),
            lives: Lives::default(),
            watch: Watch::default(),
            paths: Paths::default(),
            sync: Sync::new(now),
            acquainted: BTreeSet::new(),
            said_gone: BTreeSet::new(),
            returning: BTreeMap::new(),
            knocks: Knocks::default(),
            ports: Vec::new(),
            words: BTreeMap::new(),
            had: BTreeSet::new(),
            health: LinkHealth::default(),
            nonces: SmallRng::seed_from_u64(seed),
            proof: None,
            frames: None,
            counted: None,
            suspicions: BTreeMap::new(),
            welcome: BTreeSet::new(),
            stood_still: false,
            vouching: BTreeMap::new(),
            inquiries: BTreeMap::new(),
            heard_lately: BTreeMap::new(),
            contacts: Contacts::default(),
            renewed: Moment::START,
            next_alone: now,
            attended: BTreeSet::new(),
            repeats: Vec::new(),
            next_hello: now,
            members: (BTreeSet::new(), false),
            deputised: BTreeSet::new(),
            touched: Touched::default(),
            skips_wire: false,
        }
    }

    pub(super) const fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    pub(super) const fn book(&self) -> &Book {
        &self.book
    }

    /// To change what this member holds.
    pub(super) const fn book_mut(&mut self) -> &mut Book {
        &mut self.book
    }

    pub(super) const fn lives(&self) -> &Lives {
        &self.lives
    }

    /// Whether enough is known of the others to act upon.
    pub(super) fn is_settled(&self, now: Moment) -> bool {
        let there =
            |(_, life): &(&NodeName, Life)| matches!(life, Life::Present | Life::Suspected(_));
        let there = self.lives.iter().filter(there).map(|(node, _)| node);
        self.mesh.is_settled(now) && self.sync.is_done(there, now)
    }

    /// When `is_settled` is true in any case.
    pub(super) fn settles_by(&self) -> Moment {
        self.mesh.settles_by().max(self.sync.ends_by())
    }

    /// Whether more than half of the nodes are in sight, this one included. One whose agent is away
    /// is in sight: its kernel answers, so the wire is whole that far. One that is suspected is not:
    /// when several are lost, the verdict on one comes before that on the next.
    pub(super) fn sees_most(&self) -> bool {
        let in_sight = |(_, life): &(&NodeName, Life)| matches!(life, Life::Present | Life::Away);
        let known = self.lives.len().max(self.mesh.expected());
        2 * (1 + self.lives.iter().filter(in_sight).count()) > 1 + known
    }

    /// Who has said that it answers in our place.
    pub(super) const fn deputised(&self) -> &BTreeSet<NodeName> {
        &self.deputised
    }

    pub(super) fn set_peers(&mut self, peers: BTreeSet<SocketAddr>) {
        self.mesh.set_peers(peers);
    }

    /// The node `name` was deleted: nothing is expected of it any more, unless it is there.
    pub(super) fn forget(&mut self, name: &NodeName) {
        if self.lives.is_present(name) {
            return;
        }
        self.lives.forget(name);
        self.paths.forget(name);
        self.touched.addresses.extend(self.book.forget(name));
        self.touched.members.insert(name.clone());
    }

    /// These links can carry announcements now.
    pub(super) fn set_links(&mut self, ports: &[PortSpec], links: &[LinkFacts]) {
        self.ports = ports.to_vec();
        let word = |port: &PortSpec| {
            let facts = links.iter().find(|link| link.index == port.index);
            let addresses = facts.iter().flat_map(|link| &link.addresses);
            LinkWord {
                name: port.name.clone(),
                mac: port.mac,
                addresses: addresses.map(ipnetwork::IpNetwork::ip).collect(),
            }
        };
        self.words = ports.iter().map(|port| (port.index, word(port))).collect();
        self.had.extend(ports.iter().map(|port| port.name.clone()));
        self.next_hello = Moment::START;
        self.tell_links();
    }

    /// Says which links work.
    fn tell_links(&mut self) {
        let works = |(link, _): &(&IfIndex, &LinkWord)| !self.health.is_dead(**link);
        let links: Vec<LinkWord> =
            self.words.iter().filter(works).map(|(_, word)| word.clone()).collect();
        let whole = links.len() >= self.had.len();
        self.touched.links |= self.book.mine().head.links != links;
        self.book.set_head(|head| {
            head.links = links;
            head.whole = whole;
        });
    }

    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.book.set_head(|head| head.phase = phase);
    }

    /// A datagram came in.
    pub(super) fn datagram(&mut self, bytes: &[u8], now: Moment, effects: &mut Vec<Effect>) {
        let outcome = self.mesh.receive(bytes, now);
        self.mesh_outcome(outcome, None, now, effects);
    }

    /// A link frame came in.
    pub(super) fn frame(
        &mut self,
        link: IfIndex,
        source: MacAddr,
        bytes: &[u8],
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let outcome = self.mesh.receive(bytes, now);
        self.mesh_outcome(outcome, Some((link, source)), now, effects);
    }

    fn mesh_outcome(
        &mut self,
        outcome: Outcome,
        path: Option<(IfIndex, MacAddr)>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        effects.extend(outcome.datagrams.into_iter().map(|(to, bytes)| Effect::Send { to, bytes }));
        if outcome.changed {
            self.mesh_changed(now, effects);
        }
        if let Some(letter) = outcome.letter {
            self.letter(letter, path, now, effects);
        }
    }

    /// The mesh knows others than before: it brings members in, and never out.
    fn mesh_changed(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let members: Vec<_> = self.mesh.others().cloned().collect();
        for member in members {
            let known = self.book.of(&member.node).map(|statement| statement.head.started);
            match known {
                // Its agent has started anew, so the former one is away.
                Some(started) if started < member.started => {
                    if matches!(self.lives.of(&member.node), Life::Present | Life::Suspected(_)) {
                        self.believe(&member.node, Life::Away, now);
                    }
                    self.greet(&member.node, effects);
                }
                None if self.lives.belief(&member.node).is_none() => {
                    let gone = self.said_gone.contains(&member.node);
                    self.believe(&member.node, if gone { Life::Gone } else { Life::Present }, now);
                    self.greet(&member.node, effects);
                }
                Some(_) | None => {}
            }
        }
    }

    /// Says who we are to one who does not know it yet, and asks the same.
    fn greet(&mut self, node: &NodeName, effects: &mut Vec<Effect>) {
        for part in self.book.mine().parts() {
            self.tell(node, Word::Part(part), effects);
        }
        let known = self.book.digest(&self.lives);
        self.tell(node, Word::Digest { known, reply: true }, effects);
    }

    /// Changes a belief and notes what that touches.
    fn believe(&mut self, node: &NodeName, life: Life, now: Moment) {
        let was = self.lives.belief(node).map(|belief| belief.life);
        if node == self.book.me() || !self.lives.set(node, life, now) {
            return;
        }
        if life == Life::Present && matches!(was, Some(Life::Gone | Life::Hidden | Life::Away)) {
            self.touched.returned = true;
            self.welcome.insert(node.clone());
        }
        if !matches!(life, Life::Suspected(_)) {
            self.suspicions.remove(node);
        }
        if life == Life::Present {
            self.vouching.remove(node);
        }
        self.returning.remove(node);
        self.touched.members.insert(node.clone());
    }

    /// The process at `addr` has ended, by its own kernel's word.
    pub(super) fn hangup(&mut self, addr: SocketAddr, now: Moment) {
        let gone = self.book.heads().find(|head| head.addr == addr).map(|head| head.node.clone());
        if let Some(node) = gone {
            self.lives.hang_up(&node);
            self.watch.doubt(&node, now);
        }
    }

    /// There is reason to think that `node` is gone.
    pub(super) fn doubt(&mut self, node: &NodeName, now: Moment) {
        self.watch.doubt(node, now);
    }

    /// Everything that time brings.
    pub(super) fn tick(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.mesh.next_deadline().is_some_and(|due| due <= now) {
            let outcome = self.mesh.tick(now);
            self.mesh_outcome(outcome, None, now, effects);
        }
        let stale: Vec<NodeName> = self
            .suspicions
            .iter()
            .filter(|(_, end)| **end <= now)
            .map(|(n, _)| n.clone())
            .collect();
        for node in stale {
            self.suspicions.remove(&node);
            if matches!(self.lives.of(&node), Life::Suspected(_)) {
                self.believe(&node, Life::Present, now);
            }
        }
        self.assign_charges(now, effects);
        let (lives, mesh, nonces) = (&self.lives, &self.mesh, &mut self.nonces);
        let paths = &self.paths;
        let acts = self.watch.tick(
            &mut Surroundings {
                lives,
                proof: self.proof,
                frames: self.frames,
                spoke_by_frame: &|node| paths.of(node).next().is_some(),
                mesh_lost: &|node| mesh.member(node).is_none(),
                nonce: &mut || nonces.next_u64() | 1,
            },
            now,
        );
        for act in acts {
            self.act(act, now, effects);
        }
        for (node, from) in self.sync.due(now) {
            self.tell(&from, Word::Want(node), effects);
        }
        if let Some(node) = self.sync.digest_due(&self.lives, now) {
            let known = self.book.digest(&self.lives);
            self.tell(&node, Word::Digest { known, reply: false }, effects);
        }
        for node in std::mem::take(&mut self.welcome) {
            self.bring_up_to_date(&node, effects);
        }
        self.knock(now, effects);
        self.renew(now, effects);
        self.repeat_news(now, effects);
        self.look_after_links(now, effects);
        if now >= self.next_hello {
            self.next_hello = now + HELLO_EVERY;
            self.hello(effects);
        }
        let alive = self.lives.iter().filter(|(_, life)| *life != Life::Gone);
        let mut alive: BTreeSet<NodeName> = alive.map(|(node, _)| node.clone()).collect();
        alive.insert(self.book.me().clone());
        let certain = self.sees_most();
        if self.members != (alive.clone(), certain) {
            self.members = (alive.clone(), certain);
            effects.push(Effect::Members { alive, certain });
        }
    }

    fn repeat_news(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let due = self.repeats.extract_if(.., |(when, _)| *when <= now);
        let due: Vec<Part> = due.map(|(_, part)| part).collect();
        for part in due {
            self.tell_all(Word::Part(part), effects);
        }
    }

    fn act(&mut self, act: Act, now: Moment, effects: &mut Vec<Effect>) {
        match act {
            Act::Ask { node, nonce, everywhere } => {
                let word = self.ask_of(&node, nonce, now);
                if everywhere {
                    self.tell(&node, word, effects);
                } else {
                    self.tell_briefly(&node, word, now, effects);
                }
            }
            Act::Question(node) => self.question(&node, effects),
            Act::Suspect { node, .. } if self.skips_wire => {
                self.act(Act::Verdict { node, gone: true }, now, effects);
            }
            Act::Suspect { node, nonce } => {
                self.suspected(&node, nonce, now);
                if let Some(whom) = self.whom(&node) {
                    self.tell_all(Word::Suspect { whom, nonce }, effects);
                }
            }
            Act::Hears { node, nonce } => {
                self.believe(&node, Life::Present, now);
                self.tell_heard(&node, nonce, effects);
            }
            Act::Verdict { node, gone } => {
                if let Some(whom) = self.whom(&node) {
                    let hung_up = self.hung_up(&node);
                    self.tell_all(Word::Verdict { whom, gone, hung_up }, effects);
                }
                self.believe(&node, if gone { Life::Gone } else { Life::Away }, now);
            }
            Act::Count => {
                if !effects.contains(&Effect::Count) {
                    effects.push(Effect::Count);
                }
            }
        }
    }

    /// Tells `node`, which is back, what it may have missed: this member's own changes, and whose
    /// node lives though its agent cannot say so.
    fn bring_up_to_date(&mut self, node: &NodeName, effects: &mut Vec<Effect>) {
        let version = self.book.mine().version;
        self.tell(node, Word::Hello { version }, effects);
        let away = self.lives.iter().filter(|(_, life)| *life == Life::Away);
        let away: Vec<NodeName> = away.map(|(node, _)| node.clone()).collect();
        for missing in away {
            if let Some(whom) = self.whom(&missing) {
                let hung_up = self.hung_up(&missing);
                self.tell(node, Word::Verdict { whom, gone: false, hung_up }, effects);
            }
        }
    }

    fn hung_up(&self, node: &NodeName) -> bool {
        self.lives.belief(node).is_some_and(|belief| belief.hung_up)
    }

    fn suspected(&mut self, node: &NodeName, nonce: u64, now: Moment) {
        if matches!(self.lives.of(node), Life::Present | Life::Suspected(_)) {
            self.believe(node, Life::Suspected(nonce), now);
            self.suspicions.insert(node.clone(), now + SUSPICION);
        }
    }

    fn tell_heard(&mut self, node: &NodeName, nonce: u64, effects: &mut Vec<Effect>) {
        let version = self.book.of(node).map_or(0, |statement| statement.version);
        if let Some(whom) = self.whom(node) {
            self.tell_all(Word::Hears { whom, nonce, version }, effects);
        }
    }

    fn whom(&self, node: &NodeName) -> Option<Whom> {
        let started = self.book.of(node)?.head.started;
        Some(Whom { node: node.clone(), started })
    }

    /// How many frames each link has received.
    pub(super) fn counted(&mut self, counts: BTreeMap<IfIndex, u64>, now: Moment) {
        if self.health.counted(&counts, now) {
            self.tell_links();
        }
        if let Some((since, before)) = &self.counted {
            let grew =
                |(link, count): (&IfIndex, &u64)| before.get(link).is_some_and(|b| count > b);
            if counts.iter().any(grew) {
                self.frames = Some(*since);
            }
        }
        self.counted = Some((now, counts));
    }

    /// Lets the ports go on while this agent is in touch with others, or while there are none.
    fn renew(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let mut until = self.proof.map(|proof| proof + PROVEN_FOR);
        if now >= self.next_alone && self.lives.is_empty() && self.mesh.expects_others() {
            effects.push(Effect::Count);
        }
        let is_due = now >= self.next_alone || self.renewed < now + PROVEN_FOR / 2;
        if now >= self.next_alone {
            self.next_alone = now + ALONE_TICK;
        }
        if is_due && self.is_alone(now) {
            until = until.max(Some(now + PROVEN_FOR));
        }
        if let Some(until) = until.filter(|until| *until > self.renewed) {
            self.renewed = until;
            effects.push(Effect::Renew(until));
        }
    }

    /// Whether there is nobody to be in touch with, and that is known for certain.
    fn is_alone(&self, now: Moment) -> bool {
        if self.lives.is_empty() && self.mesh.expects_others() {
            // None of those who should be there was ever heard. If other hosts are, the link works.
            return self.frames.is_some_and(|since| now.since(since) <= FRAMES_COUNT_FOR);
        }
        self.lives.iter().all(|(node, life)| match life {
            Life::Gone | Life::Hidden => true,
            Life::Away => self.hung_up(node),
            Life::Present | Life::Suspected(_) => false,
        })
    }

    /// Whether the ports have stopped answering because nobody was in touch.
    pub(super) fn is_lapsed(&self, now: Moment) -> bool {
        now > self.renewed
    }

    /// Whether it has turned out that this machine was suspended; forgets it.
    pub(super) const fn stood_still(&mut self) -> bool {
        std::mem::replace(&mut self.stood_still, false)
    }

    /// Begins to ask all others for what happened meanwhile.
    pub(super) fn ask_all(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.sync.begin(now);
        let known = self.book.digest(&self.lives);
        self.tell_all(Word::Digest { known, reply: true }, effects);
    }

    /// Tells all others what changed in this member's own statement.
    pub(super) fn publish(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        for part in self.book.flush() {
            self.repeats.extend(REPEATS.map(|after| (now + after, part.clone())));
            self.tell_all(Word::Part(part), effects);
        }
    }

    /// Repeats this member's own statement to all.
    pub(super) fn repeat(&mut self, effects: &mut Vec<Effect>) {
        for part in self.book.mine().parts() {
            self.tell_all(Word::Part(part), effects);
        }
    }

    /// Tells the owner `node`, which leaves, that its addresses are answered for.
    pub(super) fn acknowledge(&mut self, node: &NodeName, effects: &mut Vec<Effect>) {
        if let Some(version) = self.book.of(node).map(|statement| statement.version) {
            self.tell(node, Word::Deputised(version), effects);
        }
    }

    pub(super) fn speakers(&mut self, all: &BTreeMap<NodeName, SpeakerFacts>, now: Moment) {
        let echoed: Vec<NodeName> = self.knocks.echoed(all, now).collect();
        for node in echoed {
            if matches!(self.lives.of(&node), Life::Gone | Life::Hidden) {
                self.believe(&node, Life::Hidden, now);
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let may_be = |(_, life)| matches!(life, Life::Gone | Life::Hidden);
        let alone = self.lives.iter().all(may_be).then_some(self.next_alone);
        let stale = self.suspicions.values().min().copied();
        let mesh = self.mesh.next_deadline();
        let repeat = self.repeats.iter().map(|(when, _)| *when).min();
        let hello = Some(self.next_hello).filter(|_| !self.ports.is_empty());
        let others = [
            alone,
            self.health.next_deadline(),
            repeat,
            hello,
            stale,
            mesh,
            self.watch.next_deadline(),
            self.sync.next_deadline(),
        ];
        let knock = self.knocks.next_deadline();
        others.into_iter().chain([knock]).flatten().min()
    }

    fn letter_from_us(&self, word: Word) -> Letter {
        let head = &self.book.mine().head;
        Letter { from: head.node.clone(), started: head.started, word }
    }
}
