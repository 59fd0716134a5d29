//! The metrics: MetalLB's names and labels where it has them, `ferrolb_*` for what it lacks.
//!
//! Most values live elsewhere, in the ports and in the table, and are read when somebody asks:
//! nothing on the path of an answer looks up a label. A series goes when its subject goes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use crds::model::ids::{MacAddr, NodeName, ServiceKey};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::announce::table::Table;
use crate::engine;
use crate::io::ports::Named;
use crate::mesh;

mod families;

/// Everything that is measured.
#[derive(Clone)]
pub struct Metrics {
    /// Where all of it is registered.
    pub registry: Registry,
    /// The configuration's state.
    pub config: ConfigGauges,
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
    node: String,
    state: Mutex<State>,
    descriptions: Vec<Desc>,
}

/// What the engine's shell last told.
#[derive(Default)]
struct State {
    ports: Vec<Named>,
    members: usize,
    mesh: mesh::Counts,
    announced: BTreeMap<ServiceKey, Vec<IpAddr>>,
    conflicts: BTreeMap<(IpAddr, MacAddr), u64>,
    standing: engine::State,
}

impl Metrics {
    /// All metrics, registered.
    ///
    /// # Errors
    /// Only for names that clash, which a test rules out.
    pub fn new(node: &str, table: Arc<ArcSwap<Table>>) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
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
            node: node.to_owned(),
            state: Mutex::default(),
            descriptions: Vec::new(),
        };
        snapshot.descriptions =
            snapshot.families()?.iter().flat_map(Family::descriptions).collect();
        let snapshot = Arc::new(snapshot);
        registry.register(Box::new(loaded.clone()))?;
        registry.register(Box::new(stale.clone()))?;
        registry.register(Box::new(events_dropped.clone()))?;
        registry.register(Box::new(Reader(Arc::clone(&snapshot))))?;
        Ok(Self { registry, config: ConfigGauges { loaded, stale }, events_dropped, snapshot })
    }

    /// The open ports are now these.
    pub fn set_ports(&self, ports: Vec<Named>) {
        self.with(|state| state.ports = ports);
    }

    /// The living members are now these.
    pub fn set_members(&self, members: &BTreeSet<NodeName>) {
        self.with(|state| state.members = members.len());
    }

    /// What the mesh has received so far.
    pub fn set_mesh(&self, counts: mesh::Counts) {
        self.with(|state| state.mesh = counts);
    }

    /// `service` is announced with `addresses`; none: it is not.
    pub fn set_announced(&self, service: ServiceKey, addresses: Vec<IpAddr>) {
        self.with(|state| {
            if addresses.is_empty() {
                state.announced.remove(&service);
            } else {
                state.announced.insert(service, addresses);
            }
        });
    }

    /// The host with `mac` was found to answer for `address`, too.
    pub fn count_conflict(&self, address: IpAddr, mac: MacAddr) {
        self.with(|state| *state.conflicts.entry((address, mac)).or_default() += 1);
    }

    /// Forgets the conflicts about addresses that nobody has any more.
    pub fn retain_conflicts(&self, is_kept: impl Fn(IpAddr) -> bool) {
        self.with(|state| state.conflicts.retain(|(address, _), _| is_kept(*address)));
    }

    /// Whether the speaker takes addresses.
    pub fn set_state(&self, standing: engine::State) {
        self.with(|state| state.standing = standing);
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
        families.push(self.announced(&state)?);
        families.extend(families::ports(&state.ports)?);
        families.extend(families::mesh(&state)?);
        families.push(families::conflicts(&state.conflicts)?);
        families.push(families::standing(state.standing)?);
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

    fn announced(&self, state: &State) -> Result<Family, prometheus::Error> {
        let opts = Opts::new("metallb_speaker_announced", "Services announced from this node.");
        let family = IntGaugeVec::new(opts, &["service", "protocol", "node", "ip"])?;
        for (service, addresses) in &state.announced {
            for ip in addresses {
                let (service, ip) = (service.to_string(), ip.to_string());
                family.with_label_values(&[&service, "layer2", &self.node, &ip]).set(1);
            }
        }
        Ok(Family::Gauge(family))
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
mod tests {
    use prometheus::TextEncoder;

    use super::*;
    use crate::announce::table::{Answer, Entry, Links};

    fn text(metrics: &Metrics) -> String {
        TextEncoder::new().encode_to_string(&metrics.registry.gather()).unwrap()
    }

    #[test]
    fn series_come_and_go_with_what_they_are_about() {
        let table = Arc::new(ArcSwap::from_pointee(Table::default()));
        let metrics = Metrics::new("n1", Arc::clone(&table)).unwrap();
        let entry = Entry { links: Links::All, answer: Answer::Own };
        let next = Table::following(&table.load(), [([192, 0, 2, 1], entry)]);
        next.iter().for_each(|(_, announced)| announced.counters.count_request());
        table.store(Arc::new(next));
        let service = ServiceKey::new("default", "web");
        metrics.set_announced(service.clone(), vec![[192, 0, 2, 1].into()]);
        metrics.config.set(true);
        for _ in 0..2 {
            metrics.count_conflict([192, 0, 2, 1].into(), MacAddr([2, 0, 0, 0, 0, 9]));
        }
        metrics.set_state(engine::State::Draining);
        let shown = text(&metrics);
        for line in [
            "metallb_layer2_requests_received{ip=\"192.0.2.1\"} 1",
            "metallb_layer2_responses_sent{ip=\"192.0.2.1\"} 0",
            "metallb_speaker_announced{ip=\"192.0.2.1\",node=\"n1\",protocol=\"layer2\",service=\"default/web\"} 1",
            "metallb_k8s_client_config_loaded_bool 1",
            "metallb_k8s_client_config_stale_bool 0",
            "ferrolb_speaker_mesh_frames_total{outcome=\"unsealed\"} 0",
            "ferrolb_address_conflicts_total{ip=\"192.0.2.1\",mac=\"02:00:00:00:00:09\"} 2",
            "ferrolb_speaker_state{state=\"draining\"} 1",
            "ferrolb_speaker_state{state=\"active\"} 0",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
        }
        table.store(Arc::new(Table::default()));
        metrics.set_announced(service, Vec::new());
        metrics.retain_conflicts(|_| false);
        assert!(!text(&metrics).contains("192.0.2.1"), "{}", text(&metrics));
    }
}
