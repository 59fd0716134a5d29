//! The last complete inputs of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crds::model::compile::Config;
use crds::model::ids::{NodeName, ServiceKey};

use crate::engine::{Change, Event};
use crate::facts::{NodeFacts, Recorded, ServiceFacts, SliceFacts};

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Input {
    Config,
    Services,
    Slices,
    Nodes,
    Peers,
    Recorded,
}

impl Input {
    /// Which one `event` tells of. The others are not kept: links, frames and the like are of the
    /// moment, and an order or a knock of before this start is none any more.
    pub(super) fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Config(_) => Some(Self::Config),
            Event::Services(_) => Some(Self::Services),
            Event::Slices(_) => Some(Self::Slices),
            Event::Nodes(_) => Some(Self::Nodes),
            Event::Peers(_) => Some(Self::Peers),
            Event::Recorded(_) => Some(Self::Recorded),
            Event::Links(_)
            | Event::Refused(_)
            | Event::Speakers(_)
            | Event::Datagram(_)
            | Event::Frame { .. }
            | Event::Heard(_)
            | Event::Hangup(_)
            | Event::Counted(_)
            | Event::Shutdown => None,
        }
    }

    /// Its name for a person.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Config => "configuration",
            Self::Services => "services",
            Self::Slices => "endpoint slices",
            Self::Nodes => "nodes",
            Self::Peers => "speaker pods",
            Self::Recorded => "records",
        }
    }
}

/// The last complete inputs; `None` for what has not been told yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Inputs {
    config: Option<Config>,
    services: Option<BTreeMap<ServiceKey, ServiceFacts>>,
    slices: Option<BTreeMap<ServiceKey, SliceFacts>>,
    nodes: Option<BTreeMap<NodeName, NodeFacts>>,
    peers: Option<BTreeSet<SocketAddr>>,
    recorded: Option<BTreeMap<String, Recorded>>,
}

impl Inputs {
    /// Takes in what `event` tells; whether anything is different now.
    pub(super) fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Config(config) => replace(&mut self.config, config),
            Event::Services(change) => apply(&mut self.services, change),
            Event::Slices(change) => apply(&mut self.slices, change),
            Event::Nodes(change) => apply(&mut self.nodes, change),
            Event::Peers(peers) => replace(&mut self.peers, peers),
            Event::Recorded(change) => apply(&mut self.recorded, change),
            Event::Links(_)
            | Event::Refused(_)
            | Event::Speakers(_)
            | Event::Datagram(_)
            | Event::Frame { .. }
            | Event::Heard(_)
            | Event::Hangup(_)
            | Event::Counted(_)
            | Event::Shutdown => false,
        }
    }

    /// The same as events, as they would come at a start.
    pub(super) fn events(&self) -> Vec<Event> {
        let Self { config, services, slices, nodes, peers, recorded } = self.clone();
        let events = [
            config.map(Event::Config),
            services.map(|all| Event::Services(Change::Replace(all))),
            slices.map(|all| Event::Slices(Change::Replace(all))),
            nodes.map(|all| Event::Nodes(Change::Replace(all))),
            peers.map(Event::Peers),
            recorded.map(|all| Event::Recorded(Change::Replace(all))),
        ];
        events.into_iter().flatten().collect()
    }
}

fn replace<T: PartialEq>(value: &mut Option<T>, new: T) -> bool {
    let changed = value.as_ref() != Some(&new);
    *value = Some(new);
    changed
}

fn apply<K: Ord, V: PartialEq>(set: &mut Option<BTreeMap<K, V>>, change: Change<K, V>) -> bool {
    match (change, set) {
        (Change::Replace(all), set) => replace(set, all),
        (Change::Set(key, value), Some(set)) => {
            let changed = set.get(&key) != Some(&value);
            set.insert(key, value);
            changed
        }
        (Change::Remove(key), Some(set)) => set.remove(&key).is_some(),
        // A change to what has never been complete does not make it so.
        (Change::Set(..) | Change::Remove(_), None) => false,
    }
}
