//! How a Service stands on this node: announced, or why not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::ids::{IfIndex, MacAddr, NodeName, PoolName};
use serde::{Deserialize, Serialize};

use crate::announce::table::{Answer, Entry, Links};
use crate::ownership::Why;

/// How a Service stands on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// This node announces it.
    Announced(Announcement),
    /// This node answers in the place of its owner, with the owner's MAC on each link.
    Deputising {
        /// The owner, whose agent is away.
        owner: NodeName,
        /// The owner's MAC on each link that both are on.
        macs: BTreeMap<IfIndex, MacAddr>,
        /// What is answered.
        announcement: Announcement,
    },
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
    /// The claim under which this node announces it; zero where there is no mesh, hence no claims.
    pub claim: u64,
}

impl Standing {
    /// What is announced, if anything is.
    pub const fn announcement(&self) -> Option<&Announcement> {
        match self {
            Self::Announced(announcement) => Some(announcement),
            Self::Deputising { .. } | Self::Silent(_) => None,
        }
    }

    /// The addresses answered for, be it in the place of their owner.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let answered = match self {
            Self::Announced(announcement) | Self::Deputising { announcement, .. } => {
                Some(announcement)
            }
            Self::Silent(_) => None,
        };
        answered.into_iter().flat_map(|announcement| announcement.addresses.iter().copied())
    }

    /// How its addresses are answered.
    pub fn entry(&self) -> Option<Entry> {
        match self {
            Self::Announced(announcement) => Some(announcement.entry(Answer::Own)),
            Self::Deputising { macs, announcement, .. } => {
                Some(announcement.entry(Answer::Deputy(macs.clone())))
            }
            Self::Silent(_) => None,
        }
    }
}

impl Announcement {
    fn entry(&self, answer: Answer) -> Entry {
        let links =
            if self.interfaces.is_empty() { Links::All } else { Links::Only(self.links.clone()) };
        Entry { links, answer }
    }
}
