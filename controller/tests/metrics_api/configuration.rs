//! What is wrong with pools and advertisements.

use std::collections::BTreeMap;

use serde_json::json;

use super::{by_label, number};
use crate::support::fake_api::FakeApi;
use crate::support::objects::{
    ADVERTISEMENTS, POOLS, QUIET, SERVICES, advertisement, changed, pool,
};
use crate::support::running::start;

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_configuration_is_counted_under_its_reason() {
    let odd = json!({"matchExpressions": [{"key": "a", "operator": "Sometimes"}]});
    let pools = [
        ("noPrefixes", json!({"addresses": []})),
        ("invalidRange", json!({"addresses": ["10.9.0.9-10.9.0.1"]})),
        ("overlap", json!({"addresses": ["10.0.0.0/25"]})),
        (
            "repeatedNamespace",
            json!({"addresses": ["10.8.0.0/24"], "serviceAllocation": {"namespaces": ["n", "n"]}}),
        ),
        (
            "invalidSelector",
            json!({"addresses": ["10.7.0.0/24"], "serviceAllocation": {"serviceSelectors": [odd]}}),
        ),
        ("unreadable", json!({"addresses": 5})),
    ];
    let advertisements = [
        ("repeatedPool", json!({"ipAddressPools": ["a", "a"]})),
        ("repeatedSelector", json!({"nodeSelectors": [{}, {}]})),
        ("weight", json!({"preferredNodeSelectors": [{"weight": 0, "preference": {}}]})),
    ];
    let name = |reason: &str| format!("z-{}", reason.to_lowercase());
    let good = pool("a", &json!({"addresses": ["10.0.0.0/24"]}));
    let bad = pools.iter().map(|(reason, spec)| pool(&name(reason), spec));
    let bad_ones = advertisements.iter().map(|(reason, spec)| advertisement(&name(reason), spec));
    let bad: Vec<_> = bad.collect();
    let mut api = FakeApi::new(&[
        (SERVICES, Vec::new()),
        (POOLS, [good].into_iter().chain(bad.clone()).collect()),
        (ADVERTISEMENTS, bad_ones.collect()),
    ]);
    let running = start(&api);
    api.drain(QUIET).await;
    let text = running.metrics();
    let all = pools.iter().chain(&advertisements);
    let mut expected: BTreeMap<&str, u64> = all.map(|(reason, _)| (*reason, 1)).collect();
    assert_eq!(by_label(&text, "ferrolb_controller_config_problems"), expected);
    assert_eq!(number(&text, "metallb_k8s_client_config_stale_bool"), 1);
    assert_eq!(number(&text, "metallb_k8s_client_config_loaded_bool"), 1);

    let mended = json!({"spec": {"addresses": ["10.6.0.0/24"]}});
    api.put(POOLS, "MODIFIED", &changed(&bad[0], &mended));
    expected.remove("noPrefixes");
    api.drain(QUIET).await;
    let text = running.metrics();
    assert_eq!(by_label(&text, "ferrolb_controller_config_problems"), expected);
}
