//! How this speaker stands, for people and for the controller.

use super::Engine;
use super::cluster::Intent;
use super::effect::{Description, Effect, State};
use crate::moment::Moment;

impl Engine {
    /// Tells how this speaker stands, where that is news.
    pub(super) fn describe(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if !self.phase.decides() {
            return;
        }
        let cluster = &self.cluster;
        self.conflicts.sweep(now, |address| cluster.services_at(address).next().is_some());
        let Some(peers) = &self.peers else { return };
        let holdings = &peers.book().mine().holdings;
        let intent = self.cluster.intent(peers.book().me());
        let state = match intent {
            Intent::Serving => State::Active,
            Intent::Excluded => State::Excluded,
            Intent::Draining if holdings.is_empty() => State::Drained,
            Intent::Draining => State::Draining,
        };
        let waits = intent == Intent::Draining;
        let waiting = holdings.iter().filter(|(_, held)| waits && held.offer.is_none());
        let description = Description {
            state,
            returns: self.returns,
            waiting: waiting.map(|(address, _)| *address).collect(),
            knock: self.speakers.get(peers.book().me()).and_then(|facts| facts.knock.clone()),
            links: self.ports.clone().unwrap_or_default(),
            conflicts: self.conflicts.all(),
            unanswered: self.checks.unanswered(),
        };
        if self.described.as_ref() != Some(&description) {
            self.described = Some(description.clone());
            effects.push(Effect::Describe(description));
        }
    }
}
