//! Orders to hand addresses over, against a fake API server: exact calls, and no others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails the test")]

use std::time::Duration;

use crate::support::fake_api::FakeApi;
use crate::support::objects::{
    ADVERTISEMENTS, NODES, POOLS, SERVICES, SPEAKERS, STATUSES, advertisement, pool,
};
use crate::support::running::{Running, start};
use serde_json::{Value, json};

fn object(kind: &str, metadata: Value, rest: &Value) -> Value {
    let mut object = rest.clone();
    object["kind"] = json!(kind);
    object["metadata"] = metadata;
    object["metadata"]["resourceVersion"] = json!("5");
    object
}

fn service(number: usize) -> Value {
    let metadata = json!({
        "name": format!("s{number}"), "namespace": "default", "uid": format!("u{number}"),
        "annotations": {"metallb.io/ip-allocated-from-pool": "p"},
    });
    object(
        "Service",
        metadata,
        &json!({
            "spec": {
                "type": "LoadBalancer", "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"],
                "ports": [{"port": 80, "protocol": "TCP"}],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": format!("10.0.0.{number}")}]}},
        }),
    )
}

fn slice(number: usize) -> Value {
    let metadata = json!({
        "name": format!("s{number}-x"), "namespace": "default",
        "labels": {"kubernetes.io/service-name": format!("s{number}")},
    });
    object("EndpointSlice", metadata, &json!({"endpoints": [{"nodeName": "n1"}]}))
}

fn status(number: usize, node: &str, claim: u64) -> Value {
    let metadata = json!({
        "name": format!("l2-{number}"), "namespace": "metallb-system",
        "annotations": {"ferrolb.io/claim": claim.to_string()},
    });
    object(
        "ServiceL2Status",
        metadata,
        &json!({
            "apiVersion": "metallb.io/v1beta1", "spec": {},
            "status": {
                "node": node, "serviceName": format!("s{number}"), "serviceNamespace": "default",
            },
        }),
    )
}

fn node(name: &str) -> Value {
    let conditions = json!([{"type": "Ready", "status": "True"}]);
    let metadata = json!({"name": name, "labels": {"name": name}});
    object("Node", metadata, &json!({"status": {"conditions": conditions}}))
}

fn speaker(name: &str, orders: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": "metallb-system"});
    object(
        "Speaker",
        metadata,
        &json!({
            "apiVersion": "ferrolb.io/v1alpha1",
            "spec": {"orders": orders},
            "status": {"state": "Active"},
        }),
    )
}

/// Three Services, all of them announced by the first of two nodes, and advertised like this.
fn cluster(spec: &Value) -> FakeApi {
    FakeApi::new(&[
        (SERVICES, (1..=3).map(service).collect()),
        (POOLS, vec![pool("p", &json!({"addresses": ["10.0.0.0/24"]}))]),
        (ADVERTISEMENTS, vec![advertisement("all", spec)]),
        ("/apis/discovery.k8s.io/v1/endpointslices", (1..=3).map(slice).collect()),
        (STATUSES, (1..=3).map(|number| status(number, "n1", 7)).collect()),
        (NODES, vec![node("n1"), node("n2")]),
        (SPEAKERS, vec![speaker("n1", &json!([])), speaker("n2", &json!([]))]),
    ])
}

fn shows(running: &Running, line: &str) {
    let text = running.metrics();
    assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
}

fn about_speakers(writes: &[(String, Value)]) -> Vec<(&str, &Value)> {
    let ours = writes.iter().filter(|(line, _)| line.contains("/speakers/"));
    ours.map(|(line, body)| (line.as_str(), body)).collect()
}

#[tokio::test(start_paused = true)]
async fn an_order_is_one_patch_and_is_taken_back_when_carried_out() {
    let mut api = cluster(&json!({}));
    let running = start(&api);
    assert_eq!(about_speakers(&api.drain(Duration::from_secs(50)).await), []);
    shows(&running, "ferrolb_placement_spread 3");
    let write = api.write_to("/speakers/").await;
    assert_eq!(write.line, format!("PATCH {SPEAKERS}/n1"));
    let orders = json!([{"address": "10.0.0.1", "claim": 7, "to": "n2", "epoch": 4}]);
    assert_eq!(write.body, json!({"spec": {"orders": orders}}));
    let mut written = speaker("n1", &orders);
    written["metadata"]["resourceVersion"] = json!("9");
    write.answer(&written);
    shows(&running, "ferrolb_placement_moves_ordered_total{reason=\"spread\"} 1");
    // The speaker does as it was told.
    api.put(STATUSES, "MODIFIED", &status(1, "n2", 8));
    let write = api.write_to("/speakers/").await;
    assert_eq!(write.body, json!({"spec": {"orders": []}}));
    let mut written = speaker("n1", &json!([]));
    written["metadata"]["resourceVersion"] = json!("10");
    write.answer(&written);
    assert_eq!(about_speakers(&api.drain(Duration::from_mins(30)).await), []);
    shows(&running, "ferrolb_placement_spread 1");
}

#[tokio::test(start_paused = true)]
async fn what_goes_to_a_preferred_node_is_counted_apart() {
    let prefers = json!({"weight": 10, "preference": {"matchLabels": {"name": "n2"}}});
    let mut api = cluster(&json!({"preferredNodeSelectors": [prefers]}));
    let running = start(&api);
    let write = api.write_to("/speakers/").await;
    assert_eq!(write.body["spec"]["orders"].as_array().unwrap().len(), 3);
    shows(&running, "ferrolb_placement_moves_ordered_total{reason=\"preference\"} 3");
}

#[tokio::test(start_paused = true)]
async fn a_closed_fence_keeps_orders_in() {
    let mut api = cluster(&json!({}));
    let running = start(&api);
    api.drain(Duration::from_secs(30)).await;
    running.fence.set(None);
    assert_eq!(about_speakers(&api.drain(Duration::from_mins(5)).await), []);
}
