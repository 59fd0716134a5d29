//! What administrators and the controller do by way of the API: marks, restored backups, move
//! orders, new nodes.

use crds::names::EXCLUDE_FROM_LOAD_BALANCERS;
use speaker::engine::{Change, Event};
use speaker::facts::{NodeFacts, Order, Recorded};

use crate::fault::Fault;
use crate::happening::Happening;
use crate::node::{Node, NodeId};
use crate::time::{At, SEC};
use crate::world::World;

impl World {
    /// The exclude label, or our drain mark.
    pub(crate) fn mark(&mut self, id: NodeId, fault: &Fault, on: bool) {
        let name = self.names.of(id);
        let mut facts = self.truth.nodes.get(&name).cloned().unwrap_or_default();
        match fault {
            Fault::Drain(_) => facts.draining = on,
            _ if on => {
                facts.labels.insert(EXCLUDE_FROM_LOAD_BALANCERS.to_owned(), String::new());
            }
            _ => {
                facts.labels.remove(EXCLUDE_FROM_LOAD_BALANCERS);
            }
        }
        self.change(&Event::Nodes(Change::Set(name, facts)));
    }

    /// A backup is restored: every record names some node, dead ones and unknown ones too, with a
    /// claim that may be far above or below the true one.
    pub(crate) fn restore_records(&mut self) {
        let services: Vec<_> = self.truth.services.keys().cloned().collect();
        // Whoever believes that an address has served does not ask whose it is.
        self.judge.taken.values_mut().for_each(|freed| *freed = Some(self.now));
        let mut old = std::collections::BTreeMap::new();
        for service in services {
            let node = self.names.of(self.dice.index(self.nodes.len() + 1));
            let claim = self.dice.between(0, 60);
            let key = format!("{node}-{}", service.name);
            old.insert(key, Recorded { service, node, claim, is_ours: true });
        }
        self.change(&Event::Recorded(Change::Replace(old)));
    }

    pub(crate) fn order(&mut self, service: usize, to: NodeId, valid: bool) {
        let key = crate::services::key(service);
        let Some(&address) = self.truth.group(&key).first() else { return };
        let Some(owner) = self.owner_now(address) else { return };
        let records = self.truth.records.values();
        let claim = records.filter(|r| r.service == key).map(|r| r.claim).max().unwrap_or_default();
        if valid {
            // It stands until it is replaced or fulfilled.
            self.ordered.insert((address, to), At::MAX);
        }
        // A void one is of an earlier owner's time, or of nobody's.
        let void = if self.dice.permille(500) { claim.saturating_sub(1) } else { claim + 1_000 };
        let claim = if valid { claim } else { void };
        let owner = self.names.of(owner);
        let mut facts = self.truth.speakers.get(&owner).cloned().unwrap_or_default();
        facts.orders = vec![Order { address, claim, to: self.names.of(to), epoch: 1 }];
        self.change(&Event::Speakers(Change::Set(owner, facts)));
    }

    pub(crate) fn add_node(&mut self) {
        let id = self.nodes.len();
        self.nodes.push(Node::new(id, self.names, self.switches.len()));
        self.change(&Event::Nodes(Change::Set(self.names.of(id), NodeFacts::default())));
        let peers = self.all_peers();
        self.change(&Event::Peers(peers));
        let delay = self.dice.between(SEC / 2, 2 * SEC);
        self.queue.push(self.now + delay, Happening::Start(id));
    }
}
