//! The controller's planner, as simple as it can be: it finds out by the records who announces what,
//! and orders single groups from the busiest node to the idlest while they are more than one apart.
//! Now and then it gives an order that is void, which nobody may follow.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::ids::{MacAddr, NodeName};
use speaker::engine::{Change, Event};
use speaker::facts::{Order, SpeakerFacts, Traffic};

use crate::dice::Dice;
use crate::fault::LINGER;
use crate::node::{self, NodeId};
use crate::time::{At, SEC};
use crate::world::World;

/// How often it plans.
const EVERY: At = SEC;
/// So many orders at a time.
const AT_ONCE: usize = 2;
/// A node must have been steady for so long to be given anything.
const STEADY: At = 8 * SEC;

#[derive(Debug)]
pub(crate) struct Planner {
    /// Of its own, so that other chance is the same with and without it.
    dice: Dice,
    next: At,
    /// How many valid orders were given.
    pub(crate) count: usize,
}

/// A group by the records: its addresses, its owner and the claim.
struct Found {
    addresses: BTreeSet<IpAddr>,
    owner: NodeId,
    claim: u64,
}

impl Planner {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed ^ 0x91a7), next: STEADY, count: 0 }
    }
}

impl World {
    /// Whether a valid order tells the owner of `address`, or of another of its group, to give the group
    /// to the node with this MAC.
    pub(crate) fn is_ordered(&self, address: IpAddr, to: MacAddr) -> bool {
        let to = node::owner_of(to).map(|(id, _)| id);
        let group = self.truth.group_of(address);
        let of = |(ordered, whom): (IpAddr, NodeId)| Some(whom) == to && group.contains(&ordered);
        self.ordered.iter().any(|(key, until)| of(*key) && *until >= self.now)
    }

    /// An order has been followed, or is void since its address is where it was to go: soon it
    /// explains no move any more.
    pub(crate) fn fulfil(&mut self, address: IpAddr, to: MacAddr) {
        let to = node::owner_of(to).map(|(id, _)| id);
        let group = self.truth.group_of(address);
        let now = self.now;
        for ((ordered, whom), until) in &mut self.ordered {
            if Some(*whom) == to && group.contains(ordered) {
                *until = (*until).min(now + LINGER);
            }
        }
    }

    /// Gives orders, if it is time.
    pub(crate) fn plan(&mut self) {
        let now = self.now;
        if self.api_away || self.planner.as_ref().is_none_or(|planner| planner.next > now) {
            return;
        }
        let Some(mut planner) = self.planner.take() else { return };
        planner.next = now + EVERY;
        let groups = self.groups_found();
        let mut loads = self.loads(&groups);
        let mut orders: BTreeMap<NodeId, Vec<Order>> = BTreeMap::new();
        for _ in 0..AT_ONCE {
            let idle = loads.iter().filter(|(id, _)| !self.is_troubled(**id));
            let Some((&idlest, &least)) = idle.min_by_key(|(id, load)| (**load, **id)) else {
                break;
            };
            let Some((&busiest, &most)) = loads.iter().max_by_key(|(_, load)| **load) else {
                break;
            };
            let taken = |group: &Found| {
                orders.values().flatten().any(|it| group.addresses.contains(&it.address))
            };
            let group = groups.iter().find(|group| group.owner == busiest && !taken(group));
            let Some(group) = group.filter(|_| most > least + 1) else { break };
            orders
                .entry(busiest)
                .or_default()
                .extend(group.order(group.claim, self.names.of(idlest)));
            for address in &group.addresses {
                // It stands until it is replaced.
                self.ordered.insert((*address, idlest), At::MAX);
            }
            planner.count += 1;
            *loads.entry(busiest).or_default() -= 1;
            *loads.entry(idlest).or_default() += 1;
        }
        // One of an earlier owner's time, or for somebody who does not own the group.
        let void = planner.dice.permille(200) && self.records_are_true(now);
        if !groups.is_empty() && void {
            let group = &groups[planner.dice.index(groups.len())];
            let to = planner.dice.index(self.nodes.len());
            let holder = if planner.dice.permille(500) { group.owner } else { to };
            let order = group.order(group.claim.saturating_sub(1), self.names.of(to));
            orders.entry(holder).or_default().extend(order);
        }
        self.planner = Some(planner);
        for id in 0..self.nodes.len() {
            let facts = self.truth.speakers.get(&self.names.of(id)).cloned().unwrap_or_default();
            let orders = orders.remove(&id).unwrap_or_default();
            if facts.orders != orders {
                self.say_loud(|| format!("orders for n{id}: {orders:?}"));
                let ends = |order: &(IpAddr, NodeId)| {
                    let named = |o: &Order| o.address == order.0 && o.to == self.names.of(order.1);
                    facts.orders.iter().any(named) && !orders.iter().any(named)
                };
                let ended = self.ordered.iter_mut().filter(|(order, _)| ends(order));
                ended.for_each(|(_, until)| *until = now + LINGER);
                let facts = SpeakerFacts { orders, ..facts };
                self.change(&Event::Speakers(Change::Set(self.names.of(id), facts)));
            }
        }
    }

    /// Who announces what any node may announce.
    fn groups_found(&self) -> Vec<Found> {
        let mut seen: BTreeSet<IpAddr> = BTreeSet::new();
        let mut found = Vec::new();
        let is_local = |addresses: &BTreeSet<IpAddr>| {
            self.truth.services.values().any(|facts| {
                facts.traffic == Traffic::Local
                    && facts.addresses.iter().any(|address| addresses.contains(address))
            })
        };
        for (key, facts) in &self.truth.services {
            if facts.addresses.iter().any(|address| seen.contains(address)) {
                continue;
            }
            let addresses = self.truth.group(key);
            seen.extend(&addresses);
            let records = self.truth.records.values().filter(|record| {
                let service = self.truth.services.get(&record.service);
                service.is_some_and(|it| it.addresses.iter().any(|a| addresses.contains(a)))
            });
            let Some(record) = records.max_by_key(|record| record.claim) else { continue };
            let Some(owner) = self.node_named(&record.node) else { continue };
            if !is_local(&addresses) {
                found.push(Found { addresses, owner, claim: record.claim });
            }
        }
        found
    }

    /// A controller knows by the Speaker objects who is away or has lost a link.
    fn is_troubled(&self, id: NodeId) -> bool {
        self.context(self.now).any(|episode| {
            let fault = &episode.fault;
            [fault.bereaves(), fault.empties(), fault.troubles()].contains(&Some(id))
        })
    }

    fn node_named(&self, name: &NodeName) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.name == *name)
    }

    /// How many groups each node has that may be given some.
    fn loads(&self, groups: &[Found]) -> BTreeMap<NodeId, usize> {
        let is_steady = |id: &NodeId| {
            let node = &self.nodes[*id];
            let facts = self.truth.nodes.get(&node.name);
            facts.is_some_and(|facts| facts.labels.is_empty() && !facts.draining)
                && node.agent.as_ref().is_some_and(|agent| agent.since + STEADY <= self.now)
        };
        let steady = (0..self.nodes.len()).filter(is_steady);
        steady.map(|id| (id, groups.iter().filter(|group| group.owner == id).count())).collect()
    }
}

impl Found {
    fn order(&self, claim: u64, to: NodeName) -> Option<Order> {
        let address = *self.addresses.first()?;
        Some(Order { address, claim, to, epoch: 1 })
    }
}
