//! Services that lose their address, and those whose address nobody announces.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::by_label;
use crate::support::fake_api::FakeApi;
use crate::support::objects::{
    ADVERTISEMENTS, NODES, POOLS, QUIET, SERVICES, SPEAKERS, advertisement, changed, pool, served,
    service,
};
use crate::support::running::start;

const CLEARED: &str = "ferrolb_controller_assignments_cleared_total";

/// What each reason to take an address back is called, and the change of a Service that is one.
fn changes() -> Vec<(&'static str, Value)> {
    let spec = |spec: Value| json!({"spec": spec});
    let annotated = |key: &str, value: &str| json!({"metadata": {"annotations": {key: value}}});
    let v6 = json!({"clusterIP": "fd00::5", "clusterIPs": ["fd00::5"], "ipFamilies": ["IPv6"]});
    vec![
        ("notLoadBalancer", spec(json!({"type": "ClusterIP"}))),
        ("otherClass", spec(json!({"loadBalancerClass": "example.com/other"}))),
        ("noClusterIPs", spec(json!({"clusterIP": "", "clusterIPs": []}))),
        ("nolbIPsIPFamily", spec(v6)),
        ("differentPoolRequested", annotated("metallb.io/address-pool", "q")),
        ("differentIPRequested", spec(json!({"loadBalancerIP": "10.0.0.200"}))),
        ("notEnoughClusterIPs", spec(json!({"ipFamilyPolicy": "RequireDualStack"}))),
        ("notShared", annotated("metallb.io/allow-shared-ip", "other")),
        ("portTaken", spec(json!({"ports": [{"port": 80, "protocol": "TCP"}]}))),
    ]
}

/// Shares its address with others, on another port than they.
fn sharing(name: &str, address: &str, port: u16) -> Value {
    let change = json!({
        "metadata": {"annotations": {"metallb.io/allow-shared-ip": "key"}},
        "spec": {"ports": [{"port": port, "protocol": "TCP"}]},
    });
    changed(&served(name, address, "p"), &change)
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_back_is_counted_under_the_reason() {
    let addresses = |range: &str| json!({"addresses": [range]});
    let hand_picked = json!({"addresses": ["10.1.0.0/24"], "autoAssign": false});
    let (narrowed, deleted) =
        (pool("r", &addresses("10.2.0.0/24")), pool("s", &addresses("10.3.0.0/24")));
    let pools = [pool("p", &addresses("10.0.0.0/24")), pool("q", &hand_picked)];
    let changes = changes();
    let holders = changes.iter().enumerate().map(|(number, (reason, _))| {
        let (name, address) = (reason.to_lowercase(), format!("10.0.0.{number}"));
        match *reason {
            "notShared" | "portTaken" => sharing(&name, &address, 81),
            _ => served(&name, &address, "p"),
        }
    });
    let holders: Vec<_> = holders.collect();
    let beside = [
        sharing("a", "10.0.0.7", 80),
        sharing("b", "10.0.0.8", 80),
        served("c", "10.2.0.1", "r"),
        served("d", "10.3.0.1", "s"),
    ];
    let mut api = FakeApi::new(&[
        (SERVICES, holders.iter().cloned().chain(beside).collect()),
        (POOLS, pools.into_iter().chain([narrowed.clone(), deleted.clone()]).collect()),
        (ADVERTISEMENTS, vec![advertisement("all", &json!({}))]),
    ]);
    let running = start(&api);
    api.drain(QUIET).await;
    assert_eq!(by_label(&running.metrics(), CLEARED), [].into());

    for (holder, (_, change)) in holders.iter().zip(&changes) {
        api.put(SERVICES, "MODIFIED", &changed(holder, change));
    }
    let for_others = json!({"spec": {"serviceAllocation": {"namespaces": ["elsewhere"]}}});
    api.put(POOLS, "MODIFIED", &changed(&narrowed, &for_others));
    api.put(POOLS, "DELETED", &deleted);
    api.drain(QUIET).await;
    let reasons = changes.iter().map(|(reason, _)| *reason);
    let reasons = reasons.chain(["poolNotCompatible", "outsideEveryPool"]);
    let once: BTreeMap<&str, u64> = reasons.map(|reason| (reason, 1)).collect();
    assert_eq!(by_label(&running.metrics(), CLEARED), once);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_no_advertisement_covers_is_shown_while_it_is_so() {
    let mut api = FakeApi::new(&[
        (SERVICES, vec![service("web"), service("db")]),
        (POOLS, vec![pool("p", &json!({"addresses": ["10.0.0.0/24"]}))]),
        (ADVERTISEMENTS, Vec::new()),
    ]);
    let running = start(&api);
    api.drain(QUIET).await;
    let name = "ferrolb_controller_unannounced_services";
    assert_eq!(by_label(&running.metrics(), name), [("NoAdvertisement", 2)].into());
    api.put(SERVICES, "DELETED", &service("db"));
    api.drain(QUIET).await;
    assert_eq!(by_label(&running.metrics(), name), [("NoAdvertisement", 1)].into());
    api.put(ADVERTISEMENTS, "ADDED", &advertisement("all", &json!({})));
    api.drain(QUIET).await;
    assert_eq!(by_label(&running.metrics(), name), [].into());
}

/// A Service whose condition is to have this reason, with its EndpointSlice, if it has endpoints.
fn covered(number: u8, reason: &str) -> (Value, Option<Value>) {
    let name = reason.to_lowercase();
    let object = served(&name, &format!("10.0.0.{number}"), "p");
    let (labels, node) = match reason {
        "NoNode" => (json!({"to": "nowhere"}), "n1"),
        _ => (json!({"to": "all"}), "n9"),
    };
    let policy = if reason == "NoLocalEndpoint" { "Local" } else { "Cluster" };
    let change = json!({
        "metadata": {"labels": labels}, "spec": {"externalTrafficPolicy": policy},
    });
    let slice = json!({
        "metadata": {
            "name": format!("{name}-x"), "namespace": "default", "resourceVersion": "5",
            "labels": {"kubernetes.io/service-name": name},
        },
        "endpoints": [{"nodeName": node}],
    });
    (changed(&object, &change), (reason != "NoEndpoints").then_some(slice))
}

#[tokio::test(start_paused = true)]
async fn each_reason_why_nobody_can_answer_is_shown() {
    let to = |to: &str| json!({"matchLabels": {"to": to}});
    let advertisements = [
        advertisement("all", &json!({"serviceSelectors": [to("all")]})),
        advertisement(
            "nowhere",
            &json!({"serviceSelectors": [to("nowhere")], "nodeSelectors": [to("nowhere")]}),
        ),
    ];
    let node = json!({
        "metadata": {"name": "n1", "resourceVersion": "5"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    let speaker = json!({
        "apiVersion": "ferrolb.io/v1alpha1", "kind": "Speaker", "spec": {},
        "metadata": {"name": "n1", "namespace": "metallb-system", "resourceVersion": "5"},
        "status": {"state": "Active"},
    });
    for (speakers, reasons) in [
        (vec![speaker], vec!["NoEndpoints", "NoNode", "NoLocalEndpoint"]),
        (vec![], vec!["NoSpeaker"]),
    ] {
        let objects = (1..).zip(&reasons).map(|(number, reason)| covered(number, reason));
        let (services, slices): (Vec<_>, Vec<_>) = objects.unzip();
        let mut api = FakeApi::new(&[
            (SERVICES, services),
            (POOLS, vec![pool("p", &json!({"addresses": ["10.0.0.0/24"]}))]),
            (ADVERTISEMENTS, advertisements.to_vec()),
            ("/apis/discovery.k8s.io/v1/endpointslices", slices.into_iter().flatten().collect()),
            (NODES, vec![node.clone()]),
            (SPEAKERS, speakers),
        ]);
        let running = start(&api);
        api.drain(QUIET).await;
        let once: BTreeMap<&str, u64> = reasons.iter().map(|reason| (*reason, 1)).collect();
        let text = running.metrics();
        assert_eq!(by_label(&text, "ferrolb_controller_unannounced_services"), once);
    }
}
