//! What arrives by the mesh and on the links: letters, and members that were not known before.

use crds::model::ids::{IfIndex, MacAddr};

use super::super::effect::Effect;
use super::Peers;
use crate::mesh::Outcome;
use crate::moment::Moment;
use crate::ownership::life::Life;

impl Peers {
    /// A datagram came in.
    pub(in crate::engine) fn datagram(
        &mut self,
        bytes: &[u8],
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let outcome = self.mesh.receive(bytes, now);
        self.mesh_outcome(outcome, None, now, effects);
    }

    /// A link frame came in.
    pub(in crate::engine) fn frame(
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

    pub(super) fn mesh_outcome(
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
                    if matches!(self.lives.of(&member.node), Life::Present | Life::Suspected) {
                        self.believe(&member.node, Life::Away, now);
                    }
                    self.greet(&member.node, effects);
                }
                None if self.lives.belief(&member.node).is_none() => {
                    self.believe(&member.node, self.hearsay.first_belief(&member.node), now);
                    self.greet(&member.node, effects);
                }
                Some(_) | None => {}
            }
        }
    }

    /// Others know a later life of this member: the clock was set back. This one must be the latest.
    pub(super) fn restart_as(&mut self, started: u64, now: Moment, effects: &mut Vec<Effect>) {
        let outcome = self.mesh.restart_as(started, now);
        self.book.set_head(|head| head.started = started);
        self.mesh_outcome(outcome, None, now, effects);
    }
}
