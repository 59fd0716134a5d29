//! Who else is there: membership among the speakers.
//!
//! The protocol is SWIM, by `foca`, which does no I/O and reads no clock, so it lives inside the
//! engine: datagrams and elapsed timers come in, datagrams to send and timers to set come out as
//! an [`Outcome`]. Frames are sealed (see [`seal`]); what does not open is counted and dropped.
//!
//! ```text
//! Peer addresses (Pods) --> join until each is a member
//! datagram --> open --> kind --> foca --> sealed datagrams, timers, membership
//! ```
//!
//! Members are only ever reported here; what follows from a death is `ownership`'s to decide. Its
//! letters travel in frames of the same kind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crds::model::ids::NodeName;
use foca::{AccumulatingRuntime, Foca, OwnedNotification, PostcardCodec, Timer};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::moment::Moment;
use crate::ownership::word::Letter;

pub mod member;
pub mod rotation;
pub mod seal;
pub mod timing;

pub use member::Member;
use rotation::Rotation;
use seal::{Instance, Keyring, Opener, Rejected, Sealer};

/// A peer that is no member yet is asked to let us in this often.
const JOIN_INTERVAL: Duration = Duration::from_millis(500);
/// How long the first joins may take before we go on without those that do not answer.
const SETTLING: Duration = Duration::from_secs(2);

/// The first byte of an opened frame. Kinds that are not known here are counted and dropped, so
/// that a later release can add some without disturbing this one.
const KIND_SWIM: u8 = 0;
const KIND_LETTER: u8 = 1;

/// What a member must know of itself to take part.
#[derive(Debug, Clone)]
pub struct Identity {
    /// This member.
    pub member: Member,
    /// Random, new at each start: makes every frame of this process unique.
    pub instance: Instance,
    /// Made of the secrets that are shared.
    pub keys: Keyring,
    /// Seeds the choice of whom to probe.
    pub seed: u64,
}

/// A datagram to send: where to, and its sealed bytes.
pub type Datagram = (SocketAddr, Vec<u8>);

/// What came of an input.
#[derive(Debug, Default)]
pub struct Outcome {
    /// To be sent, in this order.
    pub datagrams: Vec<Datagram>,
    /// Whether [`Mesh::alive`] may answer differently than before.
    pub changed: bool,
    /// What was in the datagram, if it was a letter.
    pub letter: Option<Letter>,
}

/// Counts of what arrived and was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Frames that opened and were handled.
    pub received: u64,
    /// Frames shorter than a header, or empty within.
    pub malformed: u64,
    /// Frames of a protocol version that is not spoken here.
    pub version: u64,
    /// Frames sealed with a key that is not known here, or tampered with.
    pub unsealed: u64,
    /// Frames seen before.
    pub replayed: u64,
    /// Frames that opened and made no sense, or of an unknown kind.
    pub refused: u64,
}

/// Membership as one speaker sees it.
pub struct Mesh {
    foca: Foca<Member, PostcardCodec, SmallRng, foca::NoCustomBroadcast>,
    runtime: AccumulatingRuntime<Member>,
    timers: BTreeMap<(Moment, u64), Timer<Member>>,
    timer_count: u64,
    sealer: Sealer,
    opener: Opener,
    keys: Rotation,
    peers: BTreeSet<SocketAddr>,
    next_join: Moment,
    settle_by: Moment,
    alive: BTreeMap<NodeName, Member>,
    counts: Counts,
}

impl Mesh {
    /// A member that knows nobody yet; `now` starts the time allowed for the first joins.
    pub fn new(identity: Identity, now: Moment) -> Self {
        let Identity { member, instance, keys, seed } = identity;
        let rng = SmallRng::seed_from_u64(seed);
        Self {
            foca: Foca::new(member, timing::config(), rng, PostcardCodec),
            runtime: AccumulatingRuntime::new(),
            timers: BTreeMap::new(),
            timer_count: 0,
            sealer: Sealer::new(&keys, instance),
            opener: Opener::new(&keys),
            keys: Rotation::new(keys),
            peers: BTreeSet::new(),
            next_join: now,
            settle_by: now + SETTLING,
            alive: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// The living members by node, this one included.
    pub fn alive(&self) -> impl Iterator<Item = &NodeName> {
        self.alive.keys().chain(std::iter::once(&self.foca.identity().node))
    }

    /// The living member on `node`, another than this one.
    pub fn member(&self, node: &NodeName) -> Option<&Member> {
        self.alive.get(node)
    }

    /// All living members but this one.
    pub fn others(&self) -> impl Iterator<Item = &Member> {
        self.alive.values()
    }

    /// This member.
    pub fn identity(&self) -> &Member {
        self.foca.identity()
    }

    /// The file has these keys now; whether they are others than before.
    pub fn set_keys(&mut self, keys: Keyring, now: Moment) -> bool {
        let is_change = self.keys.change(keys, now);
        if is_change {
            self.use_keys();
        }
        is_change
    }

    fn use_keys(&mut self) {
        self.sealer.set_key(self.keys.sealing());
        self.opener.set_keys(self.keys.opening());
    }

    /// Seals `letter`. The bytes may be sent to any number of members, in any way: nobody takes them
    /// twice.
    pub fn seal(&mut self, letter: &Letter) -> Vec<u8> {
        let mut plain = vec![KIND_LETTER];
        plain.extend(letter.to_bytes());
        let sealed = self.sealer.seal(&plain);
        debug_assert!(sealed.len() <= limits::MESSAGE, "{} bytes: {letter:?}", sealed.len());
        sealed
    }

    /// Whether membership is known well enough to act on: every peer has answered, or has had its
    /// time to. Before that a speaker would think itself alone and answer for everything.
    pub fn is_settled(&self, now: Moment) -> bool {
        now >= self.settle_by || self.missing_peers().next().is_none()
    }

    /// The time by which membership is settled in any case.
    pub const fn settles_by(&self) -> Moment {
        self.settle_by
    }

    /// What arrived so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// When [`tick`](Self::tick) must be called next.
    pub fn next_deadline(&self) -> Option<Moment> {
        let timer = self.timers.first_key_value().map(|((due, _), _)| *due);
        let join = self.missing_peers().next().map(|_| self.next_join);
        timer.into_iter().chain(join).chain(self.keys.next_deadline()).min()
    }

    /// How many other speakers there should be.
    pub fn expected(&self) -> usize {
        self.peers.len()
    }

    /// Whether there should be other speakers at all.
    pub fn expects_others(&self) -> bool {
        !self.peers.is_empty()
    }

    /// Replaces the addresses where speakers should be.
    pub fn set_peers(&mut self, peers: BTreeSet<SocketAddr>) {
        self.peers = peers;
        self.peers.remove(&self.foca.identity().addr);
    }

    /// Goes on as another, later life of this member.
    pub fn restart_as(&mut self, started: u64, now: Moment) -> Outcome {
        let member = Member { started, ..self.foca.identity().clone() };
        // Fails only for the identity that it has already.
        let _same = self.foca.change_identity(member, &mut self.runtime);
        self.drain(now)
    }

    /// Takes a datagram that arrived.
    pub fn receive(&mut self, datagram: &[u8], now: Moment) -> Outcome {
        let opened = match self.opener.open(datagram) {
            Ok(opened) => opened,
            Err(rejected) => {
                *match rejected {
                    Rejected::Malformed => &mut self.counts.malformed,
                    Rejected::Version(_) => &mut self.counts.version,
                    Rejected::Unsealed => &mut self.counts.unsealed,
                    Rejected::Replayed => &mut self.counts.replayed,
                } += 1;
                return Outcome::default();
            }
        };
        let mut letter = None;
        let handled = match opened.split_first() {
            Some((&KIND_SWIM, body)) => self.foca.handle_data(body, &mut self.runtime).is_ok(),
            Some((&KIND_LETTER, body)) => {
                letter = Letter::from_bytes(body);
                letter.is_some()
            }
            Some(_) | None => false,
        };
        *if handled { &mut self.counts.received } else { &mut self.counts.refused } += 1;
        Outcome { letter, ..self.drain(now) }
    }

    /// Handles the timers that are due and asks missing peers to let us in.
    pub fn tick(&mut self, now: Moment) -> Outcome {
        if self.keys.tick(now) {
            self.use_keys();
        }
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            // foca refuses timers of a past life; they are of no interest to anyone.
            let _stale = self.foca.handle_timer(entry.remove(), &mut self.runtime);
        }
        if now >= self.next_join {
            self.next_join = now + JOIN_INTERVAL;
            let missing: Vec<SocketAddr> = self.missing_peers().collect();
            for addr in missing {
                // Fails only when the frame cannot be encoded, which the next attempt would not mend.
                let _unsent = self.foca.announce(Member::unknown_at(addr), &mut self.runtime);
            }
        }
        self.drain(now)
    }

    fn missing_peers(&self) -> impl Iterator<Item = SocketAddr> {
        let present: BTreeSet<SocketAddr> = self.alive.values().map(|member| member.addr).collect();
        self.peers.iter().copied().filter(move |peer| !present.contains(peer))
    }

    fn drain(&mut self, now: Moment) -> Outcome {
        let mut outcome = Outcome::default();
        while let Some(notification) = self.runtime.to_notify() {
            outcome.changed |= match notification {
                OwnedNotification::MemberUp(_)
                | OwnedNotification::MemberDown(_)
                | OwnedNotification::Rename(_, _) => true,
                OwnedNotification::Active
                | OwnedNotification::Idle
                | OwnedNotification::Defunct
                | OwnedNotification::Rejoin(_) => false,
            };
        }
        if outcome.changed {
            let members = self.foca.iter_members();
            self.alive =
                members.map(|member| (member.id().node.clone(), member.id().clone())).collect();
        }
        while let Some((after, timer)) = self.runtime.to_schedule() {
            self.timer_count += 1;
            self.timers.insert((now + after, self.timer_count), timer);
        }
        while let Some((to, body)) = self.runtime.to_send() {
            let mut plain = Vec::with_capacity(1 + body.len());
            plain.push(KIND_SWIM);
            plain.extend_from_slice(&body);
            outcome.datagrams.push((to.addr, self.sealer.seal(&plain)));
        }
        outcome
    }
}

#[cfg(test)]
mod tests;
