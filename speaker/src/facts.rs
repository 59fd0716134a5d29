//! What the engine knows of Kubernetes objects: the few facts that decide anything, and no more.
//! A speaker holds these for the whole cluster, so they are kept small; `view` makes them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crds::model::ids::{NodeName, PoolName, ServiceKey};
use crds::model::selector::Labels;
use serde::{Deserialize, Serialize};

/// A Service of type LoadBalancer that is ours to announce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceFacts {
    /// Its UID: a Service that is deleted and made again under its name is another.
    pub uid: String,
    /// The addresses in its status, in their order there.
    pub addresses: Vec<IpAddr>,
    /// The pool they came from, by the controller's word.
    pub pool: Option<PoolName>,
    /// Its labels, which advertisements select Services by.
    pub labels: Labels,
    /// Which nodes may take its traffic.
    pub traffic: Traffic,
}

/// `externalTrafficPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Traffic {
    /// Every node passes it on.
    Cluster,
    /// Only nodes with a usable endpoint take it.
    Local,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Its labels, which advertisements select nodes by.
    pub labels: Labels,
    /// Its `NetworkUnavailable` condition is true.
    pub network_unavailable: bool,
    /// It carries our drain mark: its speaker leaves its addresses to others.
    pub draining: bool,
}

/// Who announces a Service, by the API's record (a ServiceL2Status).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The Service.
    pub service: ServiceKey,
    /// The node that announced it when this was written.
    pub node: NodeName,
    /// Under which claim; zero if it does not say.
    pub claim: u64,
    /// Whether a speaker of ours wrote it. That of another program says that the address has served,
    /// and not that nobody else answers for it.
    #[serde(default)]
    pub is_ours: bool,
}

/// What the Speaker object of a node says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SpeakerFacts {
    /// Groups that this node is to hand over, if it still owns them under the claim named.
    pub orders: Vec<Order>,
    /// The nonce that somebody who does not hear this speaker has left for it.
    pub knock: Option<String>,
    /// The nonce that this speaker echoed last.
    pub echo: Option<String>,
}

/// A move order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The lowest address of the group.
    pub address: IpAddr,
    /// The claim of the owner that is to give it up; under any other the order is void.
    pub claim: u64,
    /// To whom.
    pub to: NodeName,
    /// Of which controller it is, in the order in which they led: void once a later one has spoken.
    pub epoch: u64,
}

/// One EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceFacts {
    /// The Service it belongs to.
    pub service: ServiceKey,
    /// Whether it has a usable endpoint at all; one without a node counts here only.
    pub usable: bool,
    /// The nodes that have a usable endpoint.
    pub nodes: BTreeSet<NodeName>,
}
