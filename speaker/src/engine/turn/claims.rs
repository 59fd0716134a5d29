//! What this member claims, offers and gives up.

use std::net::IpAddr;

use crds::model::group::Group;
use crds::model::ids::NodeName;

use super::Turn;
use crate::engine::defect::{Defect, has};
use crate::ownership::claim::{Claim, Held, Rank};
use crate::ownership::life::Life;

impl Turn<'_> {
    /// Claims all addresses of `group` that this member does not hold under the highest claim,
    /// above every claim that is known; `from` is an owner that lives and is succeeded.
    pub(super) fn claim(&mut self, group: &Group, from: Option<&NodeName>) {
        let rank = if self.peers.sees_most() { Rank::Firm } else { Rank::Provisional };
        let records = group.services.iter().filter_map(|service| self.recorded.get(service));
        let recorded = records.map(|record| record.claim).max().unwrap_or(0);
        for address in &group.addresses {
            let (book, lives) = (self.peers.book(), self.peers.lives());
            let others = || book.claims(address).filter(|claim| claim.node != book.me());
            let highest = others().map(|claim| claim.held.counter).max().unwrap_or(0);
            let rival = others()
                .filter(|claim| lives.is_alive(claim.node) || Some(claim.node) == from)
                .max();
            // What is handed over stays as certain as it was.
            let is_given = |rival: &Claim<'_>| {
                rival.held.offer.as_ref() == Some(book.me()) || Some(rival.node) == from
            };
            let given = rival.as_ref().filter(|rival| is_given(rival));
            let rank = given.map_or(rank, |rival| rank.max(rival.held.rank));
            let mine = book.held(address);
            let is_highest = mine.is_some_and(|held| {
                rival.as_ref().is_none_or(|rival| Claim { held, node: book.me() } > *rival)
                    && held.rank >= rank
            });
            let counter = match mine {
                Some(held) if is_highest => held.counter,
                Some(held) if rival.is_none() => held.counter.max(highest),
                Some(held) => held.counter.max(highest).saturating_add(1),
                None => highest.max(recorded).saturating_add(1),
            };
            let rank = mine.map_or(rank, |held| held.rank.max(rank));
            if mine.is_none() && lives.iter().any(|(_, life)| life != Life::Present) {
                self.pending.take_blindly(*address);
            }
            self.peers.book_mut().hold(*address, Some(Held { rank, counter, offer: None }));
        }
    }

    /// Offers the group to `successor`, and goes on answering.
    pub(super) fn offer(&mut self, group: &Group, successor: NodeName) {
        self.claim(group, None);
        let successor = self.pending.offer(group, successor, self.now);
        if has(self.settings, Defect::SkipAcknowledgement) {
            return self.drop_all(group);
        }
        for address in &group.addresses {
            let held = self.peers.book().held(address).cloned();
            let offer = Some(successor.clone());
            let held = held.map(|held| Held { offer, ..held });
            self.peers.book_mut().hold(*address, held);
        }
    }

    /// Gives up every address to which another who lives has the higher claim.
    pub(super) fn yield_to_higher(&mut self, group: &Group) {
        if has(self.settings, Defect::IgnoreClaims) {
            return;
        }
        let me = self.peers.book().me();
        let lost = |address: &IpAddr| {
            let highest = self.peers.owner_of(address)?;
            (highest != me).then(|| (*address, highest.clone()))
        };
        let lost: Vec<(IpAddr, NodeName)> = group.addresses.iter().filter_map(lost).collect();
        for (address, winner) in lost {
            if self.peers.book_mut().hold(address, None) {
                self.pending.part_with(address, winner, self.now);
            }
        }
    }

    pub(super) fn drop_all(&mut self, group: &Group) {
        for address in &group.addresses {
            if self.peers.book_mut().hold(*address, None) && self.peers.misses_some() {
                // Whoever has it is out of sight: clients are told when that one is seen.
                self.pending.part_blindly(*address);
            }
        }
    }
}

#[cfg(test)]
mod tests;
