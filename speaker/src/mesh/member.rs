//! A member: one speaker process on one node.

use std::net::SocketAddr;

use crds::model::ids::NodeName;
use serde::{Deserialize, Serialize};

/// One speaker process. A restarted one is another member at the same address, and so is a node
/// that was deleted and added again under its old name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// The Node object's name.
    pub node: NodeName,
    /// Where it receives mesh datagrams.
    pub addr: SocketAddr,
    /// When it started, in milliseconds since 1970 by its own clock. Compared only between members
    /// at one address, that is, between lives of one agent on one machine.
    pub started: u64,
    /// How often it came back after the others had given it up.
    pub renewals: u32,
}

impl Member {
    /// A stand-in for whoever is at `addr`, good for asking it to let us in.
    pub fn unknown_at(addr: SocketAddr) -> Self {
        Self { node: String::new().into(), addr, started: 0, renewals: 0 }
    }
}

impl foca::Identity for Member {
    type Addr = SocketAddr;

    /// A member that was given up while it lived comes back as its own successor.
    fn renew(&self) -> Option<Self> {
        Some(Self { renewals: self.renewals.wrapping_add(1), ..self.clone() })
    }

    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        (self.started, self.renewals) > (other.started, other.renewals)
    }
}
