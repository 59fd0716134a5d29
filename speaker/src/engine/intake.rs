//! What comes in from outside, and which part of the state takes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::ids::{IfIndex, NodeName};
use crds::model::range::AddressRange;

use super::Engine;
use super::effect::Effect;
use super::event::{Change, Event, Kind};
use crate::announce::desired::PortSpec;
use crate::facts::{NodeFacts, Order, SpeakerFacts};
use crate::link::{Ineligible, LinkFacts, eligible};
use crate::moment::Moment;

impl Engine {
    /// Takes over what an event says.
    pub(super) fn take(&mut self, event: Event, now: Moment, effects: &mut Vec<Effect>) {
        match event {
            Event::Config(config) => {
                if self.config.as_ref() != Some(&config) {
                    self.config = Some(config);
                    self.cluster.mark_all();
                    self.unused.touch();
                    self.follow_ranges(effects);
                }
            }
            Event::Services(change) => self.cluster.services(change),
            Event::Slices(change) => self.cluster.slices(change),
            Event::Nodes(change) => self.nodes(change),
            Event::Peers(peers) => {
                self.cluster.delivered(Kind::Peers);
                if let Some(members) = &mut self.peers {
                    members.set_peers(peers);
                }
            }
            Event::Recorded(change) => self.records.take(change),
            Event::Speakers(change) => self.speakers(change, now),
            Event::Links(links) => self.links(links, now, effects),
            Event::Refused(refused) => self.refused(refused, now),
            Event::Datagram(bytes) => {
                self.peers.iter_mut().for_each(|peers| peers.datagram(&bytes, now, effects));
            }
            Event::Frame { link, source, bytes } => {
                let mut peers = self.peers.iter_mut();
                peers.by_ref().for_each(|it| it.frame(link, source, &bytes, now, effects));
            }
            Event::Heard(heard) => self.hear(&heard, now, effects),
            Event::Hangup(addr) => {
                self.peers.iter_mut().for_each(|peers| peers.hangup(addr, now));
            }
            Event::Counted(counts) => {
                self.peers.iter_mut().for_each(|peers| peers.counted(counts.clone(), now));
            }
            Event::Shutdown => self.leave(now),
        }
    }

    /// Has the kernel pass on what concerns the pools, and those addresses answered here whose pool
    /// cannot be read.
    pub(super) fn follow_ranges(&mut self, effects: &mut Vec<Effect>) {
        let Some(config) = &self.config else { return };
        let mut ranges: Vec<AddressRange> = config.ranges().copied().collect();
        if !config.unreadable_pools.is_empty() {
            let orphans = self.desired.keys();
            let orphans = orphans.filter(|address| config.pool_of(**address).is_none());
            ranges.extend(orphans.filter_map(|address| AddressRange::new(*address, *address)));
        }
        if self.ranges.as_ref() != Some(&ranges) {
            self.ranges = Some(ranges.clone());
            effects.push(Effect::Ranges(ranges));
        }
    }

    fn nodes(&mut self, change: Change<NodeName, NodeFacts>) {
        self.cluster.nodes(change);
        self.unused.touch();
        if let Some(peers) = &mut self.peers {
            let known: Vec<NodeName> = peers.lives().iter().map(|(node, _)| node.clone()).collect();
            for node in known.iter().filter(|node| !self.cluster.has_node(node)) {
                peers.forget(node);
            }
        }
    }

    fn speakers(&mut self, change: Change<NodeName, SpeakerFacts>, now: Moment) {
        match change {
            Change::Replace(all) => self.speakers = all,
            Change::Set(node, facts) => {
                self.speakers.insert(node, facts);
            }
            Change::Remove(node) => {
                self.speakers.remove(&node);
            }
        }
        let ordered: Vec<IpAddr> = self.orders().iter().map(|order| order.address).collect();
        self.cluster.mark_addresses(&ordered);
        if let Some(peers) = &mut self.peers {
            peers.speakers(&self.speakers, now);
        }
    }

    /// The move orders for this node that are not of a controller whose time is over.
    pub(super) fn orders(&self) -> Vec<Order> {
        let all = self.speakers.values().flat_map(|facts| &facts.orders);
        let epoch = all.map(|order| order.epoch).max().unwrap_or_default();
        let mine = self.speakers.get(&self.settings.node);
        let mine = mine.into_iter().flat_map(|facts| &facts.orders);
        mine.filter(|order| order.epoch == epoch).cloned().collect()
    }

    /// These are the node's interfaces.
    fn links(&mut self, links: Vec<LinkFacts>, now: Moment, effects: &mut Vec<Effect>) {
        let before = self.links.as_ref().map(|links| self.eligible(links));
        let after = self.eligible(&links);
        // What was refused of a link says nothing of the one that comes after it.
        self.refused.retain(|index, _| after.iter().any(|port| port.index == *index));
        if before.as_ref() != Some(&after) {
            effects.push(Effect::Ports(after));
        }
        self.links = Some(links);
        self.use_links(now);
    }

    /// These cannot be used, though by all that can be seen from outside they could.
    fn refused(&mut self, refused: BTreeMap<IfIndex, String>, now: Moment) {
        if self.refused != refused {
            self.refused = refused;
            self.use_links(now);
        }
    }

    /// The links that can carry announcements by what the kernel tells of them.
    fn eligible(&self, links: &[LinkFacts]) -> Vec<PortSpec> {
        let port = |link: &LinkFacts| {
            let mac = eligible(link, &self.settings.exclusions).ok()?;
            let v6 = link.addresses.iter().any(ipnetwork::IpNetwork::is_ipv6);
            Some(PortSpec { index: link.index, name: link.name.clone(), mac, v6 })
        };
        let mut ports: Vec<PortSpec> = links.iter().filter_map(port).collect();
        ports.sort_by_key(|port| port.index);
        ports
    }

    /// Uses the links that can be used, and no others.
    fn use_links(&mut self, now: Moment) {
        let Some(links) = self.links.take() else { return };
        let mut ports = self.eligible(&links);
        ports.retain(|port| !self.refused.contains_key(&port.index));
        let unfit = links.iter().filter_map(|link| {
            let refused = self.refused.get(&link.index).cloned();
            let refused = refused.map(|error| Ineligible::Refused { error });
            let why = eligible(link, &self.settings.exclusions).err().or(refused)?;
            Some((link.name.clone(), why))
        });
        self.unused.set(unfit.collect());
        if let Some(peers) = &mut self.peers {
            peers.set_links(&ports, &links);
        }
        self.links = Some(links);
        if self.ports.as_ref() == Some(&ports) {
            return;
        }
        self.ports = Some(ports);
        self.unused.touch();
        // Names may stand for other links now, and what is answered everywhere appears on new ones.
        self.cluster.mark_all();
        let addresses: BTreeSet<IpAddr> = self.desired.keys().copied().collect();
        self.appear(&addresses, now);
    }
}
