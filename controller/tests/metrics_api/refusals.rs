//! Services that are refused an address.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::by_label;
use crate::support::fake_api::FakeApi;
use crate::support::objects::{
    ADVERTISEMENTS, POOLS, QUIET, SERVICES, advertisement, changed, pool, served, service,
};
use crate::support::running::start;

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

/// One that asks like this.
fn asking(name: &str, annotations: &Value, spec: &Value) -> Value {
    changed(&service(name), &json!({"metadata": {"annotations": annotations}, "spec": spec}))
}

/// Has `address`, from `pool`, for longer than all others.
fn holder(name: &str, address: &str, pool: &str, annotations: &Value) -> Value {
    let metadata = json!({
        "creationTimestamp": "2020-01-01T00:00:00Z", "labels": {"auto": "yes"},
        "annotations": annotations,
    });
    changed(&served(name, address, pool), &json!({"metadata": metadata}))
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
    let labelled = json!({"metadata": {"labels": {"auto": "yes"}}});
    let exhausted = changed(&service("exhausted"), &labelled);
    let mut other_pool = wants("10.3.0.5");
    other_pool["metallb.io/address-pool"] = json!("single");
    let mut taken = wants("10.3.0.9");
    taken["metallb.io/allow-shared-ip"] = json!("key");
    let (field, wrong) = (json!({"loadBalancerIP": "10.3.0.1"}), json!({"loadBalancerIP": "x"}));
    let made = |reason: &'static str, annotations: &Value, spec: &Value| {
        (reason, asking(&reason.to_lowercase(), annotations, spec))
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
        (ADVERTISEMENTS, vec![advertisement("all", &json!({}))]),
    ]);
    let running = start(&api);
    api.drain(QUIET).await;
    let text = running.metrics();
    let once: BTreeMap<&str, u64> = refused.iter().map(|(reason, _)| (*reason, 1)).collect();
    assert_eq!(by_label(&text, "ferrolb_controller_refusals_total"), once);
    assert_eq!(by_label(&text, "ferrolb_controller_refused_services"), once);
    for (_, service) in &refused {
        api.put(SERVICES, "DELETED", service);
    }
    api.drain(QUIET).await;
    let text = running.metrics();
    assert_eq!(by_label(&text, "ferrolb_controller_refused_services"), [].into());
    assert_eq!(by_label(&text, "ferrolb_controller_refusals_total"), once);
}
