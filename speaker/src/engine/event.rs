//! What can happen to a speaker.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crds::model::compile::Config;
use crds::model::ids::{IfIndex, MacAddr, NodeName, ServiceKey};
use serde::{Deserialize, Serialize};

use crate::facts::{NodeFacts, Recorded, ServiceFacts, SliceFacts, SpeakerFacts};
use crate::link::LinkFacts;
use crate::respond::Heard;

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
    /// The links whose sockets cannot be opened at present, and why; always complete. They are tried again
    /// without being asked for.
    Refused(BTreeMap<IfIndex, String>),
    /// Who announced each Service by the API's record, by the record's own name. It moves nothing:
    /// it only says who goes first where nobody answers for an address.
    Recorded(Change<String, Recorded>),
    /// The Speaker objects, by node: move orders for this node, and knocks.
    Speakers(Change<NodeName, SpeakerFacts>),
    /// A mesh datagram came in.
    Datagram(Vec<u8>),
    /// A link frame of ours (EtherType 0x88B5) came in; what follows its Ethernet header.
    Frame {
        /// On this link.
        link: IfIndex,
        /// From this MAC.
        source: MacAddr,
        /// The payload; may be padded with zeroes.
        bytes: Vec<u8>,
    },
    /// A port overheard somebody speak for an address, or got the answer to a question.
    Heard(Heard),
    /// The connection that [`Effect::Attend`](super::Effect::Attend) asked for was made and has
    /// ended: the process at its far end is gone, by the word of that machine's own kernel.
    Hangup(SocketAddr),
    /// How many frames each link has received since it was made; in reply to
    /// [`Effect::Count`](super::Effect::Count).
    Counted(BTreeMap<IfIndex, u64>),
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
