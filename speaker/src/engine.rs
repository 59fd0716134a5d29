//! The engine: one owner of all state, events in, effects out.
//!
//! `on` takes a batch of [`Event`]s and the time, and gives the [`Effect`]s to carry out, in
//! order. It holds the desired state and diffs it: an event that changes nothing has no effect,
//! whatever its kind, and a relist is no special case.
//!
//! ```text
//! events -> cluster, links, peers -> dirty groups -> turns -> standings, desired, own statement
//!                                            diff -> table, gratuitous ARP, letters, reports
//! ```
//!
//! Pure: the shell brings the events and the time, and does what it is told. Events and effects
//! can be serialised, so a trace taken in production replays in a test.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::compile::Config;
use crds::model::ids::{IfIndex, NodeName, ServiceKey};
use crds::model::range::AddressRange;

use crate::announce::burst::Bursts;
use crate::announce::desired::{Desired, PortSpec, Presence};
use crate::facts::SpeakerFacts;
use crate::link::{Exclusions, LinkFacts};
use crate::mesh;
use crate::moment::Moment;

mod appear;
mod cluster;
mod conflicts;
mod decide;
mod defect;
mod describe;
mod effect;
mod event;
mod heard;
mod heirs;
mod intake;
#[cfg(test)]
mod neighbour;
mod peers;
mod pending;
mod phase;
mod records;
mod selfcheck;
mod standing;
mod turn;
mod unused;

use cluster::Cluster;
use conflicts::Conflicts;
pub use defect::Defect;
pub use effect::{Conflict, Description, Effect, State};
pub use event::{Change, Event, Kind};
use heirs::Heirs;
use peers::Peers;
use pending::Pending;
use phase::Phase;
use records::Records;
use selfcheck::Checks;
pub use standing::{Announcement, Standing};
use unused::Unused;

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
    /// How to take part in the mesh; without it every node of the cluster counts as alive, and the
    /// owner is whoever wins the election among all of them.
    pub mesh: Option<mesh::Identity>,
    /// A rule to break, to see whether tests notice.
    #[cfg(feature = "defects")]
    pub defect: Option<Defect>,
}

/// All state of a speaker.
pub struct Engine {
    settings: Settings,
    peers: Option<Peers>,
    cluster: Cluster,
    config: Option<Config>,
    /// Who announced each Service by the API's records.
    records: Records,
    /// When it begins without them.
    begins_by: Option<Moment>,
    /// The addresses of the Services that were recorded when the engine began, and whether by us.
    served: BTreeMap<IpAddr, bool>,
    speakers: BTreeMap<NodeName, SpeakerFacts>,
    /// What the kernel lets through; `None` until it was first told.
    ranges: Option<Vec<AddressRange>>,
    /// The node's interfaces; `None` until they were first told.
    links: Option<Vec<LinkFacts>>,
    /// Those whose sockets cannot be opened at present, and why.
    refused: BTreeMap<IfIndex, String>,
    /// The links that carry announcements; `None` until the links were first told.
    ports: Option<Vec<PortSpec>>,
    unused: Unused,
    pending: Pending,
    heirs: Heirs,
    conflicts: Conflicts,
    checks: Checks,
    standings: BTreeMap<ServiceKey, Standing>,
    /// Which of the Services answered for here have an address.
    holders: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
    desired: Desired,
    /// Where the wire knows each address to be.
    present: BTreeMap<IpAddr, Presence>,
    bursts: Bursts,
    /// What somebody else has just stopped to answer for.
    announced_again: BTreeSet<IpAddr>,
    described: Option<Description>,
    /// How often it was out of touch and came back.
    returns: u64,
    phase: Phase,
    /// When it was last called.
    now: Moment,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(settings: Settings, now: Moment) -> Self {
        let mut peers = settings.mesh.clone().map(|mesh| Peers::new(mesh, settings.seed, now));
        if let Some(peers) = &mut peers {
            peers.skips_wire = defect::has(&settings, Defect::SkipWireCheck);
            peers.never_lapses = defect::has(&settings, Defect::NeverLapse);
        }
        Self {
            peers,
            cluster: Cluster::new(settings.ignore_exclude_label),
            config: None,
            records: Records::default(),
            begins_by: None,
            served: BTreeMap::new(),
            speakers: BTreeMap::new(),
            ranges: None,
            links: None,
            refused: BTreeMap::new(),
            ports: None,
            unused: Unused::default(),
            pending: Pending::default(),
            heirs: Heirs::default(),
            conflicts: Conflicts::default(),
            checks: Checks::default(),
            standings: BTreeMap::new(),
            holders: BTreeMap::new(),
            desired: Desired::new(),
            present: BTreeMap::new(),
            bursts: Bursts::new(settings.announcements_per_second),
            announced_again: BTreeSet::new(),
            described: None,
            returns: 0,
            phase: Phase::Waiting { asked: false },
            now,
            settings,
        }
    }

    /// Takes everything that happened up to `now` and gives what is to be done about it.
    pub fn on(&mut self, events: impl IntoIterator<Item = Event>, now: Moment) -> Vec<Effect> {
        self.now = now;
        let mut effects = Vec::new();
        // Before anything is answered: what was held until the ports fell silent may be lost.
        self.lapse_if_late(now, &mut effects);
        for event in events {
            self.take(event, now, &mut effects);
        }
        if let Some(peers) = &mut self.peers {
            peers.tick(now, &mut effects);
        }
        self.advance(now, &mut effects);
        if self.phase.decides() {
            self.decide(now, &mut effects);
        }
        self.announce(now, &mut effects);
        self.probe(now, &mut effects);
        self.check(now, &mut effects);
        self.ask_for_disputed(now, &mut effects);
        self.describe(now, &mut effects);
        self.tell_unused(&mut effects);
        if let Some(peers) = &mut self.peers {
            peers.publish(now, &mut effects);
        }
        effects
    }

    /// The file has these keys of the mesh now; whether they are others than before.
    pub fn set_keys(&mut self, keys: mesh::seal::Keyring, now: Moment) -> bool {
        self.peers.as_mut().is_some_and(|peers| peers.mesh_mut().set_keys(keys, now))
    }

    /// When [`on`](Self::on) must be called next, even if nothing happens.
    pub fn next_deadline(&self) -> Option<Moment> {
        if self.phase == Phase::Stopped {
            return None;
        }
        let peers = self.peers.as_ref().and_then(Peers::next_deadline);
        let settled = self.peers.as_ref().map(Peers::settles_by);
        // Once that is past, only an event can help.
        let settled = settled.filter(|by| self.phase.settles() && *by > self.now);
        let checks = self.checks.next_deadline().filter(|_| self.phase.decides());
        let pending = self.pending.next_deadline().filter(|_| self.phase.decides());
        let begins = self.begins_by.filter(|by| !self.records.is_listed() && *by > self.now);
        // Who does not decide forgets none, either.
        let conflicts = self.conflicts.next_deadline().filter(|_| self.phase.decides());
        let others = [pending, conflicts, settled, checks, begins];
        let phase = self.phase.next_deadline();
        others
            .into_iter()
            .flatten()
            .chain(peers)
            .chain(phase)
            .chain(self.bursts.next_deadline().filter(|_| self.phase.decides()))
            .min()
    }

    /// Whether everything was delivered and a table is in force, be it an empty one since this node has no
    /// interface to answer on.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active | Phase::Lapsed { .. })
    }

    /// What is waited for before this speaker can answer, in words for a person.
    pub fn waits_for(&self) -> Vec<&'static str> {
        let config = self.config.is_none().then_some("configuration");
        let links = self.ports.is_none().then_some("network interfaces");
        let is_deaf = self.ports.as_ref().is_some_and(Vec::is_empty) && !self.refused.is_empty();
        let socket = is_deaf.then_some("a packet socket, which the kernel refuses on every link");
        let missing = config.into_iter().chain(links).chain(socket).chain(self.cluster.missing());
        let mesh = self.phase.settles().then_some("answers of the other speakers");
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() { mesh.into_iter().collect() } else { missing }
    }

    /// What arrived by the mesh so far.
    pub fn mesh_counts(&self) -> mesh::Counts {
        self.peers.as_ref().map(|peers| peers.mesh().counts()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
