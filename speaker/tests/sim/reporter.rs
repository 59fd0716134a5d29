//! What speakers write to the API server.

use std::collections::BTreeMap;

use crds::model::ids::{NodeName, ServiceKey};
use speaker::engine::{Change, Event};
use speaker::facts::Recorded;

use crate::happening::Happening;
use crate::node::NodeId;
use crate::time::{MS, SEC};
use crate::world::World;

/// What a speaker writes.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    /// It announces this Service under this claim, or does not any more.
    Record(ServiceKey, Option<u64>),
    /// The record of this name is that of a dead node.
    Forget(String),
    Knock(NodeName, String),
    Echo(Option<String>),
}

impl World {
    /// A reporter brings the records of its node in line with what its agent said last: those that
    /// an earlier life left behind go, those that a restored backup has changed are mended. Those
    /// of the dead go, too, for what it announces itself.
    pub(crate) fn mend(&mut self, id: NodeId) {
        let node = &self.nodes[id];
        let agent = node.agent.as_ref().filter(|agent| {
            agent.engine.is_active() && agent.since + 3 * SEC < self.now && node.writes.is_empty()
        });
        let Some(agent) = agent.filter(|_| !node.stale) else { return };
        let ours = || self.truth.records.iter().filter(|(_, record)| record.is_ours);
        let own = ours().map(|(_, record)| record).filter(|record| record.node == node.name);
        let own: BTreeMap<&ServiceKey, u64> = own.map(|it| (&it.service, it.claim)).collect();
        let missing =
            agent.reported.iter().filter(|(service, claim)| own.get(service) != Some(*claim));
        let missing = missing.map(|(service, claim)| Write::Record(service.clone(), Some(*claim)));
        let left = own.keys().filter(|service| !agent.reported.contains_key(*service));
        let left = left.map(|service| Write::Record((*service).clone(), None));
        let of_dead = ours().filter(|(_, record)| {
            record.node != node.name
                && agent.reported.contains_key(&record.service)
                && !agent.members.contains(&record.node)
        });
        let of_dead = of_dead.map(|(name, _)| Write::Forget(name.clone()));
        let writes: Vec<Write> = missing.chain(left).chain(of_dead).collect();
        self.nodes[id].writes.extend(writes);
    }

    pub(crate) fn want_write(&mut self, id: NodeId, write: Write) {
        self.nodes[id].writes.push_back(write);
        self.write_soon(id);
    }

    pub(crate) fn write_soon(&mut self, id: NodeId) {
        let node = &mut self.nodes[id];
        if !node.writes.is_empty() && !node.writing && node.agent.is_some() {
            node.writing = true;
            let delay = self.dice.between(5 * MS, 60 * MS);
            self.queue.push(self.now + delay, Happening::Write(id));
        }
    }

    pub(crate) fn write(&mut self, id: NodeId) {
        self.nodes[id].writing = false;
        if !self.api_answers(id) || self.nodes[id].agent.as_ref().is_none_or(|a| a.hung.is_some()) {
            return;
        }
        let name = self.nodes[id].name.clone();
        let writes: Vec<Write> = self.nodes[id].writes.drain(..).collect();
        for write in writes {
            match write {
                Write::Record(service, claim) => self.record(&name, service, claim),
                Write::Forget(record) => {
                    self.change(&Event::Recorded(Change::Remove(record)));
                }
                Write::Knock(node, nonce) => {
                    let mut facts = self.truth.speakers.get(&node).cloned().unwrap_or_default();
                    facts.knock = Some(nonce);
                    self.change(&Event::Speakers(Change::Set(node, facts)));
                }
                Write::Echo(nonce) => {
                    let mut facts = self.truth.speakers.get(&name).cloned().unwrap_or_default();
                    if facts.echo != nonce {
                        facts.echo = nonce;
                        self.change(&Event::Speakers(Change::Set(name.clone(), facts)));
                    }
                }
            }
        }
    }

    fn record(&mut self, name: &NodeName, service: ServiceKey, claim: Option<u64>) {
        let key = format!("{name}-{}", service.name);
        let change = match claim {
            Some(claim) => {
                Change::Set(key, Recorded { service, node: name.clone(), claim, is_ours: true })
            }
            None if self.truth.records.contains_key(&key) => Change::Remove(key),
            None => return,
        };
        self.change(&Event::Recorded(change));
    }
}
