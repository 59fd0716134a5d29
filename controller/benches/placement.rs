//! Moves for 10,000 groups on 100 nodes: when all is even, when a node came, when everything is on
//! one node, and where every group has a few candidates of its own. Then all of it, from objects to
//! orders, as it is done at most once a second while things change.
#![allow(missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use controller::placement::{Candidate, Group, place};
use controller::reconcile::mover::{Mover, Moves, Scene, Settings, facts};
use controller::view;
use crds::model::compile::Config;
use crds::model::ids::NodeName;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kit::feed::Change;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[path = "fixtures.rs"]
mod fixtures;

const GROUPS: u32 = 10_000;
const NODES: u32 = 100;

fn nodes() -> Vec<NodeName> {
    (0..NODES).map(|number| NodeName::from(format!("node-{number:03}"))).collect()
}

/// Groups whose owners and candidates are what the functions say.
fn groups(
    nodes: &[NodeName],
    owner: impl Fn(u32) -> u32,
    may: impl Fn(u32, u32) -> bool,
) -> Vec<Group<'_>> {
    let node = |number: u32| &nodes[number as usize];
    let group = |number: u32| Group {
        id: Ipv4Addr::from(0x0a00_0000 + number).into(),
        owner: node(owner(number)),
        is_settled: true,
        candidates: (0..NODES)
            .filter(|other| may(number, *other))
            .map(|other| Candidate { node: node(other), served: 1, weight: 0 })
            .collect(),
    };
    (0..GROUPS).map(group).collect()
}

fn placement(criterion: &mut Criterion) {
    let nodes = nodes();
    let few = |number: u32, node: u32| (node + NODES - number % NODES) % NODES < 5;
    let cases = [
        ("even", groups(&nodes, |number| number % NODES, |_, _| true)),
        ("one node came", groups(&nodes, |number| number % (NODES - 1), |_, _| true)),
        ("all on one", groups(&nodes, |_| 0, |_, _| true)),
        // As with endpoints on five nodes and traffic policy Local; every second node has nothing.
        ("five candidates each", groups(&nodes, |number| (number + number % 2) % NODES, few)),
    ];
    let mut bench = criterion.benchmark_group("placement of 10,000 groups on 100 nodes");
    bench.throughput(Throughput::Elements(u64::from(GROUPS)));
    bench.sample_size(20);
    for (name, groups) in &cases {
        bench.bench_function(*name, |bencher| bencher.iter(|| place(black_box(groups), |_| true)));
    }
    bench.finish();
}

fn list<T: DeserializeOwned, U>(
    count: u32,
    object: impl Fn(u32) -> Value,
    facts: impl Fn(T) -> U,
) -> Change<U> {
    let read = |number| serde_json::from_value(object(number)).expect("an object of the benchmark");
    let objects = (0..count).map(|number| facts(read(number))).collect();
    Change::Reset { objects, unreadable: Vec::new() }
}

/// A mover that has seen everything, and a configuration with one pool and one advertisement.
fn mover() -> (Mover, Config) {
    let settings = Settings {
        moves: Moves::On,
        settling: Duration::from_secs(30),
        at_once: 10,
        ignore_exclude_label: false,
    };
    let mut mover = Mover::new(settings);
    let start = Duration::ZERO;
    let node = |number: u32| format!("node-{number:03}");
    let ip = |number: u32| Ipv4Addr::from(0x0a00_0000 + number).to_string();
    let service = |number: u32| {
        json!({
            "metadata": {"name": format!("s{number}"), "namespace": "default"},
            "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.5"},
            "status": {"loadBalancer": {"ingress": [{"ip": ip(number)}]}},
        })
    };
    let slice = |number: u32| {
        let labels = json!({"kubernetes.io/service-name": format!("s{number}")});
        json!({
            "metadata": {"name": format!("s{number}-x"), "namespace": "default", "labels": labels},
            "endpoints": [{"nodeName": node(number % NODES)}],
        })
    };
    let status = |number: u32| {
        json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status", "spec": {},
            "metadata": {"name": format!("l2-{number}"), "annotations": {"ferrolb.io/claim": "7"}},
            "status": {
                "node": node(number % (NODES - 1)),
                "serviceName": format!("s{number}"), "serviceNamespace": "default",
            },
        })
    };
    let a_node = |number: u32| {
        let conditions = json!([{"type": "Ready", "status": "True"}]);
        json!({"metadata": {"name": node(number)}, "status": {"conditions": conditions}})
    };
    let speaker = |number: u32| {
        json!({
            "apiVersion": "ferrolb.io/v1alpha1", "kind": "Speaker", "spec": {},
            "metadata": {"name": node(number)}, "status": {"state": "Active"},
        })
    };
    mover.services(&list(GROUPS, service, |object| view::facts(&object, None)), start);
    mover.slices(list(GROUPS, slice, facts::slice), start);
    mover.statuses(list(GROUPS, status, facts::status), start);
    mover.nodes(list(NODES, a_node, facts::node), start);
    mover.speakers(list(NODES, speaker, |object| facts::speaker(&object)), start);
    let mut config = fixtures::config([fixtures::pool("p", &["10.0.0.0/8"])]);
    let advertisement = json!({
        "name": "all", "pools": ["p"], "node_selectors": [], "interfaces": [],
        "service_selectors": [], "preferences": [],
    });
    let advertisement = serde_json::from_value(advertisement).expect("one of the benchmark");
    config.advertisements.insert("all".to_owned(), advertisement);
    (mover, config)
}

/// One look at everything; another revision each time, so that there is something to look for.
fn look(criterion: &mut Criterion) {
    let (mut mover, config) = mover();
    let mut revision = 0;
    let mut bench = criterion.benchmark_group("a look at 10,000 groups on 100 nodes");
    bench.sample_size(20);
    bench.bench_function("objects to orders", |bencher| {
        bencher.iter(|| {
            revision += 1;
            let now = Duration::from_secs(100 + 2 * revision);
            mover.work(Scene { config: black_box(&config), revision, epoch: 1, now })
        });
    });
    bench.finish();
}

criterion_group!(benches, placement, look);
criterion_main!(benches);
