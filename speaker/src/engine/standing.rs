//! How a Service stands on this node: announced, or why not.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use crds::model::ids::{IfIndex, PoolName};
use serde::{Deserialize, Serialize};

use crate::announce::table::{Answer, Entry, Links};
use crate::ownership::Why;

/// How a Service stands on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// This node announces it.
    Announced(Announcement),
    /// It does not.
    Silent(Why),
}

/// What this node announces for a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The Service's UID.
    pub uid: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The pool they are from.
    pub pool: PoolName,
    /// The interfaces that its advertisements name; empty: all.
    pub interfaces: BTreeSet<String>,
    /// The links of those names; meaningless where all are meant.
    pub links: BTreeSet<IfIndex>,
}

impl Standing {
    /// What is announced, if anything is.
    pub const fn announcement(&self) -> Option<&Announcement> {
        match self {
            Self::Announced(announcement) => Some(announcement),
            Self::Silent(_) => None,
        }
    }

    /// The IPv4 addresses announced.
    pub fn addresses_v4(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.announcement().into_iter().flat_map(Announcement::addresses_v4)
    }
}

impl Announcement {
    /// The IPv4 addresses.
    pub fn addresses_v4(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.addresses.iter().filter_map(|address| match address {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        })
    }

    /// How each of its addresses is answered.
    pub fn entry(&self) -> Entry {
        let links =
            if self.interfaces.is_empty() { Links::All } else { Links::Only(self.links.clone()) };
        Entry { links, answer: Answer::Own }
    }
}
