//! The engine at size: 1,000 Services on clusters of 3 to 300 nodes. What is
//! measured is all that follows from one event: election, diff, and the making of effects.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use crds::model::advertisement::Advertisement;
use crds::model::compile::Config;
use crds::model::ids::{IfIndex, MacAddr, NodeName, ServiceKey};
use crds::model::pool::Pool;
use crds::model::range::AddressRange;
use crds::model::selector::Labels;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use speaker::engine::{Change, Engine, Event, Settings};
use speaker::facts::{NodeFacts, ServiceFacts, SliceFacts, Traffic};
use speaker::link::{Exclusions, LinkFacts};
use speaker::moment::Moment;

const SERVICES: u32 = 1_000;
const NODES: [usize; 4] = [3, 30, 100, 300];

fn node(n: usize) -> NodeName {
    format!("node-{n}").into()
}

fn key(n: u32) -> ServiceKey {
    ServiceKey::new("default", format!("service-{n}"))
}

fn config() -> Config {
    let range = AddressRange::parse("10.1.0.0/16").expect("is a CIDR");
    let pool = Pool {
        name: "pool".into(),
        labels: Labels::new(),
        ranges: vec![range],
        auto_assign: true,
        avoid_buggy_ips: false,
        allocation: None,
    };
    let advertisement = Advertisement {
        name: "all".to_owned(),
        pools: BTreeSet::from(["pool".into()]),
        node_selectors: Vec::new(),
        interfaces: BTreeSet::new(),
        service_selectors: Vec::new(),
        preferences: Vec::new(),
    };
    Config {
        pools: [("pool".into(), pool)].into(),
        advertisements: [("all".to_owned(), advertisement)].into(),
        ..Config::default()
    }
}

fn slice(n: u32, endpoints: usize) -> SliceFacts {
    SliceFacts { service: key(n), usable: true, nodes: (0..endpoints).map(node).collect() }
}

fn events(nodes: usize) -> Vec<Event> {
    let service = |n: u32| {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a01_0000 + n));
        let facts = ServiceFacts {
            uid: format!("uid-{n}"),
            addresses: vec![address],
            pool: Some("pool".into()),
            labels: Labels::from([("app".to_owned(), format!("app-{n}"))]),
            traffic: Traffic::Cluster,
        };
        (key(n), facts)
    };
    let link = LinkFacts::ethernet(IfIndex(2), "eth0", MacAddr([2, 0, 0, 0, 0, 1]));
    let facts = |n| (node(n), NodeFacts { labels: labels(n), ..NodeFacts::default() });
    vec![
        Event::Config(config()),
        Event::Services(Change::Replace((0..SERVICES).map(service).collect())),
        Event::Slices(Change::Replace((0..SERVICES).map(|n| (key(n), slice(n, 3))).collect())),
        Event::Nodes(Change::Replace((0..nodes).map(facts).collect::<BTreeMap<_, _>>())),
        Event::Peers(BTreeSet::new()),
        Event::Recorded(Change::Replace(BTreeMap::new())),
        Event::Links(vec![link]),
    ]
}

fn labels(n: usize) -> Labels {
    Labels::from([("kubernetes.io/hostname".to_owned(), format!("node-{n}"))])
}

/// An engine on the first node that has settled.
fn settled(nodes: usize) -> Engine {
    let settings = Settings {
        node: node(0),
        exclusions: Exclusions::new::<&str>([]).expect("is empty"),
        ignore_exclude_label: false,
        announcements_per_second: 100_000,
        deputies: true,
        seed: 1,
        #[cfg(feature = "defects")]
        defect: None,
        mesh: None,
    };
    let mut engine = Engine::new(settings, Moment::START);
    engine.on(events(nodes), Moment::START);
    while let Some(due) = engine.next_deadline() {
        engine.on([], due);
    }
    engine
}

fn benches(criterion: &mut Criterion) {
    let now = Moment::START;
    let mut group = criterion.benchmark_group("engine, 1000 services");
    group.sample_size(30);
    for nodes in NODES {
        // Another node dies or comes back: every group is elected anew, few change hands.
        let mut engine = settled(nodes);
        let mut dead = false;
        group.bench_function(BenchmarkId::new("a node dies or returns", nodes), |bench| {
            bench.iter(|| {
                dead = !dead;
                let facts =
                    NodeFacts { labels: labels(1), network_unavailable: dead, draining: false };
                black_box(engine.on([Event::Nodes(Change::Set(node(1), facts))], now))
            });
        });
        let mut engine = settled(nodes);
        let mut endpoints = 0;
        group.bench_function(BenchmarkId::new("one endpoint changes", nodes), |bench| {
            bench.iter(|| {
                endpoints = (endpoints + 1) % nodes;
                let change = Change::Set(key(7), slice(7, endpoints + 1));
                black_box(engine.on([Event::Slices(change)], now))
            });
        });
        let mut engine = settled(nodes);
        let relist = events(nodes);
        group.bench_function(BenchmarkId::new("a relist without news", nodes), |bench| {
            bench.iter_batched(
                || relist.clone(),
                |events| black_box(engine.on(events, now)),
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(engine, benches);
criterion_main!(engine);
