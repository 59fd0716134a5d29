//! What the API server asks the webhook about.

use std::collections::BTreeMap;

use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock;

use super::by_label;
use crate::support::fake_api::FakeApi;
use crate::support::reviewing::{EXISTING, POOL, pool, post, review, start};

const ADVERTISEMENT: &str = "/validate-metallb-io-v1beta1-l2advertisement";

/// The series of `name` that are about `kind`, by their other label.
fn about<'a>(text: &'a str, name: &str, kind: &str) -> BTreeMap<&'a str, u64> {
    by_label(text, &format!("{name}{{kind=\"{kind}\","))
}

/// What is wrong with pools, and such a pool each.
fn bad_pools() -> Vec<(&'static str, Value)> {
    let odd = json!({"matchExpressions": [{"key": "a", "operator": "Sometimes"}]});
    vec![
        ("noPrefixes", json!({"addresses": []})),
        ("invalidRange", json!({"addresses": ["10.9.0.9-10.9.0.1", "x"]})),
        ("overlap", json!({"addresses": ["192.0.2.0/26"]})),
        (
            "repeatedNamespace",
            json!({"addresses": ["10.8.0.0/24"], "serviceAllocation": {"namespaces": ["n", "n"]}}),
        ),
        (
            "invalidSelector",
            json!({"addresses": ["10.7.0.0/24"], "serviceAllocation": {"serviceSelectors": [odd]}}),
        ),
        ("unreadable", json!({"addresses": 5})),
    ]
}

fn bad_advertisements() -> Vec<(&'static str, Value)> {
    let odd = json!({"matchExpressions": [{"key": "a", "operator": "Sometimes"}]});
    vec![
        ("repeatedPool", json!({"ipAddressPools": ["a", "a"]})),
        ("repeatedSelector", json!({"nodeSelectors": [{}, {}]})),
        ("weight", json!({"preferredNodeSelectors": [{"weight": 0, "preference": {}}]})),
        ("invalidSelector", json!({"nodeSelectors": [odd]})),
        ("unreadable", json!({"nodeSelectors": 5})),
    ]
}

#[tokio::test]
async fn each_denial_is_counted_under_what_is_wrong() {
    let api = FakeApi::new(&[(EXISTING, vec![pool("first", "192.0.2.0/25")])]);
    let webhook = start(api.client.clone()).await;
    for (kind, path, bad) in [
        ("IPAddressPool", POOL, bad_pools()),
        ("L2Advertisement", ADVERTISEMENT, bad_advertisements()),
    ] {
        for (reason, spec) in &bad {
            let object = json!({
                "apiVersion": "metallb.io/v1beta1", "kind": kind,
                "metadata": {"name": "bad", "namespace": "ns"}, "spec": spec,
            });
            let (status, body) = post(webhook.address, path, &review(kind, "ns", &object)).await;
            let denied = body.contains("\"allowed\":false");
            assert!(status == 200 && denied, "{reason}: {status} {body}");
        }
        let elsewhere = review(kind, "elsewhere", &json!({}));
        post(webhook.address, path, &elsewhere).await;
        let text = webhook.metrics();
        let reasons = bad.iter().map(|(reason, _)| *reason).chain(["otherNamespace"]);
        let once: BTreeMap<&str, u64> = reasons.map(|reason| (reason, 1)).collect();
        assert_eq!(about(&text, "ferrolb_webhook_denials_total", kind), once, "{text}");
        let count = u64::try_from(once.len()).unwrap();
        let verdicts = about(&text, "ferrolb_webhook_reviews_total", kind);
        assert_eq!(verdicts, [("denied", count)].into());
    }
}

#[tokio::test]
async fn each_review_is_counted_under_its_verdict() {
    let api = FakeApi::new(&[(EXISTING, vec![pool("first", "192.0.2.0/25")])]);
    let webhook = start(api.client.clone()).await;
    let good = review("IPAddressPool", "ns", &pool("second", "192.0.2.128/25"));
    assert_eq!(post(webhook.address, POOL, &good).await.0, 200);
    assert_eq!(post(webhook.address, POOL, "{").await.0, 400);
    let verdicts = [("allowed", 1), ("malformed", 1)].into();
    let text = webhook.metrics();
    assert_eq!(about(&text, "ferrolb_webhook_reviews_total", "IPAddressPool"), verdicts);
    assert!(!text.contains("ferrolb_webhook_denials_total{"), "{text}");

    // Nobody answers for the API server, and nothing was ever seen of it.
    let (service, _) = mock::pair::<http::Request<Body>, http::Response<Body>>();
    let webhook = start(Client::new(service, "default")).await;
    assert_eq!(post(webhook.address, POOL, &good).await.0, 503);
    let text = webhook.metrics();
    let verdicts = about(&text, "ferrolb_webhook_reviews_total", "IPAddressPool");
    assert_eq!(verdicts, [("failed", 1)].into());
}
