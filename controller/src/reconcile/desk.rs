//! All state of the controller, and every step it takes; no I/O, no clock, no waiting.
//!
//! Things that happen go in by [`Desk::take`] and [`Desk::written`]; [`Desk::work`] then says what
//! is to be done. What is to be done is always the difference between what should be and what is,
//! so nothing is written or told twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crds::api::v1beta1::{IPAddressPool, L2Advertisement};
use crds::model::compile::Problem;
use crds::model::ids::ServiceKey;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kit::events::Event;
use kit::feed::Change;
use serde_json::Value;

use super::sources::Sources;
use super::store::Store;
use crate::alloc::{Ledger, Refusal};
use crate::view::Facts;

mod configuration;
mod conflicts;
mod exchange;
mod figures;
mod queue;
mod service;
mod silence;
mod startup;

use conflicts::Conflicts;
pub use conflicts::Reported;
pub use figures::Happened;
use queue::Queue;
use silence::Silence;

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// Services, already reduced to what is kept of them.
    Services(Change<Facts>),
    /// Pools.
    Pools(Change<IPAddressPool>),
    /// Advertisements.
    Advertisements(Change<L2Advertisement>),
    /// Namespaces.
    Namespaces(Change<Namespace>),
    /// What speakers report.
    Speakers(Change<Reported>),
}

/// How a write of a Service's status ended.
#[derive(Debug)]
pub enum Written {
    /// This is what it is now.
    Done(Box<Facts>),
    /// It had changed meanwhile. The watch will bring the new state.
    Conflict,
    /// It is gone.
    Gone,
    /// It did not go through; to be tried again after this long.
    Failed(Duration),
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write this merge patch to the status of this Service.
    Patch(ServiceKey, Value),
    /// Tell this.
    Tell(Event),
    /// The configuration was judged, and this is wrong with it.
    Report(Vec<Problem>),
}

/// The time of a step.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Since the program began; for waiting.
    pub elapsed: Duration,
    /// For stamps in objects.
    pub stamp: Timestamp,
}

/// Whether this replica gives out addresses, or stands by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It watches, and does nothing.
    Standby,
    /// It holds the lease.
    Leader,
}

/// How long an address may be without any advertisement before that is told. Pools and
/// advertisements are mostly applied together, and come in one after the other.
pub const GRACE: Duration = Duration::from_secs(2);

/// Everything the controller knows.
#[derive(Debug)]
pub struct Desk {
    role: Role,
    services: Store<ServiceKey, Facts>,
    sources: Sources,
    ledger: Ledger,
    /// Whether what the Services had has been taken into the ledger.
    has_adopted: bool,
    /// When the first controller began to work here, in seconds since 1970, if that is known.
    installed: Option<i64>,
    /// What Services older than that had when this term began. Another program gave it to them, so it
    /// has served.
    inherited: BTreeSet<(ServiceKey, IpAddr)>,
    queue: Queue,
    /// What was refused last, by Service.
    refused: BTreeMap<ServiceKey, Refusal>,
    /// Whether those who were refused may find something now.
    retry_refused: bool,
    /// Services whose patch is under way, and whether they have to be looked at again after it.
    writing: BTreeMap<ServiceKey, bool>,
    /// When to look again at Services.
    later: BTreeSet<(Duration, ServiceKey)>,
    silence: Silence,
    /// What their condition says of the announcement, in a word, where it says anything.
    unannounced: BTreeMap<ServiceKey, &'static str>,
    told_problems: BTreeSet<Problem>,
    conflicts: Conflicts,
    happened: Happened,
}

impl Desk {
    /// An empty desk; the first controller began to work here at `installed`, in seconds since 1970.
    pub fn new(role: Role, installed: Option<i64>) -> Self {
        Self {
            role,
            installed,
            inherited: BTreeSet::new(),
            services: Store::default(),
            sources: Sources::default(),
            ledger: Ledger::default(),
            has_adopted: false,
            queue: Queue::default(),
            refused: BTreeMap::new(),
            retry_refused: false,
            writing: BTreeMap::new(),
            later: BTreeSet::new(),
            silence: Silence::default(),
            unannounced: BTreeMap::new(),
            told_problems: BTreeSet::new(),
            conflicts: Conflicts::default(),
            happened: Happened::default(),
        }
    }

    /// Takes in something that happened.
    pub fn take(&mut self, input: Input) {
        match input {
            Input::Services(change) => self.take_services(change),
            Input::Pools(change) => self.sources.pool(change),
            Input::Advertisements(change) => self.sources.advertisement(change),
            Input::Namespaces(change) => self.sources.namespace(change),
            Input::Speakers(change) => self.conflicts.take(change),
        }
    }

    fn take_services(&mut self, change: Change<Facts>) {
        match change {
            Change::Reset { objects, unreadable } => {
                // What cannot be read exists: it stays what it was.
                let keys = unreadable.iter().map(|one| key_of(&one.metadata));
                let kept = keys.filter_map(|key| self.services.get(&key).cloned());
                let all: Vec<Facts> = objects.into_iter().chain(kept).collect();
                let entry = |facts: Facts| {
                    let version = facts.version.clone();
                    (facts.key.clone(), Some(version), facts)
                };
                let touched = self.services.reset(all.into_iter().map(entry));
                self.queue.extend(touched);
            }
            Change::Put(facts) => {
                let (key, version) = (facts.key.clone(), facts.version.clone());
                if self.services.put(key.clone(), Some(&version), facts) {
                    self.queue.push(key);
                }
            }
            Change::Gone(metadata) => {
                let key = key_of(&metadata);
                self.services.remove(&key);
                self.queue.push(key);
            }
            // What it asks for cannot be known; what it has stays its own.
            Change::Unreadable(unreadable) => {
                let service = key_of(&unreadable.metadata);
                tracing::error!(%service, error = unreadable.error, "unreadable Service");
            }
        }
    }

    /// Takes in how a patch ended.
    pub fn written(&mut self, key: &ServiceKey, written: Written, now: Duration) {
        let look_again = self.writing.remove(key).unwrap_or_default();
        match written {
            Written::Done(facts) => {
                let known = self.services.get(key);
                if known.is_some_and(|known| known.uid == facts.uid) {
                    let version = facts.version.clone();
                    self.services.put(key.clone(), Some(&version), *facts);
                }
            }
            Written::Gone => {}
            // Were the watch broken, the new state would never come: look again after a while.
            Written::Conflict => {
                self.later.insert((now + Duration::from_secs(1), key.clone()));
            }
            Written::Failed(pause) => {
                self.later.insert((now + pause, key.clone()));
            }
        }
        if look_again {
            self.queue.push(key.clone());
        }
    }

    /// Takes in the answer to a write of a pool's status.
    pub fn pool_written(&mut self, pool: IPAddressPool) {
        self.sources.pool_written(pool);
    }

    /// Does all there is to do, and says what has to be done outside.
    pub fn work(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(changed) = self.sources.refresh() {
            self.reconfigure(&changed.pools, changed.problems, &mut effects);
        }
        if self.role == Role::Standby || !self.is_synced() {
            // What is known is looked at as a whole when there is something to do.
            self.queue.clear();
            return effects;
        }
        if !self.has_adopted {
            self.adopt_all();
        }
        self.take_conflicts(now.elapsed);
        while let Some((at, _)) = self.later.first()
            && *at <= now.elapsed
        {
            if let Some((_, key)) = self.later.pop_first() {
                self.queue.push(key);
            }
        }
        loop {
            while let Some(key) = self.queue.pop() {
                self.visit(&key, now, &mut effects);
            }
            self.retry_refused |= self.ledger.take_freed();
            if !std::mem::take(&mut self.retry_refused) {
                break;
            }
            // Whoever waits longest asks first.
            let keys = self.oldest_first(self.refused.keys().cloned().collect());
            self.queue.extend(keys);
        }
        debug_assert_eq!(self.ledger.check(self.sources.config()), Ok(()));
        effects
    }

    /// `keys`, those of older Services first.
    fn oldest_first(&self, keys: BTreeSet<ServiceKey>) -> Vec<ServiceKey> {
        let mut keys: Vec<_> = keys.into_iter().collect();
        // Stable: Services of one second stay in the order of their names.
        keys.sort_by_key(|key| self.services.get(key).map(|facts| facts.created));
        keys
    }

    /// When there is something to do although nothing happens.
    pub fn next_deadline(&self) -> Option<Duration> {
        let later = self.later.first().map(|(at, _)| *at);
        later.into_iter().chain(self.conflicts.next_deadline()).min()
    }

    /// Whether everything has been listed once and the configuration judged.
    pub fn is_synced(&self) -> bool {
        self.services.is_synced() && self.sources.is_synced()
    }
}

fn key_of(metadata: &ObjectMeta) -> ServiceKey {
    let namespace = metadata.namespace.clone().unwrap_or_default();
    ServiceKey::new(namespace, metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests;
