//! The life of a speaker: waiting, at work, out of touch, leaving, stopped.

use std::net::IpAddr;
use std::time::Duration;

use crds::model::ids::ServiceKey;

use super::effect::Effect;
use super::peers::Peers;
use super::{Engine, Standing};
use crate::announce::desired::Desired;
use crate::moment::Moment;
use crate::ownership::Why;
use crate::ownership::claim::{Claim, Held, Rank};
use crate::ownership::statement::Phase as Said;

/// How long a speaker that was told to stop waits for the others to answer in its place.
const FAREWELL: Duration = Duration::from_millis(900);
/// The same without a mesh, where nobody says so: the node's successor sees it go by the API.
const ALONE_FAREWELL: Duration = Duration::from_millis(300);
/// How long a speaker that knows all else waits for the records of who announced what.
const RECORDS: Duration = Duration::from_secs(2);
/// How often it repeats that it leaves.
const REPEAT: Duration = Duration::from_millis(50);

/// Where in its life the engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not everything has been delivered yet: nothing is decided.
    Waiting {
        /// Everything has, and the others were asked what they know.
        asked: bool,
    },
    /// At work.
    Active,
    /// It has no link, or heard from nobody for so long that its ports have stopped answering. What
    /// it held may be another's by now: it asks before it answers again.
    Lapsed {
        /// It is in touch again, and has asked.
        asked: bool,
    },
    /// It says good-bye; gone at the moment given.
    Leaving {
        /// At the latest.
        until: Moment,
        /// When it says so again.
        repeat: Moment,
    },
    /// Silent.
    Stopped,
}

impl Phase {
    /// Whether groups get their turns.
    pub(super) const fn decides(self) -> bool {
        matches!(self, Self::Active | Self::Leaving { .. })
    }

    /// Whether it waits for what the others say.
    pub(super) const fn settles(self) -> bool {
        matches!(self, Self::Waiting { .. } | Self::Lapsed { .. })
    }

    pub(super) fn next_deadline(self) -> Option<Moment> {
        match self {
            Self::Leaving { until, repeat } => Some(until.min(repeat)),
            _ => None,
        }
    }
}

impl Engine {
    /// Was told to stop.
    pub(super) fn leave(&mut self, now: Moment) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Stopped) {
            return;
        }
        // Without others, or before it answers for anything, there is nothing to wait for.
        let patience = if self.peers.is_some() { FAREWELL } else { ALONE_FAREWELL };
        let until = if self.phase == Phase::Active { now + patience } else { now };
        // While it waited to begin, what counts is what its former life held; it goes as it came.
        let has_begun = !matches!(self.phase, Phase::Waiting { .. });
        self.phase = Phase::Leaving { until, repeat: now + REPEAT };
        if let Some(peers) = self.peers.as_mut().filter(|_| has_begun) {
            peers.set_phase(Said::Leaving);
        }
        self.cluster.mark_all();
    }

    /// Moves on to the next phase of life if its time has come.
    pub(super) fn advance(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Waiting { asked } => {
                let delivered = self.config.is_some()
                    && self.ports.is_some()
                    && self.cluster.missing().next().is_none();
                if delivered && self.has_records(now) {
                    self.wait(asked, now, effects);
                }
            }
            Phase::Active => self.lapse_if_late(now, effects),
            Phase::Lapsed { asked } => self.recover(asked, now, effects),
            Phase::Leaving { until, repeat } => {
                if until <= now || self.is_replaced() {
                    self.phase = Phase::Stopped;
                    self.desired.clear();
                    effects.push(Effect::Publish(Desired::new()));
                    effects.push(Effect::Halt);
                } else if repeat <= now {
                    self.phase = Phase::Leaving { until, repeat: now + REPEAT };
                    self.peers.iter_mut().for_each(|peers| peers.repeat(effects));
                }
            }
            Phase::Stopped => {}
        }
    }

    /// Whether it is known who announced what, or has been waited for long enough: it says only who
    /// goes first, and no speaker may be silent because it cannot be read.
    fn has_records(&mut self, now: Moment) -> bool {
        self.records.is_listed() || now >= *self.begins_by.get_or_insert(now + RECORDS)
    }

    /// Everything is known but what the others say: asks them, and begins when they have said it.
    fn wait(&mut self, asked: bool, now: Moment, effects: &mut Vec<Effect>) {
        let Some(peers) = &mut self.peers else { return self.begin(effects) };
        if peers.is_lapsed(now) || !peers.mesh().is_settled(now) {
            return;
        }
        if !asked {
            self.phase = Phase::Waiting { asked: true };
            peers.ask_all(now, effects);
        }
        if peers.is_settled(now) {
            self.begin(effects);
            self.lapse_if_late(now, effects);
        }
    }

    /// Begins to work, with what this node held in a former life and nobody else has claimed since.
    fn begin(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Active;
        for record in self.records.best().values() {
            for address in self.cluster.addresses_of(&record.service) {
                *self.served.entry(*address).or_default() |= record.is_ours;
            }
        }
        // In force from here on, even if it is empty.
        effects.push(Effect::Publish(Desired::new()));
        let Some(peers) = &mut self.peers else {
            effects.push(Effect::Renew(Moment::END));
            return;
        };
        peers.set_phase(Said::Ready);
        let rank = if peers.sees_most() { Rank::Firm } else { Rank::Provisional };
        let former = peers.book().former().map(|former| former.holdings.clone());
        for (address, Held { counter, .. }) in former.unwrap_or_default() {
            let held = Held { rank, counter, offer: None };
            let (book, lives) = (peers.book(), peers.lives());
            // It has not answered for a while: whoever has, under whatever claim, goes on.
            let lapsed = Held { rank: Rank::Lapsed, ..held.clone() };
            let mine = Claim { held: &lapsed, node: book.me() };
            let living = book.claims(&address).filter(|rival| lives.is_alive(rival.node));
            match living.max().filter(|rival| *rival > mine).map(|rival| rival.node.clone()) {
                // Clients may still know it to be here.
                Some(rival) => self.pending.part_with(address, rival, self.now),
                None if self.cluster.group_at(&address).is_some() => {
                    peers.book_mut().hold(address, Some(held));
                }
                None => {}
            }
        }
    }

    /// Lapses if the ports have fallen silent, or are about to.
    pub(super) fn lapse_if_late(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let is_blind = self.ports.as_ref().is_some_and(Vec::is_empty);
        let is_late = |peers: &mut Peers| peers.stood_still() || peers.is_lapsed(now);
        if self.phase == Phase::Active
            && self.peers.as_mut().is_some_and(|peers| is_blind || is_late(peers))
        {
            self.lapse(effects);
            // An answer given from here on must not vouch for what was said before.
            self.peers.iter_mut().for_each(|peers| peers.publish(now, effects));
        }
    }

    /// The ports have stopped by themselves: what is held is held no longer without a doubt, and the
    /// table is taken away, so that the first sign of life does not bring it back into force.
    fn lapse(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Lapsed { asked: false };
        effects.push(Effect::Publish(Desired::new()));
        if self.ports.as_ref().is_some_and(Vec::is_empty) {
            // That may last: people should not read that this node announces anything.
            for service in self.stand_by_nothing() {
                let uid = self.cluster.uid(&service);
                let standing = Some(Standing::Silent(Why::OutOfTouch));
                effects.push(Effect::Report { service, uid, standing });
            }
        }
        let Some(peers) = &mut self.peers else { return };
        let held: Vec<(IpAddr, Held)> =
            peers.book().mine().holdings.iter().map(|(a, held)| (*a, held.clone())).collect();
        for (address, held) in held {
            let lapsed = Held { rank: Rank::Lapsed, offer: None, ..held };
            peers.book_mut().hold(address, Some(lapsed));
        }
    }

    /// Nothing is answered for any more; gives the Services for which something was. They stay known, so that
    /// one that is deleted meanwhile is told of.
    fn stand_by_nothing(&mut self) -> Vec<ServiceKey> {
        self.holders.clear();
        self.desired.clear();
        let answered = self.standings.iter_mut().filter(|(_, it)| it.addresses().next().is_some());
        let withdrawn = answered.map(|(service, standing)| {
            *standing = Standing::Silent(Why::OutOfTouch);
            service.clone()
        });
        withdrawn.collect()
    }

    fn recover(&mut self, asked: bool, now: Moment, effects: &mut Vec<Effect>) {
        let Some(peers) = &mut self.peers else { return };
        if peers.is_lapsed(now) || self.ports.as_ref().is_some_and(Vec::is_empty) {
            self.phase = Phase::Lapsed { asked: false };
        } else if !asked {
            self.phase = Phase::Lapsed { asked: true };
            peers.ask_all(now, effects);
        } else if peers.is_settled(now) {
            self.phase = Phase::Active;
            self.returns += 1;
            // Everything is decided anew, and what is kept is announced anew.
            self.stand_by_nothing();
            for (address, links) in std::mem::take(&mut self.present) {
                for link in links.into_keys() {
                    self.bursts.stop(crate::announce::burst::Target { link, address });
                }
            }
            self.cluster.mark_all();
        }
    }

    /// Whether there is nobody left to wait for: others answer in our place, or own what was ours.
    fn is_replaced(&self) -> bool {
        let Some(peers) = &self.peers else { return false };
        if peers.book().mine().holdings.is_empty() {
            return true;
        }
        let mut present = peers.lives().present();
        if self.settings.deputies {
            present.all(|node| peers.deputised().contains(node))
        } else {
            present.next().is_none()
        }
    }
}
