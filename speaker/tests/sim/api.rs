//! The API server: what it holds, and how each node comes to know it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crds::model::advertisement::Advertisement;
use crds::model::compile::Config;
use crds::model::ids::{NodeName, ServiceKey};
use crds::model::pool::Pool;
use crds::model::range::AddressRange;
use crds::model::selector::Labels;
use speaker::engine::{Change, Event};
use speaker::facts::{NodeFacts, Recorded, ServiceFacts, SliceFacts, SpeakerFacts};

use crate::happening::Happening;
use crate::node::{self, NodeId};
use crate::time::{At, MS, SEC};
use crate::wire::{Station, Way};
use crate::world::World;

/// The objects, as facts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    pub(crate) config: Config,
    pub(crate) services: BTreeMap<ServiceKey, ServiceFacts>,
    pub(crate) slices: BTreeMap<ServiceKey, SliceFacts>,
    pub(crate) nodes: BTreeMap<NodeName, NodeFacts>,
    pub(crate) peers: BTreeSet<SocketAddr>,
    pub(crate) records: BTreeMap<String, Recorded>,
    pub(crate) speakers: BTreeMap<NodeName, SpeakerFacts>,
    /// Something was ever put in.
    pub(crate) filled: bool,
}

fn apply<K: Ord + Clone, V: Clone>(map: &mut BTreeMap<K, V>, change: &Change<K, V>) {
    match change {
        Change::Replace(all) => map.clone_from(all),
        Change::Set(key, value) => {
            map.insert(key.clone(), value.clone());
        }
        Change::Remove(key) => {
            map.remove(key);
        }
    }
}

impl Truth {
    /// Takes what an event of the API says.
    pub(crate) fn apply(&mut self, event: &Event) {
        self.filled = true;
        match event {
            Event::Config(config) => self.config = config.clone(),
            Event::Services(change) => apply(&mut self.services, change),
            Event::Slices(change) => apply(&mut self.slices, change),
            Event::Nodes(change) => apply(&mut self.nodes, change),
            Event::Peers(peers) => self.peers.clone_from(peers),
            Event::Recorded(change) => apply(&mut self.records, change),
            Event::Speakers(change) => apply(&mut self.speakers, change),
            _ => {}
        }
    }

    /// All of it.
    pub(crate) fn events(&self) -> Vec<Event> {
        vec![
            Event::Config(self.config.clone()),
            Event::Services(Change::Replace(self.services.clone())),
            Event::Slices(Change::Replace(self.slices.clone())),
            Event::Nodes(Change::Replace(self.nodes.clone())),
            Event::Peers(self.peers.clone()),
            Event::Recorded(Change::Replace(self.records.clone())),
            Event::Speakers(Change::Replace(self.speakers.clone())),
        ]
    }

    /// Services tied to `service` by shared addresses, with all their addresses.
    pub(crate) fn group(&self, service: &ServiceKey) -> BTreeSet<IpAddr> {
        let facts = self.services.get(service);
        self.with_all_tied(facts.into_iter().flat_map(|facts| &facts.addresses).copied().collect())
    }

    /// The group that `address` belongs to.
    pub(crate) fn group_of(&self, address: IpAddr) -> BTreeSet<IpAddr> {
        self.with_all_tied(BTreeSet::from([address]))
    }

    fn with_all_tied(&self, mut group: BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        loop {
            let tied = self
                .services
                .values()
                .filter(|facts| facts.addresses.iter().any(|address| group.contains(address)));
            let more: BTreeSet<IpAddr> = tied.flat_map(|facts| facts.addresses.clone()).collect();
            if more.len() <= group.len() {
                return group;
            }
            group.extend(more);
        }
    }
}

/// One pool, announced everywhere.
pub(crate) fn config() -> Config {
    let pool = Pool {
        name: "pool".into(),
        labels: Labels::new(),
        ranges: ["192.0.2.0-192.0.17.255", "2001:db8::/112"]
            .map(|range| AddressRange::parse(range).unwrap())
            .into(),
        auto_assign: true,
        avoid_buggy_ips: false,
        allocation: None,
    };
    let advertisement = Advertisement {
        name: "ad".to_owned(),
        pools: BTreeSet::from(["pool".into()]),
        node_selectors: Vec::new(),
        interfaces: BTreeSet::new(),
        service_selectors: Vec::new(),
        preferences: Vec::new(),
    };
    Config {
        pools: [(pool.name.clone(), pool)].into(),
        advertisements: [(advertisement.name.clone(), advertisement)].into(),
        ..Config::default()
    }
}

impl World {
    /// Whether a node has a way to the API server and it answers.
    pub(crate) fn api_answers(&self, id: NodeId) -> bool {
        !self.api_away && self.converse(0, Way::Mesh, Station::Node(id), Station::Api)
    }

    /// Changes an object, which every node's watches tell, each in its time.
    pub(crate) fn change(&mut self, event: &Event) {
        self.truth.apply(event);
        for id in 0..self.nodes.len() {
            self.tell_by_watch(id, event.clone());
        }
    }

    fn tell_by_watch(&mut self, id: NodeId, event: Event) {
        let delay = self.dice.between(3 * MS, 80 * MS);
        let node = &mut self.nodes[id];
        let Some(agent) = &node.agent else { return };
        node.watch_from = node.watch_from.max(self.now + delay) + 1;
        let watch = Happening::Watch(id, agent.life, Box::new(event));
        self.queue.push(node.watch_from, watch);
    }

    /// A watch event arrives, unless the connection is broken: then a relist makes up for it.
    pub(crate) fn watched(&mut self, id: NodeId, event: Event) {
        if self.nodes[id].stale || !self.api_answers(id) || self.deaf_watches.contains(&id) {
            self.nodes[id].stale = true;
            return;
        }
        self.nodes[id].file.apply(&event);
        self.tell(id, event);
    }

    pub(crate) fn relist(&mut self, id: NodeId) {
        self.nodes[id].relisting = false;
        if !self.api_answers(id)
            || self.deaf_watches.contains(&id)
            || self.nodes[id].agent.is_none()
        {
            return;
        }
        let node = &mut self.nodes[id];
        (node.stale, node.file) = (false, self.truth.clone());
        if let Some(agent) = &mut node.agent {
            agent.listed = true;
        }
        for event in self.truth.events() {
            self.tell(id, event);
        }
    }

    /// An agent that got nothing from the API so far takes what its file says.
    pub(crate) fn read_file(&mut self, id: NodeId) {
        let node = &mut self.nodes[id];
        let Some(agent) = node.agent.as_mut().filter(|agent| !agent.listed) else { return };
        if !node.file.filled {
            return;
        }
        agent.listed = true;
        let old = Truth { speakers: BTreeMap::new(), ..node.file.clone() };
        for event in old.events() {
            self.tell(id, event);
        }
    }

    /// What retries: broken watches, writes that failed.
    pub(crate) fn retry(&mut self) {
        for id in 0..self.nodes.len() {
            let answers = self.api_answers(id) && !self.deaf_watches.contains(&id);
            let node = &self.nodes[id];
            if answers && node.stale && !node.relisting && node.agent.is_some() {
                let delay = self.dice.between(50 * MS, 800 * MS);
                self.list_after(id, delay);
            }
            // Each node once a second.
            if self.now / (SEC / 4) % 4 == id as u64 % 4 {
                self.mend(id);
            }
            self.write_soon(id);
        }
    }

    pub(crate) fn list_after(&mut self, id: NodeId, delay: At) {
        (self.nodes[id].relisting, self.nodes[id].stale) = (true, true);
        self.queue.push(self.now + delay, Happening::Relist(id));
    }

    /// Where the speakers should be: wherever a node is.
    pub(crate) fn all_peers(&self) -> BTreeSet<SocketAddr> {
        (0..self.nodes.len()).map(node::mesh_address).collect()
    }
}
