//! A node: machine, kernel, cables, clock, and the agent (speaker process) that may run on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use crds::model::ids::{IfIndex, MacAddr, NodeName, ServiceKey};
use crds::model::range::AddressRange;
use speaker::announce::desired::{Desired, PortSpec};
use speaker::announce::table::Table;
use speaker::engine::{Engine, Event};
use speaker::link::LinkFacts;
use speaker::moment::Moment;

use crate::api::Truth;
use crate::reporter::Write;
use crate::time::At;

pub(crate) type NodeId = usize;
/// Which life of an agent; never used twice in a run.
pub(crate) type Life = u32;
/// Index of a segment; a node's link on it has the index plus two.
pub(crate) type Segment = usize;

/// The UDP and TCP port of the mesh.
pub(crate) const MESH_PORT: u16 = 7946;

#[expect(clippy::struct_excessive_bools, reason = "a machine is on or off, in many ways at once")]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: NodeName,
    /// The machine runs.
    pub(crate) power: bool,
    /// The machine is suspended, since then.
    pub(crate) paused: Option<At>,
    /// For how long its clock stood still in all.
    standstill: At,
    /// How far its wall clock is off, in milliseconds.
    pub(crate) wall_offset: i64,
    /// Whether each link has carrier.
    pub(crate) cables: Vec<bool>,
    /// Its kernel answers neither ARP nor neighbour discovery.
    pub(crate) arp_ignore: bool,
    /// Frames received by each link, as the kernel counts.
    pub(crate) received: Vec<u64>,
    pub(crate) agent: Option<Agent>,
    /// The state file of the agent (emptyDir): what the API last told it.
    pub(crate) file: Truth,
    /// The watches must be listed anew.
    pub(crate) stale: bool,
    /// A relist is under way.
    pub(crate) relisting: bool,
    /// No watch event arrives before this: they keep their order.
    pub(crate) watch_from: At,
    /// What its reporter still wants written.
    pub(crate) writes: VecDeque<Write>,
    pub(crate) writing: bool,
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) life: Life,
    pub(crate) engine: Engine,
    /// The node's clock when it started.
    pub(crate) born: At,
    /// The world's clock when it started.
    pub(crate) since: At,
    pub(crate) inbox: Vec<Event>,
    /// How often it was woken for nothing, one time after the other.
    pub(crate) idle: u32,
    pub(crate) processing: bool,
    /// When the next wake-up is in the queue.
    pub(crate) wake: Option<At>,
    pub(crate) desired: Desired,
    pub(crate) table: Table,
    pub(crate) ports: Vec<PortSpec>,
    pub(crate) ranges: Vec<AddressRange>,
    /// The ports' deadline on the node's clock; none was ever set: they answer.
    pub(crate) deadline: Option<Moment>,
    /// When its passing is looked at.
    pub(crate) silence: Option<At>,
    /// Stopped by a signal: frames that wait in the kernel for its ports.
    pub(crate) hung: Option<Vec<(Segment, Rc<[u8]>)>>,
    /// Whom it keeps connections to; with which life, once established.
    pub(crate) attended: BTreeMap<SocketAddr, Option<Life>>,
    /// To whom there ever was a connection.
    pub(crate) acquainted: BTreeSet<SocketAddr>,
    pub(crate) members: BTreeSet<NodeName>,
    pub(crate) leaving: bool,
    /// What it announces, and under which claim, by its own word.
    pub(crate) reported: BTreeMap<ServiceKey, u64>,
    /// The first full list was delivered, from the API or from the file.
    pub(crate) listed: bool,
}

impl Node {
    pub(crate) fn new(id: NodeId, names: Names, segments: usize) -> Self {
        Self {
            id,
            name: names.of(id),
            power: true,
            paused: None,
            standstill: 0,
            wall_offset: 0,
            cables: vec![true; segments],
            arp_ignore: false,
            received: vec![0; segments],
            agent: None,
            file: Truth::default(),
            stale: false,
            relisting: false,
            watch_from: 0,
            writes: VecDeque::new(),
            writing: false,
        }
    }

    /// Its machine runs and is not suspended.
    pub(crate) const fn is_awake(&self) -> bool {
        self.power && self.paused.is_none()
    }

    /// Its monotonic clock.
    pub(crate) fn clock(&self, now: At) -> At {
        self.paused.unwrap_or(now) - self.standstill
    }

    pub(crate) fn resume(&mut self, now: At) {
        if let Some(since) = self.paused.take() {
            self.standstill += now - since;
        }
    }

    /// The agent's own time.
    pub(crate) fn moment(&self, now: At) -> Moment {
        let born = self.agent.as_ref().map_or(0, |agent| agent.born);
        Moment::after_start(Duration::from_micros(self.clock(now) - born))
    }

    /// Its agent's ports answer: it runs, and the deadline has not passed on its clock.
    pub(crate) fn ports_answer(&self, now: At) -> bool {
        let Some(agent) = self.agent.as_ref().filter(|_| self.is_awake()) else { return false };
        let in_time = agent.deadline.is_none_or(|deadline| self.moment(now) <= deadline);
        agent.hung.is_none() && in_time
    }

    pub(crate) fn links(&self) -> Vec<LinkFacts> {
        let link = |segment: Segment| {
            let index = link_on(segment);
            let mut link =
                LinkFacts::ethernet(index, &format!("eth{segment}"), mac(self.id, segment));
            link.carrier = self.cables[segment];
            let nets = [16, 64].into_iter().zip(addresses(self.id, segment));
            let net = |(len, address)| format!("{address}/{len}").parse().unwrap();
            link.addresses = nets.map(net).collect();
            link
        };
        (0..self.cables.len()).map(link).collect()
    }
}

/// How nodes are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// As in a laboratory.
    Short,
    /// As long as a label may be: 63 letters.
    Long,
}

impl Names {
    pub(crate) fn of(self, id: NodeId) -> NodeName {
        match self {
            Self::Short => format!("n{id}").into(),
            Self::Long => format!("{id:-<51}.example.com").replace('-', "x").into(),
        }
    }
}

pub(crate) fn link_on(segment: Segment) -> IfIndex {
    IfIndex(u32::try_from(segment).unwrap() + 2)
}

pub(crate) const fn segment_of(link: IfIndex) -> Segment {
    link.0 as usize - 2
}

pub(crate) fn mac(id: NodeId, segment: Segment) -> MacAddr {
    let byte = |value: usize| u8::try_from(value & 0xff).unwrap();
    MacAddr([2, 0, 0, byte(segment), byte(id >> 8), byte(id)])
}

/// Whose MAC that is.
pub(crate) fn owner_of(mac: MacAddr) -> Option<(NodeId, Segment)> {
    let [2, 0, 0, segment, high, low] = mac.0 else { return None };
    Some((usize::from(high) << 8 | usize::from(low), segment.into()))
}

pub(crate) fn address(id: NodeId, segment: Segment) -> Ipv4Addr {
    let (segment, host) = (u8::try_from(segment).unwrap(), u16::try_from(id + 1).unwrap());
    let [high, low] = host.to_be_bytes();
    Ipv4Addr::new(10, segment, high, low)
}

/// The kernel's addresses on a segment, one of each family.
pub(crate) fn addresses(id: NodeId, segment: Segment) -> [IpAddr; 2] {
    let (on, host) = (u16::try_from(segment).unwrap(), u16::try_from(id + 1).unwrap());
    let v6 = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, on, host);
    [address(id, segment).into(), v6.into()]
}

pub(crate) fn mesh_address(id: NodeId) -> SocketAddr {
    (address(id, 0), MESH_PORT).into()
}

pub(crate) fn node_at(addr: SocketAddr) -> Option<NodeId> {
    let SocketAddr::V4(v4) = addr else { return None };
    let [10, 0, high, low] = v4.ip().octets() else { return None };
    usize::from(u16::from_be_bytes([high, low])).checked_sub(1)
}
