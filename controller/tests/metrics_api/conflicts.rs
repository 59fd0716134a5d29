//! Addresses that somebody else answers for.

use std::time::Duration;

use serde_json::{Value, json};

use super::{by_label, number};
use crate::support::fake_api::FakeApi;
use crate::support::objects::{
    ADVERTISEMENTS, POOLS, QUIET, SERVICES, SPEAKERS, advertisement, changed, pool, service,
};
use crate::support::running::start;

const ANNOUNCED: &str = "ferrolb_controller_unannounced_services";
const CONFLICTING: &str = "ferrolb_controller_conflicting_addresses";
const ASIDE: &str = "ferrolb_controller_addresses_aside";

/// What the speaker of a node has heard.
fn speaker(version: &str, conflicts: &Value) -> Value {
    json!({
        "apiVersion": "ferrolb.io/v1alpha1", "kind": "Speaker",
        "metadata": {"name": "n1", "namespace": "metallb-system", "resourceVersion": version},
        "spec": {}, "status": {"state": "Active", "conflicts": conflicts},
    })
}

#[tokio::test(start_paused = true)]
async fn conflicts_and_what_is_done_about_them_are_shown() {
    let asks = |name, address: &str| {
        changed(&service(name), &json!({"spec": {"loadBalancerIP": address}}))
    };
    let mut api = FakeApi::new(&[
        (SERVICES, vec![service("any"), asks("foreign", "10.0.0.7"), asks("member", "10.0.0.9")]),
        (POOLS, vec![pool("p", &json!({"addresses": ["10.0.0.0/24"]}))]),
        (ADVERTISEMENTS, vec![advertisement("all", &json!({}))]),
        (SPEAKERS, vec![speaker("5", &json!([]))]),
    ]);
    let running = start(&api);
    api.drain(QUIET).await;
    let text = running.metrics();
    assert_eq!((number(&text, ASIDE), by_label(&text, CONFLICTING)), (0, [].into()));

    let heard = |address: &str, kind: &str| json!({"address": address, "mac": "02:00:00:00:00:99", "kind": kind});
    let conflicts = json!([
        heard("10.0.0.0", "Foreign"),
        heard("10.0.0.7", "Foreign"),
        heard("10.0.0.9", "Member"),
    ]);
    api.put(SPEAKERS, "MODIFIED", &speaker("6", &conflicts));
    api.drain(QUIET).await;
    let text = running.metrics();
    assert_eq!(by_label(&text, CONFLICTING), [("foreign", 2), ("member", 1)].into());
    assert_eq!(by_label(&text, ANNOUNCED), [("AddressConflict", 1), ("UnclaimedAnswer", 1)].into());
    // The one that asked for none in particular was given another.
    assert_eq!(number(&text, "ferrolb_controller_exchanges_total"), 1);
    let cleared = by_label(&text, "ferrolb_controller_assignments_cleared_total");
    assert_eq!(cleared, [("addressConflict", 1)].into());
    assert_eq!(number(&text, ASIDE), 2);

    api.put(SPEAKERS, "MODIFIED", &speaker("7", &json!([])));
    api.drain(QUIET).await;
    let text = running.metrics();
    assert_eq!(by_label(&text, CONFLICTING), [].into());
    assert_eq!(by_label(&text, ANNOUNCED), [].into());
    assert_eq!(number(&text, ASIDE), 2, "the other host may be away for a moment");
    api.drain(Duration::from_mins(11)).await;
    assert_eq!(number(&running.metrics(), ASIDE), 0);
}
