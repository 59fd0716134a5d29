//! One look at everything.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::ward::{Ward, wards};
use super::{Mover, Moves, Scene, book};
use crate::placement::{Group, Move, place};

impl Mover {
    /// Looks at everything, and brings the book up to date.
    pub(super) fn look(&mut self, Scene { config, now, .. }: Scene<'_>) {
        let settled_if_before = now.checked_sub(self.settings.settling);
        let oldest = self.cluster.forget(settled_if_before.unwrap_or_default());
        let electorate = self.roster.electorate();
        let (wards, unserved) = wards(&self.cluster, &self.roster, config, &electorate);
        self.unserved = Some(unserved);
        if !std::mem::replace(&mut self.has_adopted, true) && self.settings.moves == Moves::On {
            for (node, orders) in self.roster.orders() {
                self.book.adopt(node, orders, now);
            }
        }
        self.notice_losses(&wards, now);
        let by_id: BTreeMap<IpAddr, &Ward<'_>> = wards.iter().map(|ward| (ward.id, ward)).collect();
        self.book.review(&by_id, now);
        let moves = self.plan(&wards, now);
        let is_quiet = now >= self.roster.changed().max(self.revision.1) + self.settings.settling;
        if self.settings.moves == Moves::On && is_quiet {
            self.order(moves, &by_id, now);
        }
        let changes = [Some(self.roster.changed()), Some(self.revision.1), oldest];
        let settles = changes.into_iter().flatten().map(|at| at + self.settings.settling);
        let steady = self.roster.fit().map(|(_, since)| since + self.steady());
        let due = settles.chain(steady).filter(|at| *at > now);
        self.due = due.chain(self.book.next_deadline()).chain(self.pausing.values().copied()).min();
    }

    /// How long a node must have been one that may announce before it is given anything.
    fn steady(&self) -> Duration {
        self.settings.settling * 2
    }

    /// A node that lost a group which it might have kept, and which nobody ordered it to give, was
    /// away, whatever its Node object says: Kubernetes takes most of a minute to notice.
    fn notice_losses(&mut self, wards: &[Ward<'_>], now: Duration) {
        let mut owners = BTreeMap::new();
        for ward in wards {
            let owner = &ward.owner.node;
            if let Some(before) = self.owners.get(&ward.id).filter(|before| *before != owner) {
                let is_ordered = self.book.order(ward.id).is_some_and(|order| order.to == *owner);
                if !is_ordered && ward.may(before) {
                    self.roster.unsettle(before, now);
                }
            }
            owners.insert(ward.id, owner.clone());
        }
        // A group without an owner for a moment is still the one it had.
        for (id, owner) in std::mem::take(&mut self.owners) {
            let is_there = || self.cluster.has_address(id);
            if !owners.contains_key(&id) && is_there() {
                owners.insert(id, owner);
            }
        }
        self.owners = owners;
    }

    /// The moves that would be good, those under way taken as done.
    fn plan(&mut self, wards: &[Ward<'_>], now: Duration) -> Vec<Move> {
        let groups: Vec<Group<'_>> = wards.iter().map(|ward| self.group(ward, now)).collect();
        let placement = place(&groups, |node| {
            self.roster.since(node).is_some_and(|since| now >= since + self.steady())
        });
        self.spread = placement.spread;
        placement.moves
    }

    fn group<'a>(&'a self, ward: &'a Ward<'a>, now: Duration) -> Group<'a> {
        let order = self.book.order(ward.id);
        let changed = self.cluster.changed(&ward.group);
        let is_settled = changed.is_none_or(|at| now >= at + self.settings.settling);
        let may_move = order.is_none() && ward.owner.claim.is_some();
        Group {
            id: ward.id,
            owner: order.map_or(&ward.owner.node, |order| &order.to),
            is_settled: is_settled && may_move && !self.book.is_resting(ward.id, now),
            candidates: ward.candidates.clone(),
        }
    }

    /// Gives as many orders as there is room for.
    fn order(&mut self, moves: Vec<Move>, wards: &BTreeMap<IpAddr, &Ward<'_>>, now: Duration) {
        let room = self.settings.at_once.saturating_sub(self.book.len());
        for order in moves.into_iter().take(room) {
            let Some(claim) = wards.get(&order.group).and_then(|ward| ward.owner.claim) else {
                continue;
            };
            book::announce(&order, claim);
            self.book.give(&order, claim, now);
            *self.ordered.entry(order.reason.reason()).or_default() += 1;
        }
    }
}
