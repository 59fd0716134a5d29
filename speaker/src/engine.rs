//! The engine: one owner of all state, events in, effects out.
//!
//! `on` takes a batch of [`Event`]s and the time, and gives the [`Effect`]s to carry out, in
//! order. It holds the desired state and diffs it: an event that changes nothing has no effect,
//! whatever its kind, and a relist is no special case.
//!
//! ```text
//! events -> cluster, links, mesh -> dirty groups -> election -> standings, desired
//!                                                     diff -> table, gratuitous ARP, reports
//! ```
//!
//! Pure: the shell brings the events and the time, and does what it is told. Events and effects
//! can be serialised, so a trace taken in production replays in a test.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crds::model::compile::Config;
use crds::model::ids::{NodeName, ServiceKey};
use crds::model::range::AddressRange;

use crate::announce::burst::{Bursts, Target};
use crate::announce::desired::{Desired, PortSpec, Presence, diff, presence};
use crate::announce::table::{Entry, Links};
use crate::link::{Exclusions, LinkFacts, eligible};
use crate::mesh::{self, Mesh};
use crate::moment::Moment;
use crate::wire::arp::ArpFrame;

mod cluster;
mod effect;
mod event;
mod standing;

use cluster::Cluster;
pub use effect::{Conflict, Description, Effect, State};
pub use event::{Change, Event, Kind};
pub use standing::{Announcement, Standing};

/// How long a speaker that was told to stop goes on answering after it said good-bye, so that
/// others have taken over before it falls silent.
const FAREWELL: Duration = Duration::from_millis(300);

/// What the engine is told once, at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node.
    pub node: NodeName,
    /// Interfaces never to be used.
    pub exclusions: Exclusions,
    /// The exclude label on nodes does not count.
    pub ignore_exclude_label: bool,
    /// At most this many announcements a second on each link.
    pub announcements_per_second: u32,
    /// Answer with the owner's MAC while its agent is away and its node is not. Without it such
    /// an owner is succeeded as a dead one would be.
    pub deputies: bool,
    /// Random, new at each start: makes nonces that nobody can foresee.
    pub seed: u64,
    /// How to take part in the mesh; without it every node of the cluster counts as alive.
    pub mesh: Option<mesh::Identity>,
}

/// All state of a speaker.
pub struct Engine {
    settings: Settings,
    mesh: Option<Mesh>,
    cluster: Cluster,
    config: Option<Config>,
    /// What the kernel lets through; `None` until it was first told.
    ranges: Option<Vec<AddressRange>>,
    /// The links that can carry announcements; `None` until the links were first told.
    ports: Option<Vec<PortSpec>>,
    standings: BTreeMap<ServiceKey, Standing>,
    /// Which of the Services announced here have an address.
    holders: BTreeMap<Ipv4Addr, BTreeSet<ServiceKey>>,
    desired: Desired,
    /// Where the wire knows each address to be.
    present: BTreeMap<Ipv4Addr, Presence>,
    bursts: Bursts,
    phase: Phase,
    /// When it was last called.
    now: Moment,
}

/// Where in its life the engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not everything has been delivered yet: nothing is decided.
    Waiting,
    /// At work.
    Active,
    /// Said good-bye; silent from the moment given.
    Leaving(Moment),
    /// Silent.
    Stopped,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(settings: Settings, now: Moment) -> Self {
        let mesh = settings.mesh.clone().map(|identity| Mesh::new(identity, now));
        Self {
            mesh,
            cluster: Cluster::new(settings.ignore_exclude_label),
            config: None,
            ranges: None,
            ports: None,
            standings: BTreeMap::new(),
            holders: BTreeMap::new(),
            desired: Desired::new(),
            present: BTreeMap::new(),
            bursts: Bursts::new(settings.announcements_per_second),
            phase: Phase::Waiting,
            now,
            settings,
        }
    }

    /// Takes everything that happened up to `now` and gives what is to be done about it.
    pub fn on(&mut self, events: impl IntoIterator<Item = Event>, now: Moment) -> Vec<Effect> {
        self.now = now;
        let mut effects = Vec::new();
        for event in events {
            self.take(event, now, &mut effects);
        }
        if self.mesh.as_ref().and_then(Mesh::next_deadline).is_some_and(|due| due <= now) {
            self.with_mesh(&mut effects, |mesh| mesh.tick(now));
        }
        self.advance(now, &mut effects);
        if self.phase == Phase::Active {
            self.decide(now, &mut effects);
        }
        self.announce(now, &mut effects);
        effects
    }

    /// When [`on`](Self::on) must be called next, even if nothing happens.
    pub fn next_deadline(&self) -> Option<Moment> {
        let mesh = self.mesh.as_ref().and_then(Mesh::next_deadline);
        let phase = match self.phase {
            Phase::Leaving(until) => Some(until),
            // Once that is past, only an event can help.
            Phase::Waiting => self.mesh.as_ref().map(Mesh::settles_by).filter(|by| *by > self.now),
            Phase::Active | Phase::Stopped => None,
        };
        mesh.into_iter().chain(phase).chain(self.bursts.next_deadline()).min()
    }

    /// Whether everything was delivered and a table is in force.
    pub fn is_active(&self) -> bool {
        self.phase == Phase::Active
    }

    /// What the first start still waits for, in words for a person.
    pub fn waits_for(&self) -> Vec<&'static str> {
        let config = self.config.is_none().then_some("configuration");
        let links = self.ports.is_none().then_some("network interfaces");
        let missing = config.into_iter().chain(links).chain(self.cluster.missing());
        let mesh = (self.phase == Phase::Waiting).then_some("answers of the other speakers");
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() { mesh.into_iter().collect() } else { missing }
    }

    /// What arrived by the mesh so far.
    pub fn mesh_counts(&self) -> mesh::Counts {
        self.mesh.as_ref().map(Mesh::counts).unwrap_or_default()
    }

    fn take(&mut self, event: Event, now: Moment, effects: &mut Vec<Effect>) {
        match event {
            Event::Config(config) => {
                if self.config.as_ref() != Some(&config) {
                    self.config = Some(config);
                    self.cluster.mark_all();
                    self.follow_ranges(effects);
                }
            }
            Event::Services(change) => self.cluster.services(change),
            Event::Slices(change) => self.cluster.slices(change),
            Event::Nodes(change) => self.cluster.nodes(change),
            Event::Peers(peers) => self.peers(peers),
            Event::Links(links) => self.links(&links, now, effects),
            Event::Recorded(_)
            | Event::Speakers(_)
            | Event::Frame { .. }
            | Event::Heard(_)
            | Event::Hangup(_)
            | Event::Counted(_) => {}
            Event::Datagram(bytes) => self.with_mesh(effects, |mesh| mesh.receive(&bytes, now)),
            Event::Shutdown => {
                if !matches!(self.phase, Phase::Leaving(_) | Phase::Stopped) {
                    self.with_mesh(effects, |mesh| mesh.leave(now));
                    self.phase = Phase::Leaving(now + FAREWELL);
                }
            }
        }
    }

    /// Has the kernel pass on what concerns the pools, and those addresses answered here whose pool
    /// cannot be read.
    fn follow_ranges(&mut self, effects: &mut Vec<Effect>) {
        let Some(config) = &self.config else { return };
        let mut ranges: Vec<AddressRange> = config.ranges().copied().collect();
        if !config.unreadable_pools.is_empty() {
            let orphans = self.desired.keys().map(|address| IpAddr::V4(*address));
            let orphans = orphans.filter(|address| config.pool_of(*address).is_none());
            ranges.extend(orphans.filter_map(|address| AddressRange::new(address, address)));
        }
        if self.ranges.as_ref() != Some(&ranges) {
            self.ranges = Some(ranges.clone());
            effects.push(Effect::Ranges(ranges));
        }
    }

    fn peers(&mut self, peers: BTreeSet<SocketAddr>) {
        self.cluster.delivered(Kind::Peers);
        if let Some(mesh) = &mut self.mesh {
            mesh.set_peers(peers);
        }
    }

    fn links(&mut self, links: &[LinkFacts], now: Moment, effects: &mut Vec<Effect>) {
        let port = |link: &LinkFacts| {
            let mac = eligible(link, &self.settings.exclusions).ok()?;
            Some(PortSpec { index: link.index, name: link.name.clone(), mac })
        };
        let mut ports: Vec<PortSpec> = links.iter().filter_map(port).collect();
        ports.sort_by_key(|port| port.index);
        if self.ports.as_ref() == Some(&ports) {
            return;
        }
        effects.push(Effect::Ports(ports.clone()));
        self.ports = Some(ports);
        // Names may stand for other links now, and what is answered everywhere appears on new ones.
        self.cluster.mark_all();
        let addresses: BTreeSet<Ipv4Addr> = self.desired.keys().copied().collect();
        self.appear(&addresses, now);
    }

    fn with_mesh(
        &mut self,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Mesh) -> mesh::Outcome,
    ) {
        let Some(mesh) = &mut self.mesh else { return };
        let outcome = act(mesh);
        effects.extend(outcome.datagrams.into_iter().map(|(to, bytes)| Effect::Send { to, bytes }));
        if outcome.changed {
            effects.push(Effect::Members(mesh.alive().cloned().collect()));
            self.cluster.mark_all();
        }
    }

    /// Moves on to the next phase of life if its time has come.
    fn advance(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Waiting => {
                let delivered = self.config.is_some()
                    && self.ports.is_some()
                    && self.cluster.missing().next().is_none();
                if delivered && self.mesh.as_ref().is_none_or(|mesh| mesh.is_settled(now)) {
                    self.phase = Phase::Active;
                    // In force from here on, even if it is empty.
                    effects.push(Effect::Publish(Desired::new()));
                }
            }
            Phase::Leaving(until) if until <= now => {
                self.phase = Phase::Stopped;
                self.desired.clear();
                effects.push(Effect::Publish(Desired::new()));
                effects.push(Effect::Halt);
            }
            Phase::Active | Phase::Leaving(_) | Phase::Stopped => {}
        }
    }

    /// Elects the owners of all groups that something changed for, and brings the table and the
    /// wire in line.
    fn decide(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let (Some(config), Some(ports)) = (&self.config, &self.ports) else {
            return;
        };
        let alive = |node: &NodeName| self.mesh.as_ref().is_none_or(|mesh| mesh.is_alive(node));
        let fresh = self.cluster.decide(config, &self.settings.node, ports, alive);
        let mut touched: BTreeSet<Ipv4Addr> = BTreeSet::new();
        for (service, standing) in fresh {
            if self.standings.get(&service) == standing.as_ref() {
                continue;
            }
            touched.extend(self.stand(&service, standing.clone()));
            let uid = self.cluster.uid(&service);
            effects.push(Effect::Report { service, uid, standing });
        }
        let mut changed = false;
        for address in &touched {
            let entry = self.entry(*address);
            changed |= self.desired.get(address) != entry.as_ref();
            match entry {
                Some(entry) => self.desired.insert(*address, entry),
                None => self.desired.remove(address),
            };
        }
        if changed {
            self.follow_ranges(effects);
            effects.push(Effect::Publish(self.desired.clone()));
        }
        self.appear(&touched, now);
    }

    /// Records how `service` stands now; gives the addresses it touches.
    fn stand(&mut self, service: &ServiceKey, standing: Option<Standing>) -> BTreeSet<Ipv4Addr> {
        let after: BTreeSet<Ipv4Addr> = standing.iter().flat_map(Standing::addresses_v4).collect();
        let before = match standing {
            Some(standing) => self.standings.insert(service.clone(), standing),
            None => self.standings.remove(service),
        };
        let before: BTreeSet<Ipv4Addr> = before.iter().flat_map(Standing::addresses_v4).collect();
        for address in &after {
            self.holders.entry(*address).or_default().insert(service.clone());
        }
        for address in before.difference(&after) {
            if let Some(holders) = self.holders.get_mut(address) {
                holders.remove(service);
                if holders.is_empty() {
                    self.holders.remove(address);
                }
            }
        }
        &before | &after
    }

    /// How `address` is to be answered, for all the Services here that have it.
    fn entry(&self, address: Ipv4Addr) -> Option<Entry> {
        let holders = self.holders.get(&address)?.iter();
        let announcements =
            holders.filter_map(|service| self.standings.get(service)?.announcement());
        announcements.map(Announcement::entry).reduce(|mut all, more| {
            all.links = match (all.links, more.links) {
                (Links::Only(links), Links::Only(more)) => Links::Only(&links | &more),
                (Links::All, _) | (_, Links::All) => Links::All,
            };
            all
        })
    }

    /// Tells the wire where `addresses` are now, where that is news.
    fn appear(&mut self, addresses: &BTreeSet<Ipv4Addr>, now: Moment) {
        let ports = self.ports.as_deref().unwrap_or_default();
        for address in addresses {
            let after = presence(self.desired.get(address), ports);
            let before = self.present.remove(address).unwrap_or_default();
            let changes = diff(*address, &before, &after);
            for target in changes.vanished {
                self.bursts.stop(target);
            }
            for target in changes.appeared {
                self.bursts.start(target, now);
            }
            if !after.is_empty() {
                self.present.insert(*address, after);
            }
        }
    }

    /// Sends the gratuitous ARP that is due: a request, which every Linux client takes, and a
    /// reply, which some other systems want.
    fn announce(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Stopped {
            return;
        }
        for target in self.bursts.due(now) {
            let Target { link, address } = target;
            let Some(&mac) = self.present.get(&address).and_then(|links| links.get(&link)) else {
                continue;
            };
            for frame in [
                ArpFrame::gratuitous_request(mac, address),
                ArpFrame::gratuitous_reply(mac, address),
            ] {
                effects.push(Effect::Transmit { link, address, frame: frame.to_frame().to_vec() });
            }
        }
    }
}

#[cfg(test)]
mod tests;
