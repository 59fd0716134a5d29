//! What travels by IP: mesh datagrams, and the connections that tell of a dead process.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;

use speaker::engine::Event;

use crate::happening::Happening;
use crate::node::{self, Life, NodeId};
use crate::time::{MS, SEC};
use crate::wire::{SIZE, Station, Way};
use crate::world::World;

/// Bytes of the longest datagram that travels in one packet, by IPv6.
const LONGEST_DATAGRAM: usize = 1_500 - 40 - 8;
/// Of Ethernet, IPv4 and UDP, before a datagram.
const HEADERS: usize = 14 + 20 + 8;

impl World {
    pub(crate) fn send_datagram(&mut self, from: NodeId, to: SocketAddr, bytes: Vec<u8>) {
        let Some(to) = node::node_at(to).filter(|to| *to < self.nodes.len() && *to != from) else {
            return;
        };
        self.judge.ledger.count_bytes(from, HEADERS + bytes.len());
        // Nothing of ours is made for fragments.
        if bytes.len() > LONGEST_DATAGRAM {
            return self.broken(SIZE, format!("n{from}: a datagram of {} bytes", bytes.len()));
        }
        if !self.reaches(0, Way::Mesh, Station::Node(from), Station::Node(to)) {
            return;
        }
        let Some(delay) = self.passage(0) else { return };
        let bytes: Rc<[u8]> = bytes.into();
        if self.dice.permille(self.switches[0].twice) {
            let again = self.dice.between(50, 5 * MS);
            let bytes = Rc::clone(&bytes);
            self.queue.push(self.now + delay + again, Happening::Datagram { to, bytes });
        }
        self.queue.push(self.now + delay, Happening::Datagram { to, bytes });
    }

    pub(crate) fn datagram(&mut self, to: NodeId, bytes: &[u8]) {
        let node = &mut self.nodes[to];
        if !node.is_awake() || !node.cables[0] {
            return;
        }
        node.received[0] += 1;
        self.tell(to, Event::Datagram(bytes.to_vec()));
    }

    /// Keeps connections to exactly these.
    pub(crate) fn attend(&mut self, id: NodeId, addresses: &BTreeSet<SocketAddr>) {
        let Some(agent) = &mut self.nodes[id].agent else { return };
        let started = agent.attended.is_empty();
        agent.attended.retain(|addr, _| addresses.contains(addr));
        for addr in addresses {
            agent.attended.entry(*addr).or_insert(None);
        }
        if started && !agent.attended.is_empty() {
            let connect = Happening::Connect(id, agent.life);
            self.queue.push(self.now + MS, connect);
        } else if !started {
            self.connect(id);
        }
    }

    /// Makes the connections that are missing, and finds those whose far end has been replaced
    /// unheard: a kernel that does not know a connection resets it.
    pub(crate) fn connect(&mut self, id: NodeId) {
        let Some(agent) = &self.nodes[id].agent else { return };
        if agent.hung.is_some() || !self.nodes[id].is_awake() {
            return;
        }
        let (life, attended) = (agent.life, agent.attended.clone());
        let acquainted = agent.acquainted.clone();
        for (addr, connected) in attended {
            let Some(far) = node::node_at(addr).filter(|far| *far < self.nodes.len()) else {
                continue;
            };
            if !self.converse(0, Way::Mesh, Station::Node(id), Station::Node(far)) {
                continue;
            }
            let there = self.nodes[far].agent.as_ref().map(|agent| agent.life);
            if connected.is_some() && connected != there {
                self.queue.push(
                    self.now + MS,
                    Happening::Hangup { node: id, life, addr, of: connected.unwrap_or_default() },
                );
            } else if connected.is_none() && there.is_some() {
                self.with_agent(id, |agent| {
                    agent.attended.insert(addr, there);
                    agent.acquainted.insert(addr);
                });
            } else if connected.is_none() && acquainted.contains(&addr) {
                // Its kernel refuses.
                self.tell(id, Event::Hangup(addr));
            }
        }
    }

    /// Connections are looked after once a second.
    pub(crate) fn connect_again(&mut self, id: NodeId) {
        self.connect(id);
        let Some(agent) = self.nodes[id].agent.as_ref().filter(|a| !a.attended.is_empty()) else {
            return;
        };
        let connect = Happening::Connect(id, agent.life);
        let delay = self.dice.between(SEC * 3 / 4, SEC);
        self.queue.push(self.now + delay, connect);
    }

    /// The kernel of a node whose agent died closes its connections.
    pub(crate) fn hang_up(&mut self, dead: NodeId, of: Life) {
        let addr = node::mesh_address(dead);
        for id in 0..self.nodes.len() {
            let Some(agent) = &self.nodes[id].agent else { continue };
            if agent.attended.get(&addr) != Some(&Some(of)) {
                continue;
            }
            let life = agent.life;
            if self.converse(0, Way::Mesh, Station::Node(dead), Station::Node(id)) {
                let delay = self.dice.between(MS / 5, 5 * MS);
                self.queue.push(self.now + delay, Happening::Hangup { node: id, life, addr, of });
            }
        }
    }

    pub(crate) fn hung_up(&mut self, id: NodeId, addr: SocketAddr, of: Life) {
        if !self.nodes[id].is_awake() {
            return;
        }
        let Some(agent) = &mut self.nodes[id].agent else { return };
        if agent.attended.get(&addr) == Some(&Some(of)) {
            agent.attended.insert(addr, None);
            self.tell(id, Event::Hangup(addr));
        }
    }
}
