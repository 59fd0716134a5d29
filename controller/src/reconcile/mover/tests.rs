use crds::model::selector::Labels;
use crds::names::CLAIM;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{config, pool};
use crate::view;

mod nodes;
mod orders;
mod services;
mod unserved;

const SECOND: Duration = Duration::from_secs(1);

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn put<T>(object: T) -> Change<T> {
    Change::Put(object)
}

fn listed<T>() -> Change<T> {
    Change::Reset { objects: Vec::new(), unreadable: Vec::new() }
}

/// A cluster of nodes `n1`, `n2`, and so on, and Services `s1` at 10.0.0.1, and so on.
struct Stage {
    mover: Mover,
    config: Config,
    revision: u64,
    epoch: u64,
    now: Duration,
    /// What the API server has, by node.
    orders: BTreeMap<String, Vec<MoveOrder>>,
    version: u64,
}

impl Stage {
    fn new(nodes: usize, owners: &[usize]) -> Self {
        Self::with(Moves::On, nodes, owners)
    }

    fn with(moves: Moves, nodes: usize, owners: &[usize]) -> Self {
        let settling = 30 * SECOND;
        let settings = Settings { moves, settling, at_once: 10, ignore_exclude_label: false };
        let advertisement = object(json!({
            "name": "all", "pools": ["p"], "node_selectors": [], "interfaces": [],
            "service_selectors": [], "preferences": [],
        }));
        let mut config = config([pool("p", &["10.0.0.0/16"])]);
        config.advertisements.insert("all".to_owned(), advertisement);
        let mut stage = Self {
            mover: Mover::new(settings),
            config,
            revision: 1,
            epoch: 3,
            now: SECOND,
            orders: BTreeMap::new(),
            version: 100,
        };
        stage.mover.services(&listed(), stage.now);
        stage.mover.slices(listed(), stage.now);
        stage.mover.statuses(listed(), stage.now);
        stage.mover.nodes(listed(), stage.now);
        stage.mover.speakers(listed(), stage.now);
        for number in 1..=nodes {
            stage.node(number, &json!({}), "True");
            stage.speaker(number, "Active");
        }
        for (index, owner) in owners.iter().enumerate() {
            stage.service(index + 1, "Cluster");
            stage.slice(index + 1, &[]);
            stage.owns(index + 1, *owner, 7);
        }
        stage
    }

    fn node(&mut self, number: usize, labels: &Value, ready: &str) {
        let conditions = json!([{"type": "Ready", "status": ready}]);
        let node = json!({
            "metadata": {"name": format!("n{number}"), "labels": labels},
            "status": {"conditions": conditions},
        });
        self.mover.nodes(put(facts::node(object(node))), self.now);
    }

    fn speaker(&mut self, number: usize, state: &str) {
        let node = format!("n{number}");
        let facts = self.speaker_object(&node, state);
        self.mover.speakers(put(facts), self.now);
    }

    fn returned(&mut self, number: usize, returns: u64) {
        let facts = self.speaker_object(&format!("n{number}"), "Active");
        self.mover.speakers(put(SpeakerFacts { returns, ..facts }), self.now);
    }

    fn speaker_object(&mut self, node: &str, state: &str) -> SpeakerFacts {
        self.version += 1;
        let orders = self.orders.get(node).cloned().unwrap_or_default();
        facts::speaker(&object(json!({
            "apiVersion": "ferrolb.io/v1alpha1", "kind": "Speaker",
            "metadata": {"name": node, "resourceVersion": self.version.to_string()},
            "spec": {"orders": orders},
            "status": {"state": state, "links": [{"name": "eth0", "mac": "02:00:00:00:00:01"}]},
        })))
    }

    fn service(&mut self, number: usize, policy: &str) {
        self.version += 1;
        let service = json!({
            "metadata": {
                "name": format!("s{number}"), "namespace": "default", "uid": "u",
                "resourceVersion": self.version.to_string(),
            },
            "spec": {
                "type": "LoadBalancer", "clusterIP": "10.96.0.5", "externalTrafficPolicy": policy,
            },
            "status": {"loadBalancer": {"ingress": [{"ip": format!("10.0.0.{number}")}]}},
        });
        let facts = view::facts(&object(service), None);
        self.mover.services(&put(facts), self.now);
    }

    /// Endpoints on these nodes; without any, one that is nowhere in particular.
    fn slice(&mut self, number: usize, nodes: &[usize]) {
        let on = |node: &usize| json!({"nodeName": format!("n{node}")});
        let endpoints: Vec<_> = nodes.iter().map(on).collect();
        let endpoints = if endpoints.is_empty() { vec![json!({})] } else { endpoints };
        let slice = json!({
            "metadata": {
                "name": format!("s{number}-x"), "namespace": "default",
                "labels": {"kubernetes.io/service-name": format!("s{number}")},
            },
            "endpoints": endpoints,
        });
        self.mover.slices(put(facts::slice(object(slice))), self.now);
    }

    /// Service `number` is announced by node `owner` under `claim`.
    fn owns(&mut self, number: usize, owner: usize, claim: u64) {
        self.status(number, owner, &json!({CLAIM: claim.to_string()}));
    }

    fn status(&mut self, number: usize, owner: usize, annotations: &Value) {
        let status = json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status",
            "metadata": {"name": format!("l2-s{number}"), "annotations": annotations},
            "spec": {},
            "status": {
                "node": format!("n{owner}"),
                "serviceName": format!("s{number}"), "serviceNamespace": "default",
            },
        });
        self.mover.statuses(put(facts::status(object(status))), self.now);
    }

    fn work(&mut self) -> Vec<(NodeName, Vec<MoveOrder>)> {
        let (config, revision, epoch, now) = (&self.config, self.revision, self.epoch, self.now);
        self.mover.work(Scene { config, revision, epoch, now })
    }

    /// Lets time go by, a second at a time, until `until`; all writes succeed. Returns the orders
    /// that were written, in words.
    fn run(&mut self, until: u64) -> Vec<String> {
        let mut said = Vec::new();
        while self.now < Duration::from_secs(until) {
            for (node, orders) in self.work() {
                let words = |order: &MoveOrder| {
                    format!("{}@{} {node}->{}", order.address, order.claim, order.to)
                };
                said.push(match &orders[..] {
                    [] => format!("{node}: nothing"),
                    orders => orders.iter().map(words).collect::<Vec<_>>().join(", "),
                });
                self.orders.insert(node.to_string(), orders);
                let facts = self.speaker_object(node.as_str(), "Active");
                self.mover.written(&node, Some(facts), self.now);
            }
            self.now += SECOND;
        }
        said
    }

    /// What is ordered at present.
    fn standing(&self) -> Vec<&MoveOrder> {
        self.orders.values().flatten().collect()
    }
}

#[test]
fn an_even_cluster_is_left_alone() {
    let mut stage = Stage::new(3, &[1, 2, 3, 1]);
    assert_eq!(stage.run(1000), [] as [&str; 0]);
    assert_eq!(stage.mover.spread(), 1);
    assert_eq!(stage.mover.next_deadline(), None, "nothing to wake up for");
}

#[test]
fn a_node_that_came_gets_its_share_once_it_is_steady() {
    let mut stage = Stage::new(2, &[1, 1, 1, 2, 2, 2]);
    stage.run(100);
    stage.node(3, &json!({}), "True");
    stage.speaker(3, "Active");
    assert_eq!(stage.run(159), [] as [&str; 0]);
    assert_eq!(stage.run(200), ["10.0.0.1@7 n1->n3", "10.0.0.4@7 n2->n3"]);
    assert_eq!(stage.mover.take_ordered(), [("spread", 2)].into());
    assert_eq!(stage.standing()[0].epoch, 3);
    // Carried out, the orders go, and that is all.
    stage.owns(1, 3, 8);
    stage.owns(4, 3, 8);
    assert_eq!(stage.run(1000), ["n1: nothing", "n2: nothing"]);
    assert_eq!(stage.mover.spread(), 0);
}

#[test]
fn nothing_happens_before_everything_was_listed() {
    for missing in ["Services", "EndpointSlices", "ServiceL2Statuses", "Nodes", "Speakers"] {
        let mut stage = Stage::new(0, &[]);
        let mover = Mover::new(stage.mover.settings);
        stage.mover = mover;
        let now = stage.now;
        for kind in ["Services", "EndpointSlices", "ServiceL2Statuses", "Nodes", "Speakers"] {
            match kind {
                _ if kind == missing => {}
                "Services" => stage.mover.services(&listed(), now),
                "EndpointSlices" => stage.mover.slices(listed(), now),
                "ServiceL2Statuses" => stage.mover.statuses(listed(), now),
                "Nodes" => stage.mover.nodes(listed(), now),
                _ => stage.mover.speakers(listed(), now),
            }
        }
        assert_eq!(stage.mover.missing(), [missing]);
        assert_eq!(stage.run(300), [] as [&str; 0]);
        assert_eq!(stage.mover.looked, None);
    }
}

#[test]
fn changes_of_nodes_and_of_the_configuration_are_waited_out() {
    let mut stage = Stage::new(3, &[1, 1, 1, 2, 2, 2]);
    stage.run(40);
    for _ in 0..10 {
        stage.node(1, &json!({"flip": stage.version.to_string()}), "True");
        stage.version += 1;
        assert_eq!(stage.run(stage.now.as_secs() + 20), [] as [&str; 0]);
    }
    stage.revision += 1;
    assert_eq!(stage.run(stage.now.as_secs() + 29), [] as [&str; 0]);
    assert_eq!(stage.run(stage.now.as_secs() + 3).len(), 2);
}
