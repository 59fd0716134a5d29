//! What the whole loop shows of itself: each word that a metric has as a label, provoked.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails the test")]

#[path = "support/fake_api.rs"]
mod fake_api;
#[path = "support/running.rs"]
mod running;

use std::time::Duration;

use fake_api::FakeApi;
use http::StatusCode;
use running::start;
use serde_json::{Value, json};

const SERVICES: &str = "/api/v1/services";
const POOLS: &str = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools";
const ADVERTISEMENTS: &str = "/apis/metallb.io/v1beta1/namespaces/metallb-system/l2advertisements";
const QUIET: Duration = Duration::from_secs(30);

fn service(name: &str, annotations: &Value, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": name, "namespace": "default", "uid": name, "resourceVersion": "5",
            "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": annotations,
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"],
            "ports": [{"port": 80, "protocol": "TCP"}],
        },
    });
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

fn pool(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": {"name": name, "namespace": "metallb-system", "resourceVersion": "2"},
        "spec": spec,
    })
}

fn advertisement() -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
        "metadata": {"name": "all", "namespace": "metallb-system", "resourceVersion": "3"},
    })
}

fn pools() -> Vec<Value> {
    let for_some = json!({"serviceSelectors": [{"matchLabels": {"auto": "yes"}}]});
    vec![
        pool("auto", &json!({"addresses": ["10.0.0.1/32"], "serviceAllocation": for_some})),
        pool("single", &json!({"addresses": ["10.1.0.1/32"], "autoAssign": false})),
        pool(
            "team",
            &json!({"addresses": ["10.2.0.0/24"], "serviceAllocation": {"namespaces": ["other"]}}),
        ),
        pool("open", &json!({"addresses": ["10.3.0.0/24"], "autoAssign": false})),
    ]
}

/// Has `address`, from `pool`.
fn holder(name: &str, address: &str, pool: &str, annotations: &Value) -> Value {
    let mut object = service(name, annotations, &json!({}));
    object["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    object["metadata"]["labels"] = json!({"auto": "yes"});
    object["metadata"]["annotations"]["metallb.io/ip-allocated-from-pool"] = json!(pool);
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}});
    object
}

/// Services that are refused an address, each for another reason, by which they are called here.
fn refused() -> Vec<(&'static str, Value)> {
    let none = json!({});
    let wants = |addresses: &str| json!({"metallb.io/loadBalancerIPs": addresses});
    let from = |pool: &str| json!({"metallb.io/address-pool": pool});
    let dual = json!({
        "ipFamilyPolicy": "RequireDualStack", "clusterIPs": ["10.96.0.5", "fd00::5"],
        "ipFamilies": ["IPv4", "IPv6"],
    });
    let half = json!({"ipFamilyPolicy": "RequireDualStack"});
    let mut exhausted = service("exhausted", &none, &none);
    exhausted["metadata"]["labels"] = json!({"auto": "yes"});
    let mut other_pool = wants("10.3.0.5");
    other_pool["metallb.io/address-pool"] = json!("single");
    let mut taken = wants("10.3.0.9");
    taken["metallb.io/allow-shared-ip"] = json!("key");
    let (field, wrong) = (json!({"loadBalancerIP": "10.3.0.1"}), json!({"loadBalancerIP": "x"}));
    let made = |reason: &'static str, annotations: &Value, spec: &Value| {
        (reason, service(&reason.to_lowercase(), annotations, spec))
    };
    vec![
        made("noPool", &none, &none),
        ("exhausted", exhausted),
        made("poolExhausted", &from("single"), &none),
        made("poolExhaustedDual", &from("open"), &dual),
        made("unknownPool", &from("nope"), &none),
        made("poolNotCompatible", &from("team"), &none),
        made("outsideEveryPool", &wants("192.0.2.1"), &none),
        made("otherPool", &other_pool, &none),
        made("familyMismatch", &wants("fd01::1"), &none),
        made("notShared", &wants("10.1.0.1"), &none),
        made("portTaken", &taken, &none),
        made("notEnoughClusterIPs", &none, &half),
        made("askedTwice", &wants("10.3.0.1"), &field),
        made("invalidAnnotation", &wants("x"), &none),
        made("invalidField", &none, &wrong),
        made("sameFamily", &wants("10.3.0.1,10.3.0.2"), &none),
        made("tooMany", &wants("10.3.0.1,10.3.0.2,fd01::1"), &none),
    ]
}

/// Answers all writes until it is quiet; those to pools as one of `pools`.
async fn settle(api: &mut FakeApi, pools: &[Value]) {
    while let Some(write) = api.next_write(QUIET).await {
        let mut body = fake_api::echo(&write);
        let written =
            pools.iter().find(|pool| pool["metadata"]["name"] == body["metadata"]["name"]);
        if let Some(pool) = written.filter(|_| write.line.contains("ipaddresspools")) {
            body["spec"] = pool["spec"].clone();
        }
        write.answer(&body);
    }
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|shown| shown == line)
}

#[tokio::test(start_paused = true)]
async fn each_refusal_is_counted_under_its_reason_and_shown_for_as_long_as_it_lasts() {
    let shares = json!({
        "metallb.io/allow-shared-ip": "key", "metallb.io/loadBalancerIPs": "10.3.0.9",
    });
    let mut services = vec![
        holder("a", "10.0.0.1", "auto", &json!({})),
        holder("b", "10.1.0.1", "single", &json!({"metallb.io/address-pool": "single"})),
        holder("c", "10.3.0.9", "open", &shares),
    ];
    let refused = refused();
    services.extend(refused.iter().map(|(_, service)| service.clone()));
    let mut api = FakeApi::new(&[
        (SERVICES, services),
        (POOLS, pools()),
        (ADVERTISEMENTS, vec![advertisement()]),
    ]);
    let running = start(&api);
    settle(&mut api, &pools()).await;
    let text = running.metrics();
    for (reason, _) in &refused {
        for name in ["refusals_total", "refused_services"] {
            let line = format!("ferrolb_controller_{name}{{reason=\"{reason}\"}} 1");
            assert!(has(&text, &line), "{line} is not in\n{text}");
        }
    }
    for (_, service) in &refused {
        api.put(SERVICES, "DELETED", service);
    }
    settle(&mut api, &pools()).await;
    let text = running.metrics();
    assert!(!text.contains("ferrolb_controller_refused_services{"), "{text}");
    assert!(has(&text, "ferrolb_controller_refusals_total{reason=\"tooMany\"} 1"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_configuration_is_counted_under_its_reason() {
    let bad = [
        ("noPrefixes", json!({"addresses": []})),
        ("invalidRange", json!({"addresses": ["10.9.0.9-10.9.0.1"]})),
        ("overlap", json!({"addresses": ["10.0.0.1/32"]})),
        (
            "repeatedNamespace",
            json!({"addresses": ["10.8.0.0/24"], "serviceAllocation": {"namespaces": ["n", "n"]}}),
        ),
        (
            "invalidSelector",
            json!({"addresses": ["10.7.0.0/24"], "serviceAllocation": {
                "serviceSelectors": [{"matchExpressions": [{"key": "a", "operator": "Sometimes"}]}],
            }}),
        ),
    ];
    let mut all = pools();
    all.extend(
        bad.iter().map(|(reason, spec)| pool(&format!("z-{}", reason.to_lowercase()), spec)),
    );
    let mut api = FakeApi::new(&[
        (SERVICES, Vec::new()),
        (POOLS, all.clone()),
        (ADVERTISEMENTS, vec![advertisement()]),
    ]);
    let running = start(&api);
    settle(&mut api, &all).await;
    let text = running.metrics();
    for (reason, _) in &bad {
        let line = format!("ferrolb_controller_config_problems{{reason=\"{reason}\"}} 1");
        assert!(has(&text, &line), "{line} is not in\n{text}");
    }
    assert!(has(&text, "metallb_k8s_client_config_stale_bool 1"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn writes_that_come_to_nothing_are_counted_under_their_reason() {
    for (code, reason) in [(StatusCode::CONFLICT, "conflict"), (StatusCode::NOT_FOUND, "gone")] {
        let pools = vec![pool("p", &json!({"addresses": ["10.0.0.0/24"]}))];
        let mut api = FakeApi::new(&[
            (SERVICES, vec![service("web", &json!({}), &json!({}))]),
            (POOLS, pools.clone()),
            (ADVERTISEMENTS, vec![advertisement()]),
        ]);
        let running = start(&api);
        api.write_to("services/web/status").await.fail(code);
        settle(&mut api, &pools).await;
        let text = running.metrics();
        let line = format!("ferrolb_controller_write_failures_total{{reason=\"{reason}\"}} 1");
        assert!(has(&text, &line), "{line} is not in\n{text}");
    }
}
