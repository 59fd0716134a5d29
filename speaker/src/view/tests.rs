use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn balancer(spec: &Value) -> Service {
    let ingress =
        json!([{"ip": "192.0.2.1", "ipMode": "VIP"}, {"hostname": "x"}, {"ip": "fc00::1"}]);
    object(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "labels": {"a": "b"}, "annotations": {ALLOCATED_FROM_POOL: "p"}},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": ingress}},
    }))
}

#[test]
fn a_service_of_our_class_is_ours() {
    for (spec, class, ours) in [
        (json!({"type": "LoadBalancer"}), None, true),
        (json!({"type": "LoadBalancer"}), Some("x"), false),
        (json!({"type": "LoadBalancer", "loadBalancerClass": "x"}), None, false),
        (json!({"type": "LoadBalancer", "loadBalancerClass": "x"}), Some("x"), true),
        (json!({"type": "LoadBalancer", "loadBalancerClass": "y"}), Some("x"), false),
        (json!({"type": "NodePort"}), None, false),
        (json!({}), None, false),
    ] {
        assert_eq!(service(&balancer(&spec), class).is_some(), ours, "{spec} {class:?}");
    }
}

#[test]
fn addresses_come_from_the_status_in_their_order() {
    let facts = service(&balancer(&json!({"type": "LoadBalancer"})), None).unwrap();
    let expected: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "fc00::1".parse().unwrap()];
    assert_eq!(facts.addresses, expected);
    assert_eq!(facts.pool, Some("p".into()));
    assert_eq!(facts.traffic, Traffic::Cluster);
    let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"});
    assert_eq!(service(&balancer(&local), None).unwrap().traffic, Traffic::Local);
}

#[test]
fn endpoints_count_when_ready_or_serving_and_ready_is_the_default() {
    for (conditions, usable) in [
        (json!(null), true),
        (json!({}), true),
        (json!({"ready": true}), true),
        (json!({"ready": false}), false),
        (json!({"ready": false, "serving": true, "terminating": true}), true),
        (json!({"ready": false, "serving": false}), false),
    ] {
        let endpoint =
            json!({"addresses": ["10.0.0.1"], "nodeName": "n1", "conditions": conditions});
        let facts = slice(&object(json!({
            "metadata": {"name": "web-1", "namespace": "default", "labels": {SERVICE_NAME: "web"}},
            "addressType": "IPv4",
            "endpoints": [endpoint],
        })))
        .unwrap();
        assert_eq!(facts.service, ServiceKey::new("default", "web"));
        assert_eq!(
            (facts.usable, facts.nodes.len()),
            (usable, usize::from(usable)),
            "{conditions}"
        );
    }
}

#[test]
fn an_endpoint_without_a_node_counts_but_nowhere_in_particular() {
    let facts = slice(&object(json!({
        "metadata": {"labels": {SERVICE_NAME: "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"]}],
    })))
    .unwrap();
    assert!(facts.usable && facts.nodes.is_empty());
}

#[test]
fn a_node_without_network_says_so() {
    for (status, unavailable) in [("True", true), ("False", false), ("Unknown", false)] {
        let facts = node(&object(json!({
            "metadata": {}, "status": {"conditions": [{"type": "NetworkUnavailable", "status": status}]},
        })));
        assert_eq!(facts.network_unavailable, unavailable, "{status}");
    }
}

#[test]
fn a_node_is_drained_by_a_label_or_an_annotation_unless_it_says_false() {
    for (metadata, draining) in [
        (json!({}), false),
        (json!({"labels": {DRAIN: ""}}), true),
        (json!({"labels": {DRAIN: "true"}}), true),
        (json!({"labels": {DRAIN: "false"}}), false),
        (json!({"annotations": {DRAIN: "disk swap"}}), true),
        (json!({"labels": {DRAIN: "false"}, "annotations": {DRAIN: "true"}}), true),
    ] {
        let facts = node(&object(json!({"metadata": metadata})));
        assert_eq!(facts.draining, draining, "{metadata}");
    }
}

#[test]
fn a_record_says_who_announced_what_and_under_which_claim() {
    let labels = json!({
        l2_status::NODE: "n1",
        l2_status::SERVICE_NAME: "web",
        l2_status::SERVICE_NAMESPACE: "default",
    });
    let highest = limits::CLAIM.to_string();
    for (annotations, claim) in [
        (json!({CLAIM: "7"}), 7),
        (json!({CLAIM: "seven"}), 0),
        (json!({CLAIM: highest}), limits::CLAIM),
        (json!({CLAIM: u64::MAX.to_string()}), 0),
        (json!({CLAIM: "99999999999999999999999"}), 0),
        (json!({CLAIM: "-1"}), 0),
        (json!({}), 0),
    ] {
        let record = recorded(&object(json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "ServiceL2Status",
            "metadata": {"labels": labels, "annotations": annotations},
        })));
        let service = ServiceKey::new("default", "web");
        let is_ours = annotations != json!({});
        assert_eq!(record, Some(Recorded { service, node: "n1".into(), claim, is_ours }));
    }
}

#[test]
fn a_record_is_ours_by_its_annotation_or_its_owner() {
    let owned_by =
        |kind: &str| json!([{"apiVersion": "v1", "kind": kind, "name": "x", "uid": "u"}]);
    let mark = json!({CLAIM: "0"});
    for (annotations, owners, expected) in [
        (json!({}), owned_by("Pod"), Maker::Other),
        (json!({}), json!([]), Maker::Nobody),
        (json!({}), owned_by("DaemonSet"), Maker::Us),
        (mark.clone(), owned_by("Pod"), Maker::Us),
        (mark, json!([]), Maker::Us),
    ] {
        let metadata: ObjectMeta =
            object(json!({"annotations": annotations, "ownerReferences": owners}));
        assert_eq!(maker(&metadata), expected, "{annotations} {owners}");
    }
}

#[test]
fn a_speaker_object_gives_orders_knock_and_echo() {
    let facts = speaker(&object(json!({
        "apiVersion": "ferrolb.io/v1alpha1",
        "kind": "Speaker",
        "metadata": {"name": "n1"},
        "spec": {
            "orders": [
                {"address": "192.0.2.1", "claim": 3, "to": "n2", "epoch": 1},
                {"address": "nonsense", "claim": 3, "to": "n2", "epoch": 1},
            ],
            "knock": {"nonce": "ab", "by": "n3"},
        },
        "status": {"knock": "cd"},
    })));
    let order = Order { address: [192, 0, 2, 1].into(), claim: 3, to: "n2".into(), epoch: 1 };
    let (knock, echo) = (Some("ab".to_owned()), Some("cd".to_owned()));
    assert_eq!(facts, SpeakerFacts { orders: vec![order], knock, echo });
}

#[test]
fn a_peer_is_a_pod_with_an_address_that_has_not_ended() {
    for (status, found) in [
        (json!({"podIP": "192.0.2.7", "phase": "Running"}), true),
        (json!({"podIP": "192.0.2.7", "phase": "Pending"}), true),
        (json!({"podIP": "192.0.2.7", "phase": "Failed"}), false),
        (json!({"phase": "Pending"}), false),
    ] {
        let pod: Pod = object(json!({"metadata": {}, "status": status}));
        let expected = found.then(|| "192.0.2.7:7946".parse().unwrap());
        assert_eq!(peer(&pod, 7946), expected, "{status}");
    }
}
