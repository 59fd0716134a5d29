//! What can happen to a speaker.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crds::model::compile::Config;
use crds::model::ids::{NodeName, ServiceKey};
use serde::{Deserialize, Serialize};

use crate::facts::{NodeFacts, ServiceFacts, SliceFacts};
use crate::link::LinkFacts;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The configuration in force.
    Config(Config),
    /// Services of type LoadBalancer that are ours to announce.
    Services(Change<ServiceKey, ServiceFacts>),
    /// EndpointSlices, by namespace and name.
    Slices(Change<ServiceKey, SliceFacts>),
    /// Nodes.
    Nodes(Change<NodeName, NodeFacts>),
    /// Where the speakers of this cluster should be; always complete.
    Peers(BTreeSet<SocketAddr>),
    /// This node's interfaces; always complete.
    Links(Vec<LinkFacts>),
    /// A mesh datagram came in.
    Datagram(Vec<u8>),
    /// The process was asked to stop.
    Shutdown,
}

/// A change to a set of objects. `Replace` comes at the start and after every relist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "K: Serialize + Ord, V: Serialize",
    deserialize = "K: Deserialize<'de> + Ord, V: Deserialize<'de>"
))]
pub enum Change<K, V> {
    /// These are all there are.
    Replace(#[serde(with = "pairs")] BTreeMap<K, V>),
    /// This one is new, or is so now.
    Set(K, V),
    /// This one is gone.
    Remove(K),
}

/// The kinds whose first delivery is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Services.
    Services,
    /// EndpointSlices.
    Slices,
    /// Nodes.
    Nodes,
    /// The addresses of the other speakers.
    Peers,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Services, Self::Slices, Self::Nodes, Self::Peers];

    /// Its name for a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Slices => "endpoint slices",
            Self::Nodes => "nodes",
            Self::Peers => "speaker pods",
        }
    }
}

/// Maps as lists of pairs: JSON has no keys but text.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
