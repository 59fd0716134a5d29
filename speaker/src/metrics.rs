//! The metrics: MetalLB's names and labels where it has them, `ferrolb_*` for what it lacks.
//!
//! Most values live elsewhere, in the ports and in the table, and are read when somebody asks:
//! nothing on the path of an answer looks up a label. A series goes when its subject goes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use crds::model::ids::ServiceKey;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::announce::table::Table;
use crate::engine::{Description, Event, Standing};
use crate::io::deadline::Deadline;
use crate::io::mesh_socket::MeshSocket;
use crate::io::ports::Named;
use crate::link::Ineligible;
use crate::mesh;

mod families;
mod standings;

use standings::Standings;

/// Everything that is measured.
#[derive(Clone)]
pub struct Metrics {
    /// Where all of it is registered.
    pub registry: Registry,
    /// The configuration's state.
    pub config: ConfigGauges,
    /// Changes of objects taken in.
    pub updates: IntCounter,
    /// Writes to the API server that failed.
    pub update_errors: IntCounter,
    /// Events that were lost.
    pub events_dropped: IntCounter,
    snapshot: Arc<Snapshot>,
}

/// MetalLB's two gauges on the configuration.
#[derive(Clone)]
pub struct ConfigGauges {
    loaded: IntGauge,
    stale: IntGauge,
}

impl ConfigGauges {
    /// A configuration is in force; `valid`: all of it could be read.
    pub fn set(&self, valid: bool) {
        self.loaded.set(1);
        self.stale.set(i64::from(!valid));
    }
}

/// What is read when somebody asks.
struct Snapshot {
    table: Arc<ArcSwap<Table>>,
    deadline: Deadline,
    node: String,
    state: Mutex<State>,
    descriptions: Vec<Desc>,
}

/// What the engine's shell last told.
#[derive(Default)]
struct State {
    ports: Vec<Named>,
    /// How many, and whether that is most of the nodes; `None`: there is no mesh, or not yet.
    members: Option<(usize, bool)>,
    mesh: mesh::Counts,
    /// `None`: there is no mesh.
    mesh_socket: Option<MeshSocket>,
    knocks: u64,
    services: Standings,
    conflicts: BTreeMap<IpAddr, u64>,
    checks: Checks,
    /// Why interfaces are not used, for each of them.
    unused: Vec<&'static str>,
    description: Description,
}

/// Looks at addresses that this node would inherit, by how many hosts answered.
#[derive(Default)]
struct Checks {
    none: u64,
    one: u64,
    several: u64,
}

impl Metrics {
    /// All metrics, registered.
    ///
    /// # Errors
    /// Only for names that clash, which a test rules out.
    pub fn new(
        node: &str,
        table: Arc<ArcSwap<Table>>,
        deadline: Deadline,
    ) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let updates = IntCounter::new(
            "metallb_k8s_client_updates_total",
            "Changes of Kubernetes objects taken in.",
        )?;
        let update_errors = IntCounter::new(
            "metallb_k8s_client_update_errors_total",
            "Writes to the API server that failed and are tried again.",
        )?;
        let loaded = IntGauge::new(
            "metallb_k8s_client_config_loaded_bool",
            "1 if a configuration has been loaded.",
        )?;
        let stale = IntGauge::new(
            "metallb_k8s_client_config_stale_bool",
            "1 if part of the configuration is invalid, and its last valid form is in force.",
        )?;
        let events_dropped = IntCounter::new(
            "ferrolb_speaker_events_dropped_total",
            "Kubernetes Events that were not written.",
        )?;
        let mut snapshot = Snapshot {
            table,
            deadline,
            node: node.to_owned(),
            state: Mutex::default(),
            descriptions: Vec::new(),
        };
        snapshot.descriptions =
            snapshot.families()?.iter().flat_map(Family::descriptions).collect();
        let snapshot = Arc::new(snapshot);
        registry.register(Box::new(loaded.clone()))?;
        registry.register(Box::new(stale.clone()))?;
        for counter in [&updates, &update_errors, &events_dropped] {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(Reader(Arc::clone(&snapshot))))?;
        let config = ConfigGauges { loaded, stale };
        Ok(Self { registry, config, updates, update_errors, events_dropped, snapshot })
    }

    /// Counts what comes from the API server, on its way to the engine.
    pub fn note(&self, event: &Event) {
        match event {
            Event::Config(_)
            | Event::Services(_)
            | Event::Slices(_)
            | Event::Nodes(_)
            | Event::Peers(_)
            | Event::Recorded(_)
            | Event::Speakers(_) => self.updates.inc(),
            Event::Links(_)
            | Event::Refused(_)
            | Event::Datagram(_)
            | Event::Frame { .. }
            | Event::Heard(_)
            | Event::Hangup(_)
            | Event::Counted(_)
            | Event::Shutdown => {}
        }
    }

    /// The open ports are now these.
    pub fn set_ports(&self, ports: Vec<Named>) {
        self.with(|state| state.ports = ports);
    }

    /// So many members live; `certain`: that is most of the nodes.
    pub fn set_members(&self, alive: usize, certain: bool) {
        self.with(|state| state.members = Some((alive, certain)));
    }

    /// Another speaker was asked by way of the API whether it is there.
    pub fn count_knock(&self) {
        self.with(|state| state.knocks += 1);
    }

    /// There is a mesh, and this is its socket.
    pub fn set_mesh_socket(&self, socket: MeshSocket) {
        self.with(|state| state.mesh_socket = Some(socket));
    }

    /// What the mesh has received so far.
    pub fn set_mesh(&self, counts: mesh::Counts) {
        self.with(|state| state.mesh = counts);
    }

    /// `service` stands like this here; `None`: it is gone, or not ours.
    pub fn set_standing(&self, service: ServiceKey, standing: Option<&Standing>) {
        self.with(|state| state.services.set(service, standing));
    }

    /// So many hosts answered for an address that this node would inherit.
    pub fn count_check(&self, answers: usize) {
        self.with(|state| match answers {
            0 => state.checks.none += 1,
            1 => state.checks.one += 1,
            _ => state.checks.several += 1,
        });
    }

    /// Another host was found to answer for `address`, too.
    pub fn count_conflict(&self, address: IpAddr) {
        self.with(|state| *state.conflicts.entry(address).or_default() += 1);
    }

    /// Forgets the conflicts about addresses that nobody has any more.
    pub fn retain_conflicts(&self, is_kept: impl Fn(IpAddr) -> bool) {
        self.with(|state| state.conflicts.retain(|address, _| is_kept(*address)));
    }

    /// These interfaces are not used.
    pub fn set_unused(&self, unused: &BTreeMap<String, Ineligible>) {
        self.with(|state| state.unused = unused.values().map(Ineligible::reason).collect());
    }

    /// The speaker stands like this.
    pub fn set_description(&self, description: &Description) {
        self.with(|state| state.description.clone_from(description));
    }

    fn with(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.snapshot.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A family made on the spot.
enum Family {
    Counter(IntCounterVec),
    Gauge(IntGaugeVec),
}

impl Family {
    fn collector(&self) -> &dyn Collector {
        match self {
            Self::Counter(family) => family,
            Self::Gauge(family) => family,
        }
    }

    fn descriptions(&self) -> Vec<Desc> {
        self.collector().desc().into_iter().cloned().collect()
    }
}

impl Snapshot {
    fn families(&self) -> Result<Vec<Family>, prometheus::Error> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut families = self.addresses()?;
        families.extend(state.services.families(&self.node)?);
        families.extend(families::ports(&state.ports)?);
        families.extend(families::mesh(&state)?);
        families.extend(families::conflicts(&state)?);
        families.push(families::unused(&state.unused)?);
        families.extend(families::speaker(&state.description, &self.deadline)?);
        Ok(families)
    }

    fn addresses(&self) -> Result<Vec<Family>, prometheus::Error> {
        let counter = |name, help| IntCounterVec::new(Opts::new(name, help), &["ip"]);
        let requests = counter(
            "metallb_layer2_requests_received",
            "ARP requests received for an address that is answered here.",
        )?;
        let responses = counter("metallb_layer2_responses_sent", "ARP replies sent.")?;
        let gratuitous = counter(
            "metallb_layer2_gratuitous_sent",
            "Gratuitous ARP frames sent, requests and replies each.",
        )?;
        for (address, announced) in self.table.load().iter() {
            let (ip, counts) = (address.to_string(), announced.counters.read());
            requests.with_label_values(&[&ip]).inc_by(counts.requests_received);
            responses.with_label_values(&[&ip]).inc_by(counts.responses_sent);
            gratuitous.with_label_values(&[&ip]).inc_by(counts.gratuitous_sent);
        }
        Ok([requests, responses, gratuitous].map(Family::Counter).into())
    }
}

/// Reads the snapshot when Prometheus asks.
struct Reader(Arc<Snapshot>);

impl Collector for Reader {
    fn desc(&self) -> Vec<&Desc> {
        self.0.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let families = self.0.families().unwrap_or_default();
        families.iter().flat_map(|family| family.collector().collect()).collect()
    }
}

#[cfg(test)]
mod tests;
