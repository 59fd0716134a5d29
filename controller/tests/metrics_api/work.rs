//! How the controller is getting on.

use std::time::Duration;

use controller::reconcile::desk::Role;
use http::StatusCode;
use serde_json::json;

use super::{by_label, number};
use crate::support::fake_api::FakeApi;
use crate::support::objects::{
    ADVERTISEMENTS, POOLS, QUIET, SERVICES, advertisement, pool, service,
};
use crate::support::running::start;

fn cluster() -> FakeApi {
    FakeApi::new(&[
        (SERVICES, vec![service("web")]),
        (POOLS, vec![pool("p", &json!({"addresses": ["10.0.0.0/24", "fd01::/125"]}))]),
        (ADVERTISEMENTS, vec![advertisement("all", &json!({}))]),
    ])
}

#[tokio::test(start_paused = true)]
async fn a_service_waits_until_it_is_written_and_then_counts_as_written() {
    let mut api = cluster();
    let running = start(&api);
    let write = api.write_to("services/web/status").await;
    api.drain(Duration::from_secs(3)).await;
    let text = running.metrics();
    assert_eq!(number(&text, "ferrolb_controller_queue_length"), 1);
    assert_eq!(number(&text, "ferrolb_controller_status_writes_total"), 0);
    api.accept(write);
    api.drain(QUIET).await;
    let text = running.metrics();
    assert_eq!(number(&text, "ferrolb_controller_queue_length"), 0);
    assert_eq!(number(&text, "ferrolb_controller_status_writes_total"), 1);
    assert_eq!(number(&text, "ferrolb_controller_events_dropped_total"), 0);
    // Lists and changes, of whatever kind.
    assert!(number(&text, "metallb_k8s_client_updates_total") >= 3, "{text}");
    for (name, count) in [
        ("addresses_total", 264),
        ("addresses_in_use_total", 1),
        ("ipv4_addresses_total", 256),
        ("ipv4_addresses_in_use_total", 1),
        ("ipv6_addresses_total", 8),
        ("ipv6_addresses_in_use_total", 0),
    ] {
        let shown = by_label(&text, &format!("metallb_allocator_{name}"));
        assert_eq!(shown, [("p", count)].into(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_written_is_counted() {
    let mut api = cluster();
    let running = start(&api);
    api.write_to("/events").await.fail(StatusCode::INTERNAL_SERVER_ERROR);
    api.drain(QUIET).await;
    assert_eq!(number(&running.metrics(), "ferrolb_controller_events_dropped_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn only_who_holds_the_lease_shows_the_cluster() {
    let mut api = cluster();
    let running = start(&api);
    for (role, held, terms) in [(Role::Leader, 1, 1), (Role::Standby, 0, 1), (Role::Leader, 1, 2)] {
        running.roles.send_replace(role);
        api.drain(QUIET).await;
        let text = running.metrics();
        assert_eq!(number(&text, "ferrolb_controller_lease_held"), held, "{role:?}");
        assert_eq!(number(&text, "ferrolb_controller_terms_total"), terms, "{role:?}");
        assert_eq!(text.contains("{pool=\"p\"}"), role == Role::Leader, "{role:?}");
    }
}
