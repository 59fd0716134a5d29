//! What a speaker is to do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crds::model::ids::{IfIndex, MacAddr, NodeName, ServiceKey};
use crds::model::range::AddressRange;
use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::announce::desired::{Desired, PortSpec};
use crate::link::Ineligible;
use crate::moment::Moment;

/// How a speaker stands, as its Speaker object tells users and the controller.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Description {
    /// Whether it takes addresses.
    pub state: State,
    /// How often it was out of touch and came back.
    pub returns: u64,
    /// The addresses that it cannot leave though it should, since nobody else may have them.
    pub waiting: BTreeSet<IpAddr>,
    /// The last knock, to be echoed.
    pub knock: Option<String>,
    /// Its links that can carry announcements.
    pub links: Vec<PortSpec>,
    /// Addresses that others answer for, too.
    pub conflicts: BTreeSet<Conflict>,
    /// Addresses that nobody answered for when they were asked for last, and who owns them.
    pub unanswered: BTreeMap<IpAddr, NodeName>,
}

/// Whether a speaker takes addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum State {
    /// It does.
    #[default]
    Active,
    /// It is leaving those it has.
    Draining,
    /// It has left all it had, because it was asked to.
    Drained,
    /// The exclude label keeps it out.
    Excluded,
}

/// Somebody else answers for an address of ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conflict {
    /// The address.
    pub address: IpAddr,
    /// Who.
    pub mac: MacAddr,
    /// Where.
    pub link: IfIndex,
    /// It was announced before, by us or by another program: then it is kept. Otherwise it is not
    /// announced at all.
    pub served: bool,
    /// The node whose MAC that is, if it is one of ours that has no claim to the address.
    pub member: Option<NodeName>,
}

/// Something to be done, in the order given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Answer on exactly these links, and go on trying to where that is refused; told by
    /// [`Event::Refused`](super::Event::Refused).
    Ports(Vec<PortSpec>),
    /// These interfaces are not used now, though somebody may expect it, and why not; for logs and
    /// metrics.
    Unused(BTreeMap<String, Ineligible>),
    /// Let the kernel pass on only what concerns these ranges.
    Ranges(Vec<AddressRange>),
    /// Answer exactly this from now on.
    Publish(Desired),
    /// Send a gratuitous frame for `address`.
    Transmit {
        /// On this link.
        link: IfIndex,
        /// What it announces.
        address: IpAddr,
        /// The whole frame.
        frame: Vec<u8>,
    },
    /// Send a frame that asks something on the wire; whole, Ethernet header included.
    Question {
        /// On this link.
        link: IfIndex,
        /// The whole frame.
        frame: Vec<u8>,
    },
    /// Send a link frame of ours: EtherType 0x88B5, from the link's own MAC.
    Frame {
        /// On this link.
        link: IfIndex,
        /// To this MAC; broadcast for everybody.
        to: MacAddr,
        /// What follows the Ethernet header.
        bytes: Vec<u8>,
    },
    /// The ports may answer until this moment and not past it (the dead man's switch). Never moves
    /// back.
    Renew(Moment),
    /// Keep a TCP connection to exactly these, and tell of each that was up and has ended.
    Attend(BTreeSet<SocketAddr>),
    /// Tell how many frames each link has received, by [`Event::Counted`](super::Event::Counted).
    Count,
    /// Write this nonce into the Speaker object of a node whose speaker is not heard any more.
    Knock {
        /// Whose.
        node: NodeName,
        /// To be echoed.
        nonce: String,
    },
    /// This is how the speaker of this node stands; for its Speaker object.
    Describe(Description),
    /// Somebody else answers for an address; for logs, Events and metrics.
    Conflict(Conflict),
    /// Whose MACs answered for an address when this node looked, as the one that would inherit it.
    Checked {
        /// The address.
        address: IpAddr,
        /// Who answered; empty: nobody.
        macs: BTreeSet<MacAddr>,
    },
    /// Send a mesh datagram.
    Send {
        /// To this member.
        to: SocketAddr,
        /// These bytes.
        bytes: Vec<u8>,
    },
    /// The living members are now these; for logs and metrics.
    Members {
        /// Who.
        alive: BTreeSet<NodeName>,
        /// Whether this member sees most of the nodes, so that the others are most likely dead.
        certain: bool,
    },
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
