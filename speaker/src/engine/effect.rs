//! What a speaker is to do.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use crds::model::ids::{IfIndex, NodeName, ServiceKey};
use crds::model::range::AddressRange;
use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::announce::desired::{Desired, PortSpec};

/// Something to be done, in the order given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Answer on exactly these links.
    Ports(Vec<PortSpec>),
    /// Let the kernel pass on only what concerns these ranges.
    Ranges(Vec<AddressRange>),
    /// Answer exactly this from now on.
    Publish(Desired),
    /// Send a gratuitous frame for `address`.
    Transmit {
        /// On this link.
        link: IfIndex,
        /// What it announces.
        address: Ipv4Addr,
        /// The whole frame.
        frame: Vec<u8>,
    },
    /// Send a mesh datagram.
    Send {
        /// To this member.
        to: SocketAddr,
        /// These bytes.
        bytes: Vec<u8>,
    },
    /// The living members are now these; for logs and metrics.
    Members(BTreeSet<NodeName>),
    /// A Service stands differently; `None`: it is gone, or no longer ours.
    Report {
        /// The Service.
        service: ServiceKey,
        /// Its UID; empty when it is gone.
        uid: String,
        /// How it stands.
        standing: Option<Standing>,
    },
    /// All is done: end the process.
    Halt,
}
