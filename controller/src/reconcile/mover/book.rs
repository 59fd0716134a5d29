//! The orders that are outstanding, and those that were given in vain.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crds::api::v1alpha1::MoveOrder;
use crds::model::ids::NodeName;

use super::ward::Ward;
use crate::placement::{Move, Reason};

/// How long an order may take. A speaker acts on one within seconds.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// How long a group is left alone after an order about it came to nothing.
pub(super) const REST: Duration = Duration::from_mins(10);

/// An order that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    from: NodeName,
    claim: u64,
    pub(super) to: NodeName,
    given: Duration,
}

/// All orders, by the lowest address of their group.
#[derive(Debug, Default)]
pub(super) struct Book {
    orders: BTreeMap<IpAddr, Order>,
    /// Groups to be left alone, and until when.
    resting: BTreeMap<IpAddr, Duration>,
}

impl Book {
    /// How many are outstanding.
    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether none is.
    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// The one about the group of `id`.
    pub(super) fn order(&self, id: IpAddr) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// Whether the group of `id` is to be left alone.
    pub(super) fn is_resting(&self, id: IpAddr, now: Duration) -> bool {
        self.resting.get(&id).is_some_and(|until| *until > now)
    }

    /// Takes over what a former controller ordered, as far as it still holds.
    pub(super) fn adopt(&mut self, from: &NodeName, found: &[MoveOrder], now: Duration) {
        for order in found {
            if let Ok(address) = order.address.parse() {
                let (claim, to) = (order.claim, order.to.as_str().into());
                self.orders.insert(address, Order { from: from.clone(), claim, to, given: now });
            }
        }
    }

    /// Strikes out what was done, what is void, and what took too long.
    pub(super) fn review(&mut self, wards: &BTreeMap<IpAddr, &Ward<'_>>, now: Duration) {
        self.resting.retain(|_, until| *until > now);
        let resting = &mut self.resting;
        self.orders.retain(|address, order| {
            let ward = wards.get(address);
            let Some(ward) = ward.filter(|ward| order.holds_for(ward)) else {
                let is_done = ward.is_some_and(|ward| ward.owner.node == order.to);
                let outcome = if is_done { "done" } else { "void" };
                log(*address, order, outcome);
                return false;
            };
            if now >= order.given + PATIENCE {
                log(ward.id, order, "not carried out");
                resting.insert(*address, now + REST);
                return false;
            }
            true
        });
    }

    /// Gives an order.
    pub(super) fn give(&mut self, order: &Move, claim: u64, now: Duration) {
        let (from, to) = (order.from.clone(), order.to.clone());
        self.orders.insert(order.group, Order { from, claim, to, given: now });
    }

    /// What the object of each speaker should hold; nothing for those not named.
    pub(super) fn wanted(&self, epoch: u64) -> BTreeMap<&NodeName, Vec<MoveOrder>> {
        let mut wanted: BTreeMap<&NodeName, Vec<MoveOrder>> = BTreeMap::new();
        for (address, order) in &self.orders {
            let (address, to) = (address.to_string(), order.to.to_string());
            let order_list = wanted.entry(&order.from).or_default();
            order_list.push(MoveOrder { address, claim: order.claim, to, epoch });
        }
        wanted
    }

    /// When an order has taken too long, or a group has rested long enough.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let late = self.orders.values().map(|order| order.given + PATIENCE);
        late.chain(self.resting.values().copied()).min()
    }
}

impl Order {
    /// Whether it is still to be carried out.
    fn holds_for(&self, ward: &Ward<'_>) -> bool {
        ward.owner.node == self.from && ward.owner.claim == Some(self.claim) && ward.may(&self.to)
    }
}

fn log(address: IpAddr, order: &Order, outcome: &'static str) {
    let Order { from, claim, to, given: _ } = order;
    tracing::info!(event = "moveEnded", ip = %address, %from, %to, claim, outcome, "order struck out");
}

/// Says that an order is given.
pub(super) fn announce(order: &Move, claim: u64) {
    let Move { reason, group, from, to } = order;
    let reason: &Reason = reason;
    tracing::info!(
        event = "moveOrdered",
        ip = %group,
        %from,
        %to,
        claim,
        reason = reason.reason(),
        "address to be handed over"
    );
}
