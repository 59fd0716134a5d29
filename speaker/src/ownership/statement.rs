//! What a member says of itself: how to reach it, whether it takes addresses, and which it holds.
//!
//! Only the member itself changes its statement, and each change has the next version, so of two
//! statements of one member the newer is simply true. How they travel is [`super::part`]'s to know.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crds::model::ids::{MacAddr, NodeName};
use serde::{Deserialize, Serialize};

use super::claim::Held;

/// Where in its life a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It has just started, and answers for nothing yet.
    Starting,
    /// At work.
    Ready,
    /// It is about to end; its node stays.
    Leaving,
}

/// A link of a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkWord {
    /// Its name there; advertisements name interfaces.
    pub name: String,
    /// Its MAC.
    pub mac: MacAddr,
    /// The node's own addresses on it, which the node's kernel answers for.
    pub addresses: Vec<IpAddr>,
}

/// All of a statement but the addresses held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Who speaks.
    pub node: NodeName,
    /// When it started, by its own wall clock: tells lives of one agent apart.
    pub started: u64,
    /// Where it receives datagrams.
    pub addr: SocketAddr,
    /// Where in its life it is.
    pub phase: Phase,
    /// Its links that can carry announcements.
    pub links: Vec<LinkWord>,
    /// It has all the links it ever had: others, that have, do better in its place.
    pub whole: bool,
}

/// A whole statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// All but the addresses.
    pub head: Head,
    /// Grows with each change.
    pub version: u64,
    /// What it holds.
    pub holdings: BTreeMap<IpAddr, Held>,
}

impl Statement {
    /// Which life and version this is; the greater is the newer.
    pub const fn age(&self) -> (u64, u64) {
        (self.head.started, self.version)
    }
}
