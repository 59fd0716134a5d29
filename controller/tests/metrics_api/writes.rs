//! Writes that come to nothing.

use http::StatusCode;
use serde_json::json;

use super::{by_label, number};
use crate::support::fake_api::FakeApi;
use crate::support::objects::{
    ADVERTISEMENTS, POOLS, QUIET, SERVICES, advertisement, pool, service,
};
use crate::support::running::start;

const FAILURES: &str = "ferrolb_controller_write_failures_total";

fn cluster() -> FakeApi {
    FakeApi::new(&[
        (SERVICES, vec![service("web")]),
        (POOLS, vec![pool("p", &json!({"addresses": ["10.0.0.0/24"]}))]),
        (ADVERTISEMENTS, vec![advertisement("all", &json!({}))]),
    ])
}

#[tokio::test(start_paused = true)]
async fn writes_that_come_to_nothing_are_counted_under_their_reason() {
    for (code, reason, retried) in [
        (StatusCode::CONFLICT, "conflict", 0),
        (StatusCode::NOT_FOUND, "gone", 0),
        (StatusCode::INTERNAL_SERVER_ERROR, "error", 1),
    ] {
        let mut api = cluster();
        let running = start(&api);
        api.write_to("services/web/status").await.fail(code);
        api.drain(QUIET).await;
        let text = running.metrics();
        assert_eq!(by_label(&text, FAILURES), [(reason, 1)].into());
        assert_eq!(number(&text, "metallb_k8s_client_update_errors_total"), retried, "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_not_answered_in_time_is_counted() {
    let mut api = cluster();
    let running = start(&api);
    let _unanswered = api.write_to("services/web/status").await;
    api.drain(QUIET).await;
    assert_eq!(by_label(&running.metrics(), FAILURES), [("timeout", 1)].into());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_fence_kept_in_is_counted() {
    let mut api = cluster();
    let running = start(&api);
    running.fence.set(None);
    api.drain(QUIET).await;
    let text = running.metrics();
    let counted = by_label(&text, FAILURES);
    assert!(counted.keys().eq(&["fenced"]) && counted["fenced"] > 0, "{counted:?}");
}
