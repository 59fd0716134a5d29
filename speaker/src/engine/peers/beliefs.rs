//! What is believed of the others, and how that changes: by the watch's verdicts, by hang-ups, by
//! answers to knocks.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crds::model::ids::NodeName;
use rand::Rng as _;

use super::super::effect::Effect;
use super::Peers;
use crate::facts::SpeakerFacts;
use crate::moment::Moment;
use crate::ownership::life::{Belief, Life};
use crate::ownership::watch::{Act, Surroundings};
use crate::ownership::word::{Whom, Word};

impl Peers {
    /// Whether more than half of the nodes are in sight, this one included. One whose agent is away
    /// is in sight: its kernel answers, so the wire is whole that far. One that is suspected is not:
    /// when several are lost, the verdict on one comes before that on the next.
    pub(in crate::engine) fn sees_most(&self) -> bool {
        let in_sight = |(_, life): &(&NodeName, Life)| matches!(life, Life::Present | Life::Away);
        let known = self.lives.len().max(self.mesh.expected());
        2 * (1 + self.lives.iter().filter(in_sight).count()) > 1 + known
    }

    /// Whether some member is not there, or not at work.
    pub(in crate::engine) fn misses_some(&self) -> bool {
        self.lives.len() != self.lives.present().count()
    }

    /// The holder of the highest claim to `address` that lives.
    pub(in crate::engine) fn owner_of(&self, address: &IpAddr) -> Option<&NodeName> {
        let is_alive = |node: &NodeName| node == self.book.me() || self.lives.is_alive(node);
        let living = self.book.claims(address).filter(|claim| is_alive(claim.node));
        Some(living.max()?.node)
    }

    /// Changes a belief and notes what that touches.
    pub(super) fn believe(&mut self, node: &NodeName, life: Life, now: Moment) {
        let was = self.lives.belief(node).map(|belief| belief.life);
        if node == self.book.me() || !self.lives.set(node, life, now) {
            return;
        }
        if life == Life::Present && matches!(was, Some(Life::Gone | Life::Hidden | Life::Away)) {
            self.touched.returned = true;
            self.returns.is_back(node);
        }
        self.hearsay.believed(node, life);
        self.returns.forget_awaited(node);
        self.touched.members.insert(node.clone());
    }

    /// The process at `addr` has ended, by its own kernel's word.
    pub(in crate::engine) fn hangup(&mut self, addr: SocketAddr, now: Moment) {
        let gone = self.book.heads().find(|head| head.addr == addr).map(|head| head.node.clone());
        let Some(node) = gone else { return };
        // Told again and again while it is away.
        let is_known = |belief: Belief| belief.hung_up && belief.life == Life::Away;
        if !self.lives.belief(&node).is_some_and(is_known) {
            self.lives.hang_up(&node);
            self.watch.doubt(&node, now);
        }
    }

    /// There is reason to think that `node` is gone.
    pub(in crate::engine) fn doubt(&mut self, node: &NodeName, now: Moment) {
        self.watch.doubt(node, now);
    }

    pub(super) fn suspected(&mut self, node: &NodeName, nonce: u64, now: Moment) {
        if matches!(self.lives.of(node), Life::Present | Life::Suspected) {
            self.believe(node, Life::Suspected, now);
            self.hearsay.suspect(node, nonce, now);
        }
    }

    /// Forgets suspicions that nobody has followed up.
    pub(super) fn drop_suspicions(&mut self, now: Moment) {
        for node in self.hearsay.take_stale(now) {
            if matches!(self.lives.of(&node), Life::Suspected) {
                self.believe(&node, Life::Present, now);
            }
        }
    }

    /// Asks and judges the members in this one's charge.
    pub(super) fn keep_watch(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let (lives, mesh, nonces) = (&self.lives, &self.mesh, &mut self.nonces);
        let paths = &self.paths;
        let acts = self.watch.tick(
            &mut Surroundings {
                lives,
                proof: self.touch.proof(),
                frames: self.touch.frames(),
                spoke_by_frame: &|node| paths.of(node).next().is_some(),
                mesh_lost: &|node| mesh.member(node).is_none(),
                nonce: &mut || nonces.next_u64() | 1,
            },
            now,
        );
        for act in acts {
            self.act(act, now, effects);
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
                self.believe(&node, if gone { Life::Gone } else { Life::Away }, now);
                self.pronounce(&node, now, effects);
            }
            Act::Count => {
                if !effects.contains(&Effect::Count) {
                    effects.push(Effect::Count);
                }
            }
        }
    }

    /// The Speaker objects are these: some may answer our knocks.
    pub(in crate::engine) fn speakers(
        &mut self,
        all: &BTreeMap<NodeName, SpeakerFacts>,
        now: Moment,
    ) {
        let echoed: Vec<NodeName> = self.knocks.echoed(all, now).collect();
        for node in echoed {
            if matches!(self.lives.of(&node), Life::Gone | Life::Hidden) {
                self.believe(&node, Life::Hidden, now);
            }
        }
    }

    pub(super) fn hung_up(&self, node: &NodeName) -> bool {
        self.lives.belief(node).is_some_and(|belief| belief.hung_up)
    }

    pub(super) fn whom(&self, node: &NodeName) -> Option<Whom> {
        let started = self.book.of(node)?.head.started;
        Some(Whom { node: node.clone(), started })
    }
}
