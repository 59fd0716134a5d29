//! The Ethernet segments: who hears whom, with what loss and delay.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use crds::model::ids::MacAddr;

use crate::happening::Happening;
use crate::node::{self, NodeId, Segment};
use crate::talk::Talk;
use crate::time::{At, MS};
use crate::world::World;

/// Bytes of the longest frame, header included: the MTU of Ethernet is 1,500.
const LONGEST_FRAME: usize = 1_514;
/// The promise that nothing is said that is too long to be heard.
pub(crate) const SIZE: &str = "messages fit";
/// The EtherType of link frames.
pub(crate) const LINK_FRAME: u16 = 0x88b5;

/// Something with a port on a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Station {
    Node(NodeId),
    /// A host that asks for the addresses; two on each segment, see [`World::segment_of_client`].
    Client(usize),
    /// Where the API server is, on segment 0.
    Api,
    /// A host that answers for an address of ours.
    Foreign(usize),
    /// A router that does proxy ARP.
    Router,
}

/// What does not pass. Of the fault with this number.
#[derive(Debug, Clone)]
pub(crate) enum Cut {
    /// These and all others hear nothing of one another.
    Apart(BTreeSet<Station>),
    /// Those do not hear these; the other way it passes.
    Mute { from: BTreeSet<Station>, to: BTreeSet<Station> },
    /// No node hears another; everybody else hears all.
    Isolated,
    /// The port of a node on a segment passes nothing.
    Port(NodeId, Segment),
    /// UDP and TCP between these and the other nodes.
    Mesh(BTreeSet<NodeId>),
    /// UDP and TCP between any two nodes.
    AllMesh,
    /// Link frames.
    Frames,
    /// ARP and link frames between these nodes and the others; the mesh takes another way.
    Layer2(BTreeSet<NodeId>),
}

/// What a segment's switches do besides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switches {
    /// Lost of a thousand frames between nodes.
    pub(crate) loss: u64,
    /// Delivered twice of a thousand.
    pub(crate) twice: u64,
    /// Late by milliseconds, hence out of order, of a thousand.
    pub(crate) late: u64,
    /// Answers broadcast questions from what it saw, without passing them on.
    pub(crate) suppress: Option<BTreeMap<IpAddr, MacAddr>>,
    /// A router answers for everything.
    pub(crate) proxy: bool,
}

/// How a frame travels: some cuts stop only some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Arp,
    Frame,
    Mesh,
}

pub(crate) const ROUTER: MacAddr = MacAddr([2, 0xfe, 0, 0, 0, 1]);

pub(crate) const fn foreign_mac(number: usize) -> MacAddr {
    MacAddr([2, 0xfd, 0, 0, 0, number.to_le_bytes()[0]])
}

impl Cut {
    fn stops(&self, segment: Segment, way: Way, from: Station, to: Station) -> bool {
        let across = |set: &BTreeSet<NodeId>| matches!((from, to), (Station::Node(a), Station::Node(b)) if set.contains(&a) != set.contains(&b));
        match self {
            Self::Apart(set) => set.contains(&from) != set.contains(&to),
            Self::Mute { from: mute, to: deaf } => mute.contains(&from) && deaf.contains(&to),
            Self::Isolated => matches!((from, to), (Station::Node(_), Station::Node(_))),
            Self::Port(node, on) => *on == segment && [from, to].contains(&Station::Node(*node)),
            Self::AllMesh => {
                let nodes = matches!((from, to), (Station::Node(_), Station::Node(_)));
                way == Way::Mesh && nodes
            }
            Self::Mesh(set) => way == Way::Mesh && across(set),
            Self::Frames => way == Way::Frame,
            Self::Layer2(set) => way != Way::Mesh && across(set),
        }
    }
}

impl World {
    pub(crate) const fn segment_of_client(client: usize) -> Segment {
        client / 2
    }

    /// Whether a frame of `from` gets to `to`, loss apart.
    pub(crate) fn reaches(&self, segment: Segment, way: Way, from: Station, to: Station) -> bool {
        let plugged = |station| match station {
            Station::Node(id) => {
                let node: &crate::node::Node = &self.nodes[id];
                node.is_awake() && node.cables[segment]
            }
            Station::Client(_) | Station::Api | Station::Foreign(_) | Station::Router => true,
        };
        plugged(from)
            && plugged(to)
            && !self.cuts.iter().any(|(_, cut)| cut.stops(segment, way, from, to))
    }

    /// Both ways.
    pub(crate) fn converse(&self, segment: Segment, way: Way, a: Station, b: Station) -> bool {
        self.reaches(segment, way, a, b) && self.reaches(segment, way, b, a)
    }

    /// A delay on the wire; `None`: lost.
    pub(crate) fn passage(&mut self, segment: Segment) -> Option<At> {
        let switches = &self.switches[segment];
        let (loss, late) = (switches.loss.max(self.burst), switches.late);
        if self.dice.permille(loss) {
            return None;
        }
        let slow = self.dice.permille(late);
        Some(if slow { self.dice.between(MS, 8 * MS) } else { self.dice.between(40, 250) })
    }

    /// Puts a frame on a segment.
    pub(crate) fn transmit(&mut self, segment: Segment, from: Station, frame: Vec<u8>) {
        let Some(destination) = frame.first_chunk().map(|bytes| MacAddr(*bytes)) else { return };
        if let Station::Node(id) = from {
            self.judge.ledger.count_bytes(id, frame.len());
        }
        // The kernel takes none that is longer (EMSGSIZE).
        if frame.len() > LONGEST_FRAME {
            return self.broken(SIZE, format!("{from:?}: a frame of {} bytes", frame.len()));
        }
        let ethertype = u16::from_be_bytes([frame[12], frame[13]]);
        let way = if ethertype == LINK_FRAME { Way::Frame } else { Way::Arp };
        if way == Way::Arp && self.suppressed(segment, from, &frame) {
            return;
        }
        let frame: Rc<[u8]> = frame.into();
        if !destination.is_group() {
            if let Some(to) = self.station(destination, segment) {
                self.carry(segment, way, from, to, &frame);
            }
            return;
        }
        for id in 0..self.nodes.len() {
            self.carry(segment, way, from, Station::Node(id), &frame);
        }
        if way == Way::Arp {
            for number in 0..self.foreigners.len() {
                self.carry(segment, way, from, Station::Foreign(number), &frame);
            }
            for client in [2 * segment, 2 * segment + 1] {
                self.carry(segment, way, from, Station::Client(client), &frame);
            }
            if self.switches[segment].proxy {
                self.carry(segment, way, from, Station::Router, &frame);
            }
        }
    }

    fn station(&self, mac: MacAddr, segment: Segment) -> Option<Station> {
        if mac == ROUTER {
            return Some(Station::Router);
        }
        let foreign = (0..self.foreigners.len()).find(|number| foreign_mac(*number) == mac);
        let node = node::owner_of(mac).filter(|(id, on)| *on == segment && *id < self.nodes.len());
        foreign.map(Station::Foreign).or_else(|| node.map(|(id, _)| Station::Node(id)))
    }

    fn carry(&mut self, segment: Segment, way: Way, from: Station, to: Station, frame: &Rc<[u8]>) {
        if from == to || !self.reaches(segment, way, from, to) {
            return;
        }
        let between_nodes = matches!((from, to), (Station::Node(_), Station::Node(_)));
        let Some(delay) = (if between_nodes { self.passage(segment) } else { Some(100) }) else {
            return;
        };
        let arrive = || Happening::Frame { segment, to, frame: Rc::clone(frame) };
        self.queue.push(self.now + delay, arrive());
        if self.dice.permille(self.switches[segment].twice) {
            let again = self.dice.between(50, 5 * MS);
            self.queue.push(self.now + delay + again, arrive());
        }
    }

    /// A switch that suppresses ARP learns from every sender, and answers broadcast questions for
    /// those it knows itself, dead or alive.
    fn suppressed(&mut self, segment: Segment, from: Station, frame: &[u8]) -> bool {
        let Some(known) = &mut self.switches[segment].suppress else { return false };
        let Some(talk) = Talk::parse(frame) else { return false };
        if !talk.sender.is_unspecified() {
            known.insert(talk.sender, talk.mac);
        }
        let asks = talk.asks && talk.destination.is_group();
        let Some(&mac) = known.get(&talk.target).filter(|mac| asks && **mac != talk.source) else {
            return false;
        };
        let frame = talk.answer(mac).into();
        let up = match from {
            Station::Node(id) => !self.cuts.iter().any(|(_, cut)| match cut {
                Cut::Port(node, on) => *node == id && *on == segment,
                Cut::Apart(set) => set.contains(&from) && set.len() == 1,
                _ => false,
            }),
            _ => true,
        };
        if up {
            self.queue.push(self.now + 100, Happening::Frame { segment, to: from, frame });
        }
        true
    }
}
