//! The engine without a mesh: every node counts as alive, so that a test says by its events alone
//! who is there.

use std::time::Duration;

use crds::model::advertisement::Advertisement;
use crds::model::ids::{IfIndex, MacAddr};
use crds::model::pool::Pool;
use crds::model::range::AddressRange;
use crds::model::selector::Labels;

use super::*;
use crate::announce::desired::PortSpec;
use crate::facts::{NodeFacts, ServiceFacts, SliceFacts, Traffic};
use crate::link::LinkFacts;
use crate::ownership::Why;

mod election;
mod life;
mod unused;
mod wire;

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn ip(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

fn at(ms: u64) -> Moment {
    Moment::after_start(Duration::from_millis(ms))
}

fn link(index: u32) -> LinkFacts {
    let mac = MacAddr([2, 0, 0, 0, 0, u8::try_from(index).unwrap()]);
    LinkFacts::ethernet(IfIndex(index), &format!("eth{index}"), mac)
}

fn advertisement(name: &str) -> Advertisement {
    Advertisement {
        name: name.to_owned(),
        pools: BTreeSet::from(["pool".into()]),
        node_selectors: Vec::new(),
        interfaces: BTreeSet::new(),
        service_selectors: Vec::new(),
        preferences: Vec::new(),
    }
}

fn config(advertisements: &[Advertisement]) -> Config {
    let pool = Pool {
        name: "pool".into(),
        labels: Labels::new(),
        ranges: vec![AddressRange::parse("192.0.2.0/24").unwrap()],
        auto_assign: true,
        avoid_buggy_ips: false,
        allocation: None,
    };
    let named = advertisements.iter().map(|ad| (ad.name.clone(), ad.clone()));
    Config {
        pools: [(pool.name.clone(), pool)].into(),
        advertisements: named.collect(),
        ..Config::default()
    }
}

fn service(addresses: &[u8]) -> ServiceFacts {
    let addresses = addresses.iter().map(|n| ip(*n)).collect();
    let uid = "0f5a".to_owned();
    ServiceFacts {
        uid,
        addresses,
        pool: Some("pool".into()),
        labels: Labels::new(),
        traffic: Traffic::Cluster,
    }
}

fn slice(service: &str, nodes: &[&str]) -> SliceFacts {
    let nodes: BTreeSet<NodeName> = nodes.iter().map(|&node| node.into()).collect();
    SliceFacts { service: key(service), usable: !nodes.is_empty(), nodes }
}

/// What a test starts from; `deliver` gives it to an engine on node `n1`.
struct World {
    config: Config,
    services: BTreeMap<ServiceKey, ServiceFacts>,
    slices: BTreeMap<ServiceKey, SliceFacts>,
    nodes: BTreeMap<NodeName, NodeFacts>,
    links: Vec<LinkFacts>,
}

impl World {
    /// One pool, one advertisement, Services `a`, `b`, ... with one address each, backed on `n1`.
    fn with(services: &[&str], nodes: &[&str]) -> Self {
        let numbered = (1..).zip(services);
        Self {
            config: config(&[advertisement("ad")]),
            services: numbered.map(|(n, name)| (key(name), service(&[n]))).collect(),
            slices: services
                .iter()
                .map(|name| (key(&format!("{name}-1")), slice(name, &["n1"])))
                .collect(),
            nodes: nodes.iter().map(|&name| (name.into(), NodeFacts::default())).collect(),
            links: vec![link(1)],
        }
    }

    fn events(self) -> Vec<Event> {
        vec![
            Event::Config(self.config),
            Event::Services(Change::Replace(self.services)),
            Event::Slices(Change::Replace(self.slices)),
            Event::Nodes(Change::Replace(self.nodes)),
            Event::Peers(BTreeSet::new()),
            Event::Recorded(Change::Replace(BTreeMap::new())),
            Event::Links(self.links),
        ]
    }

    fn deliver(self) -> (Engine, Vec<Effect>) {
        let mut engine = engine();
        let effects = engine.on(self.events(), at(0));
        (engine, effects)
    }
}

fn engine() -> Engine {
    let settings = Settings {
        node: "n1".into(),
        exclusions: Exclusions::new(["^lo$"]).unwrap(),
        ignore_exclude_label: false,
        announcements_per_second: 10_000,
        deputies: true,
        seed: 1,
        #[cfg(feature = "defects")]
        defect: None,
        mesh: None,
    };
    Engine::new(settings, Moment::START)
}

fn published(effects: &[Effect]) -> Option<Vec<IpAddr>> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Publish(desired) => Some(desired.keys().copied().collect()),
        _ => None,
    })
}

fn transmitted(effects: &[Effect]) -> Vec<(u32, IpAddr)> {
    let frames = effects.iter().filter_map(|effect| match effect {
        Effect::Transmit { link, address, .. } => Some((link.0, *address)),
        _ => None,
    });
    frames.collect()
}

/// What was reported of a Service that is still there.
fn reported(effects: &[Effect], name: &str) -> Option<Standing> {
    effects.iter().find_map(|effect| match effect {
        Effect::Report { service, standing, .. } if *service == key(name) => standing.clone(),
        _ => None,
    })
}
