//! Who answers for an address.
//!
//! The unit is the [`Group`](crds::model::group::Group), all addresses of one Service united with
//! those of every Service that shares one of them, so that a shared address never has two owners.
//!
//! ```text
//! statements -> book (who holds what) --+
//! answers, the wire -> watch -> lives --+--> decision: own, deputise, hand over, be silent, and why
//! Services, nodes, configuration -------+
//! ```
//!
//! Everybody keeps everybody's statement, so everybody knows who holds what; who *owns* an address
//! is the holder of the highest claim that lives. Pure: facts come in, decisions come out.

pub mod book;
pub mod claim;
pub mod life;
pub mod part;
pub mod statement;
pub mod watch;
pub mod word;

use std::net::IpAddr;

use crds::model::ids::{MacAddr, NodeName};
use serde::{Deserialize, Serialize};

/// Why this node does not announce a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Why {
    /// Another node does.
    #[error("node \"{0}\" announces it")]
    OtherNode(NodeName),
    /// The Service has no address yet.
    #[error("no address is assigned")]
    NoAddress,
    /// An address of the Service is in no pool (any more), or in another than the rest.
    #[error("its addresses are not in one pool")]
    NotInPool,
    /// No advertisement is meant for the pool and the Service.
    #[error("no L2Advertisement covers it")]
    NoAdvertisement,
    /// Nothing would take the traffic.
    #[error("it has no usable endpoint")]
    NoEndpoints,
    /// Every node that an advertisement selects is dead, excluded, without network, or (for
    /// `externalTrafficPolicy: Local`) without an endpoint.
    #[error("no node that may announce it is available")]
    NoCandidate,
    /// This speaker has stopped answering for anything.
    #[error("this node has no interface to answer on, or is out of touch with the others")]
    OutOfTouch,
    /// It is being asked whether another host has the address already.
    #[error("asking whether another host has the address")]
    Probing,
    /// Another host answered when we asked whether anybody has the address.
    #[error("{address} is in use by {mac}")]
    InUse {
        /// The address.
        address: IpAddr,
        /// Who has it.
        mac: MacAddr,
    },
    /// This node is the owner, and has none of the interfaces that the advertisements name.
    #[error("the owner has none of the interfaces that its L2Advertisements name for {0}")]
    NoInterface(IpAddr),
}

impl Why {
    /// A fixed word for logs and metric labels; MetalLB's where it has one.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::OtherNode(_) => "notOwner",
            Self::NoAddress => "noIPAllocated",
            Self::NotInPool => "ipNotAllowed",
            Self::NoAdvertisement => "noMatchingAdvertisement",
            Self::NoEndpoints => "noEndpoints",
            Self::NoCandidate => "noCandidate",
            Self::NoInterface(_) => "noInterface",
            Self::OutOfTouch => "outOfTouch",
            Self::Probing => "probing",
            Self::InUse { .. } => "addressInUse",
        }
    }
}
