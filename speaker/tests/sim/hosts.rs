//! What a station does with a frame: the kernel of a node, the ports of its agent, clients with
//! their neighbour caches, foreign hosts, a router that does proxy ARP.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use crds::model::ids::MacAddr;
use speaker::engine::Event;
use speaker::moment::Moment;
use speaker::respond::{Rx, Verdict, respond};
use speaker::wire::neighbour::NOBODYS;

use crate::happening::Happening;
use crate::node::{self, NodeId, Segment};
use crate::talk::Talk;
use crate::time::{At, MS, SEC};
use crate::wire::{self, LINK_FRAME, Station, Way};
use crate::world::World;

/// How long Linux keeps a neighbour entry against other replies.
const LOCKTIME: At = SEC;

/// A host that is none of ours and answers for one of our addresses.
#[derive(Debug, Clone)]
pub(crate) struct Foreigner {
    /// The fault that it is.
    pub(crate) fault: usize,
    pub(crate) segment: Segment,
    pub(crate) address: IpAddr,
    pub(crate) active: bool,
}

/// What a client knows: the MAC of each address, and since when.
pub(crate) type Cache = BTreeMap<IpAddr, (MacAddr, At)>;

impl World {
    /// What clients sent since somebody last looked: of many frames one is enough to be counted.
    pub(crate) fn hear_chatter(&mut self, id: NodeId) {
        for segment in 0..self.nodes[id].received.len() {
            let mut clients = [2 * segment, 2 * segment + 1].map(Station::Client).into_iter();
            let to = Station::Node(id);
            if self.chatter && clients.any(|client| self.reaches(segment, Way::Arp, client, to)) {
                self.nodes[id].received[segment] += 1;
            }
        }
    }

    pub(crate) fn arrived(&mut self, segment: Segment, to: Station, frame: &Rc<[u8]>) {
        match to {
            Station::Node(id) => self.arrived_at_node(id, segment, frame),
            Station::Client(client) => self.learn(client, frame),
            Station::Foreign(number) => {
                let Foreigner { segment: on, address, active, .. } = self.foreigners[number];
                if active && on == segment {
                    self.answer(segment, to, wire::foreign_mac(number), frame, |ip| ip == address);
                }
            }
            Station::Router => {
                self.answer(segment, to, wire::ROUTER, frame, |_| true);
            }
            Station::Api => {}
        }
    }

    /// Answers a request as a kernel does.
    fn answer(
        &mut self,
        segment: Segment,
        who: Station,
        mac: MacAddr,
        frame: &[u8],
        has: impl Fn(IpAddr) -> bool,
    ) {
        let Some(talk) = Talk::parse(frame) else { return };
        if talk.asks && talk.source != mac && has(talk.target) {
            self.transmit(segment, who, talk.answer(mac));
        }
    }

    fn arrived_at_node(&mut self, id: NodeId, segment: Segment, frame: &Rc<[u8]>) {
        let node = &mut self.nodes[id];
        if !node.is_awake() || !node.cables[segment] {
            return;
        }
        node.received[segment] += 1;
        let link = node::link_on(segment);
        if u16::from_be_bytes([frame[12], frame[13]]) == LINK_FRAME {
            let open = node.agent.as_ref().is_some_and(|a| a.ports.iter().any(|p| p.index == link));
            if open {
                let source = MacAddr(*frame[6..].first_chunk().unwrap());
                self.tell(id, Event::Frame { link, source, bytes: frame[14..].to_vec() });
            }
            return;
        }
        if !node.arp_ignore {
            let (own, mac) = (node::addresses(id, segment), node::mac(id, segment));
            self.answer(segment, Station::Node(id), mac, frame, |ip| own.contains(&ip));
        }
        let programs = self.programs.values().filter(|(on, _)| *on == id);
        let programs: Vec<IpAddr> = programs.map(|(_, address)| *address).collect();
        if !programs.is_empty() {
            let mac = node::mac(id, segment);
            self.answer(segment, Station::Node(id), mac, frame, |ip| programs.contains(&ip));
        }
        let node = &mut self.nodes[id];
        let Some(agent) = &mut node.agent else { return };
        if let Some(waiting) = &mut agent.hung {
            if waiting.len() < 200 {
                waiting.push((segment, Rc::clone(frame)));
            }
            return;
        }
        self.port(id, segment, frame);
    }

    /// A port reads a frame.
    pub(crate) fn port(&mut self, id: NodeId, segment: Segment, frame: &[u8]) {
        let node = &self.nodes[id];
        let Some(agent) = &node.agent else { return };
        let link = node::link_on(segment);
        let Some(port) = agent.ports.iter().find(|port| port.index == link) else { return };
        let Some(talk) = Talk::parse(frame) else { return };
        // The kernel filter.
        let in_pool = |ip| agent.ranges.iter().any(|range| range.contains(ip));
        let ours = |ip| in_pool(ip) || ip == NOBODYS[1];
        let reply = !talk.asks && talk.destination == port.mac;
        if !reply && !ours(talk.sender) && !ours(talk.target) {
            return;
        }
        let outcome = respond(frame, &Rx { index: link, mac: port.mac }, &agent.table);
        let heard = outcome.heard;
        let reply = match outcome.verdict {
            Verdict::Reply(reply) if node.ports_answer(self.now) => Some(reply.frame),
            Verdict::Reply(_) | Verdict::Drop(_) => None,
        };
        if let Some(reply) = reply {
            self.transmit(segment, Station::Node(id), reply.as_bytes().to_vec());
        }
        if let Some(heard) = heard {
            self.say_loud(|| format!("n{id}: hears {heard:?}"));
            self.tell(id, Event::Heard(heard));
        }
    }

    /// The ports may answer until `deadline`.
    pub(crate) fn renew(&mut self, id: NodeId, deadline: Moment) {
        let silent = !self.nodes[id].ports_answer(self.now);
        let moment = self.nodes[id].moment(self.now);
        let Some(agent) = &mut self.nodes[id].agent else { return };
        agent.deadline = agent.deadline.max(Some(deadline));
        if silent {
            self.dirty.everything();
        }
        if agent.silence.is_none() {
            self.watch_silence(id, moment);
        }
    }

    pub(crate) fn watch_silence(&mut self, id: NodeId, moment: Moment) {
        let now = self.now;
        let Some(agent) = &mut self.nodes[id].agent else { return };
        let Some(deadline) = agent.deadline else { return };
        let wait = At::try_from(deadline.since(moment).as_micros()).unwrap_or(At::MAX / 4) + 1;
        agent.silence = Some(now + wait);
        self.queue.push(now + wait, Happening::Silence(id, agent.life));
    }

    /// Looks whether the deadline has passed; not before somebody wonders about it again.
    pub(crate) fn silence(&mut self, id: NodeId) {
        let moment = self.nodes[id].moment(self.now);
        let paused = self.nodes[id].paused.is_some();
        let Some(agent) = &mut self.nodes[id].agent else { return };
        agent.silence = None;
        if paused {
            // Its clock stands still: looked at again when it resumes.
            return;
        }
        if agent.deadline.is_some_and(|deadline| moment > deadline) {
            self.say(|| format!("n{id}: ports fall silent"));
            self.dirty.everything();
        } else {
            self.watch_silence(id, moment);
        }
    }

    /// A client takes what is announced, as Linux does: a request always, a reply unless it has
    /// just learned another MAC, or if its target MAC is its sender's.
    fn learn(&mut self, client: usize, frame: &[u8]) {
        let Some(talk) = Talk::parse(frame) else { return };
        if talk.sender.is_unspecified() {
            return;
        }
        let now = self.now;
        let Some((known, since)) = self.caches[client].get_mut(&talk.sender) else { return };
        // Locktime is ARP's alone; and a solicitation reaches only the hosts of its target's group.
        let is_heard = talk.sender.is_ipv4() && *since + LOCKTIME <= now;
        if talk.replaces || is_heard {
            if *known != talk.mac {
                *since = now;
            }
            *known = talk.mac;
        }
    }

    /// Other hosts talk, so that a link which works is seen to.
    pub(crate) fn chatter(&mut self, segment: Segment) {
        let clients = [2 * segment, 2 * segment + 1].map(Station::Client);
        for id in 0..self.nodes.len() {
            let to = Station::Node(id);
            if clients.iter().any(|from| self.reaches(segment, wire::Way::Arp, *from, to)) {
                self.nodes[id].received[segment] += 1;
            }
        }
        let next = self.dice.between(60 * MS, 250 * MS);
        self.queue.push(self.now + next, Happening::Chatter(segment));
    }
}
