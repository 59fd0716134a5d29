//! Who is to hand over what: all state that this depends on, and every decision; no I/O, no clock.
//!
//! Speakers decide among themselves who takes over from whom. What they never do is to take
//! something from a node that lives, so that after nodes came back some have more than others. The
//! controller at work evens that out: a few groups at a time, when nothing else is going on, by
//! orders in the Speaker object of the node that is to give. An order names the claim it is about,
//! so one that comes late does nothing.
//!
//! Owners are *adopted*: they are whoever says so in the ServiceL2Status objects. Nothing is moved
//! to a node that has not been steady for a while, and no group that changed a moment ago.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crds::api::v1alpha1::MoveOrder;
use crds::model::compile::Config;
use crds::model::ids::{NodeName, ServiceKey};
use kit::feed::Change;

use crate::view::Facts;

mod book;
mod cluster;
pub mod facts;
mod look;
mod roster;
mod unserved;
mod ward;

use book::Book;
use cluster::Cluster;
use facts::{NodeFacts, SliceFacts, SpeakerFacts, StatusFacts};
use roster::Roster;
pub use unserved::Unserved;

/// At most this often is everything looked at while things change: a look at 10,000 groups and 100
/// nodes takes a tenth of a second, in which nobody gets an address.
const PERIOD: Duration = Duration::from_secs(5);

/// The same while orders are outstanding, since others may wait for their end.
const SHORT_PERIOD: Duration = Duration::from_secs(1);

/// The pause after a write that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// How it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether anything is moved at all.
    pub moves: Moves,
    /// How long nodes, configuration and a group must not have changed before it moves. A node must
    /// have been steady for twice as long before it is given anything.
    pub settling: Duration,
    /// The most orders outstanding at one time.
    pub at_once: usize,
    /// Whether nodes with Kubernetes' label against load balancers announce all the same.
    pub ignore_exclude_label: bool,
}

/// Whether anything is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// It is.
    On,
    /// Orders of former controllers are taken back, and none are given.
    Off,
}

/// What a step is taken with.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// Counts its changes.
    pub revision: u64,
    /// Counts the changes of the working controller.
    pub epoch: u64,
    /// The time since the program began.
    pub now: Duration,
}

/// All that orders depend on.
#[derive(Debug)]
pub struct Mover {
    settings: Settings,
    roster: Roster,
    cluster: Cluster,
    book: Book,
    has_adopted: bool,
    /// Who had each group when it was looked at last.
    owners: BTreeMap<IpAddr, NodeName>,
    /// The configuration looked at last, and since when it is in force.
    revision: (u64, Duration),
    is_dirty: bool,
    looked: Option<Duration>,
    /// When to look again although nothing happens.
    due: Option<Duration>,
    writing: BTreeSet<NodeName>,
    /// Nodes to whose objects a write failed, and when to try again.
    pausing: BTreeMap<NodeName, Duration>,
    spread: u32,
    /// What was found at the last look, until somebody asks.
    unserved: Option<BTreeMap<ServiceKey, Unserved>>,
    ordered: BTreeMap<&'static str, u64>,
}

impl Mover {
    /// One that knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            roster: Roster::new(settings.ignore_exclude_label),
            cluster: Cluster::default(),
            book: Book::default(),
            has_adopted: false,
            owners: BTreeMap::new(),
            revision: (0, Duration::ZERO),
            is_dirty: true,
            looked: None,
            due: None,
            writing: BTreeSet::new(),
            pausing: BTreeMap::new(),
            spread: 0,
            unserved: None,
            ordered: BTreeMap::new(),
        }
    }

    /// Takes in a change of Services.
    pub fn services(&mut self, change: &Change<Facts>, now: Duration) {
        self.is_dirty = true;
        self.cluster.service(change, now);
    }

    /// Takes in a change of EndpointSlices.
    pub fn slices(&mut self, change: Change<SliceFacts>, now: Duration) {
        self.is_dirty = true;
        self.cluster.slice(change, now);
    }

    /// Takes in a change of status objects.
    pub fn statuses(&mut self, change: Change<StatusFacts>, now: Duration) {
        self.is_dirty = true;
        self.cluster.status(change, now);
    }

    /// Takes in a change of nodes.
    pub fn nodes(&mut self, change: Change<NodeFacts>, now: Duration) {
        self.is_dirty = true;
        self.roster.node(change, now);
    }

    /// Takes in a change of Speaker objects.
    pub fn speakers(&mut self, change: Change<SpeakerFacts>, now: Duration) {
        self.is_dirty = true;
        self.roster.speaker(change, now);
    }

    /// Takes in how a write to the object of `node` ended: what it is now, or `None`.
    pub fn written(&mut self, node: &NodeName, object: Option<SpeakerFacts>, now: Duration) {
        self.is_dirty = true;
        self.writing.remove(node);
        match object {
            Some(facts) => self.roster.speaker(Change::Put(facts), now),
            None => {
                self.pausing.insert(node.clone(), now + PAUSE);
            }
        }
    }

    /// The kinds of which no list has arrived yet.
    pub fn missing(&self) -> Vec<&'static str> {
        self.roster.missing().chain(self.cluster.missing()).collect()
    }

    /// When there is something to do although nothing happens.
    pub fn next_deadline(&self) -> Option<Duration> {
        if !self.missing().is_empty() {
            return None;
        }
        let period = if self.book.is_empty() { PERIOD } else { SHORT_PERIOD };
        let dirty = self.is_dirty.then(|| self.looked.map_or(Duration::ZERO, |at| at + period));
        dirty.into_iter().chain(self.due).min()
    }

    /// How many groups the busiest node has more than the idlest that could have one of them.
    pub fn spread(&self) -> u32 {
        self.spread
    }

    /// The Services that nobody can answer for, if that was looked at since this was asked last.
    pub fn take_unserved(&mut self) -> Option<BTreeMap<ServiceKey, Unserved>> {
        self.unserved.take()
    }

    /// How many orders were given since this was asked last, by reason.
    pub fn take_ordered(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.ordered)
    }

    /// Does all there is to do, and says which Speaker objects should hold which orders.
    pub fn work(&mut self, scene: Scene<'_>) -> Vec<(NodeName, Vec<MoveOrder>)> {
        let now = scene.now;
        if self.revision.0 != scene.revision {
            self.revision = (scene.revision, now);
            self.is_dirty = true;
        }
        if self.next_deadline().is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.is_dirty = false;
        self.looked = Some(now);
        self.look(scene);
        self.writes(scene.epoch, now)
    }

    /// The objects that do not hold what they should.
    fn writes(&mut self, epoch: u64, now: Duration) -> Vec<(NodeName, Vec<MoveOrder>)> {
        self.pausing.retain(|_, until| *until > now);
        let mut wanted = self.book.wanted(epoch);
        let differing: Vec<_> = self
            .roster
            .orders()
            .filter(|(node, _)| !self.writing.contains(*node) && !self.pausing.contains_key(*node))
            .filter_map(|(node, found)| {
                let wanted = wanted.remove(node).unwrap_or_default();
                (wanted != found).then(|| (node.clone(), wanted))
            })
            .collect();
        self.writing.extend(differing.iter().map(|(node, _)| node.clone()));
        differing
    }
}

#[cfg(test)]
mod tests;
