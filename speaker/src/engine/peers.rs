//! The other members: what they say, whether they are there, and how to reach them.
//!
//! ```text
//! datagrams, frames -> mesh -> letters -> book, lives        questions, statements -> effects
//! the wire's answers ---------------------> watch -> acts ---------^
//! ```
//!
//! It keeps what ownership decides upon up to date, and notes what that touches; it decides about
//! no address.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crds::model::ids::NodeName;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::effect::Effect;
use crate::announce::desired::PortSpec;
use crate::mesh::{Identity, Mesh};
use crate::moment::Moment;
use crate::ownership::book::Book;
use crate::ownership::life::{Life, Lives};
use crate::ownership::statement::{Head, Phase};
use crate::ownership::watch::Watch;
use crate::ownership::word::{Letter, Whom, Word};

mod arrivals;
mod beliefs;
mod charges;
mod contacts;
mod hearsay;
mod knock;
mod letters;
mod linkhealth;
mod links;
mod news;
mod paths;
mod returns;
mod sync;
mod touch;
mod witness;

use contacts::Contacts;
use hearsay::Hearsay;
use knock::Knocks;
use linkhealth::LinkHealth;
use links::Links;
use news::Repeats;
use paths::Paths;
use returns::Returns;
use sync::Sync;
use touch::Touch;

/// The other members, and what they know of us.
pub(super) struct Peers {
    mesh: Mesh,
    book: Book,
    lives: Lives,
    watch: Watch,
    paths: Paths,
    sync: Sync,
    hearsay: Hearsay,
    returns: Returns,
    knocks: Knocks,
    ports: Vec<PortSpec>,
    links: Links,
    health: LinkHealth,
    nonces: SmallRng,
    touch: Touch,
    /// This machine was suspended, and what it held may be another's.
    stood_still: bool,
    contacts: Contacts,
    attended: BTreeSet<SocketAddr>,
    repeats: Repeats,
    /// Who was last said to live, and whether that was certain.
    members: (BTreeSet<NodeName>, bool),
    /// Who answers in our place while we leave.
    deputised: BTreeSet<NodeName>,
    pub(super) touched: Touched,
    /// A deliberate defect: see [`super::Defect::SkipWireCheck`].
    pub(super) skips_wire: bool,
    /// Another one: see [`super::Defect::NeverLapse`].
    pub(super) never_lapses: bool,
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
            hearsay: Hearsay::default(),
            returns: Returns::default(),
            knocks: Knocks::default(),
            ports: Vec::new(),
            links: Links::default(),
            health: LinkHealth::default(),
            nonces: SmallRng::seed_from_u64(seed),
            touch: Touch::new(now),
            stood_still: false,
            contacts: Contacts::default(),
            attended: BTreeSet::new(),
            repeats: Repeats::new(now),
            members: (BTreeSet::new(), false),
            deputised: BTreeSet::new(),
            touched: Touched::default(),
            skips_wire: false,
            never_lapses: false,
        }
    }

    pub(super) const fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    pub(super) const fn mesh_mut(&mut self) -> &mut Mesh {
        &mut self.mesh
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
        let there = |(_, life): &(&NodeName, Life)| matches!(life, Life::Present | Life::Suspected);
        let there = self.lives.iter().filter(there).map(|(node, _)| node);
        self.mesh.is_settled(now) && self.sync.is_done(there, now)
    }

    /// When `is_settled` is true in any case.
    pub(super) fn settles_by(&self) -> Moment {
        self.mesh.settles_by().max(self.sync.ends_by())
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
        if matches!(self.lives.of(name), Life::Present | Life::Suspected) {
            return;
        }
        self.lives.forget(name);
        self.paths.forget(name);
        self.hearsay.forget(name);
        self.returns.forget(name);
        self.contacts.forget(name);
        self.sync.forget(name);
        self.deputised.remove(name);
        self.touched.addresses.extend(self.book.forget(name));
        self.touched.members.insert(name.clone());
    }

    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.book.set_head(|head| head.phase = phase);
    }

    /// Everything that time brings.
    pub(super) fn tick(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.mesh.next_deadline().is_some_and(|due| due <= now) {
            let outcome = self.mesh.tick(now);
            self.mesh_outcome(outcome, None, now, effects);
        }
        self.drop_suspicions(now);
        self.assign_charges(now, effects);
        self.keep_watch(now, effects);
        for (node, from) in self.sync.due(now) {
            self.tell(&from, Word::Want(node), effects);
        }
        if let Some(node) = self.sync.digest_due(&self.lives, now) {
            self.tell_digest(&node, false, effects);
        }
        self.inquire_again(now, effects);
        self.welcome(effects);
        self.knock(now, effects);
        self.renew(now, effects);
        self.say_again(now, effects);
        self.look_after_links(now, effects);
        if self.repeats.is_hello_due(now) {
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

    /// Whether it has turned out that this machine was suspended; forgets it.
    pub(super) const fn stood_still(&mut self) -> bool {
        std::mem::replace(&mut self.stood_still, false)
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let may_be = |(_, life)| life != Life::Present;
        let alone = self.lives.iter().all(may_be).then_some(self.touch.next_alone());
        let others = [
            alone,
            self.mesh.next_deadline(),
            self.watch.next_deadline(),
            self.sync.next_deadline(),
            self.hearsay.next_deadline(),
            self.returns.next_deadline(),
            self.health.next_deadline(),
            self.knocks.next_deadline(),
            self.repeats.next_deadline(!self.ports.is_empty()),
        ];
        others.into_iter().flatten().min()
    }

    /// A letter to `to`, or to everybody.
    fn letter_from_us(&self, to: Option<Whom>, word: Word) -> Letter {
        let head = &self.book.mine().head;
        Letter { from: head.node.clone(), started: head.started, to, word }
    }

    /// The life of `node` that is written to: its newest. Nothing is known of one that was never heard.
    fn addressee(&self, node: &NodeName) -> Option<Whom> {
        let started = self.book.head(node).map(|head| head.started);
        let started = started.max(self.mesh.member(node).map(|member| member.started))?;
        Some(Whom { node: node.clone(), started })
    }
}
