//! The whole loop against a fake API server: exact calls, and no others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails the test")]

use crate::support::fake_api::FakeApi;
use crate::support::objects::{
    self, ADVERTISEMENTS, POOLS, QUIET, SERVICES, advertisement, changed, pool,
};
use crate::support::running::start;
use controller::reconcile::desk::Role;
use http::StatusCode;
use kit::testing::Log;
use serde_json::{Value, json};

const STATUSES: &str = "/apis/metallb.io/v1beta1/namespaces/metallb-system/servicel2statuses";
const STATUS: &str = "PATCH /api/v1/namespaces/default/services/web/status";

fn service() -> Value {
    objects::service("web")
}

fn served() -> Value {
    objects::served("web", "10.0.0.7", "p")
}

/// A speaker's word that it announces the Service.
fn announced() -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status",
        "metadata": {"name": "l2-1", "namespace": "metallb-system", "resourceVersion": "4"},
        "spec": {},
        "status": {"node": "n1", "serviceName": "web", "serviceNamespace": "default"},
    })
}

fn cluster(services: Vec<Value>) -> FakeApi {
    FakeApi::new(&[
        (SERVICES, services),
        (POOLS, vec![pool("p", &json!({"addresses": ["10.0.0.0/24"]}))]),
        (ADVERTISEMENTS, vec![advertisement("all", &json!({}))]),
        (STATUSES, vec![announced()]),
    ])
}

/// What was written, without what is about the configuration.
fn lines(writes: &[(String, Value)]) -> Vec<&str> {
    let mut lines: Vec<_> = writes
        .iter()
        .map(|(line, _)| line.as_str())
        .filter(|line| !line.contains("configurationstates"))
        .collect();
    lines.sort_unstable();
    lines
}

fn body<'a>(writes: &'a [(String, Value)], part: &str) -> &'a Value {
    let found = writes.iter().find(|(line, _)| line.contains(part));
    &found.unwrap_or_else(|| panic!("no write to {part}: {writes:?}")).1
}

#[tokio::test(start_paused = true)]
async fn an_allocation_is_one_patch_and_one_event() {
    let mut api = cluster(vec![service()]);
    let running = start(&api);
    let writes = api.drain(QUIET).await;
    assert_eq!(
        lines(&writes),
        [
            STATUS,
            "PATCH /apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/p/status",
            "POST /api/v1/namespaces/default/events",
        ]
    );
    let patch = body(&writes, "services/web");
    assert_eq!(patch["status"]["loadBalancer"]["ingress"], json!([{"ip": "10.0.0.0"}]));
    assert_eq!(patch["metadata"]["resourceVersion"], "5");
    assert_eq!(patch["metadata"]["annotations"]["metallb.io/ip-allocated-from-pool"], "p");
    assert_eq!(body(&writes, "/events")["message"], "Assigned IP [\"10.0.0.0\"]");
    assert_eq!(running.ready.ask(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_written_is_logged() {
    let log = Log::collect();
    let mut api = cluster(vec![service()]);
    let _running = start(&api);
    api.drain(QUIET).await;
    let written: Vec<_> =
        log.take().into_iter().filter(|line| line["event"] == "serviceUpdated").collect();
    let line = json!({
        "level": "info", "event": "serviceUpdated", "service": "default/web",
        "msg": "updated service object",
    });
    assert_eq!(written, [line]);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_service_is_not_written() {
    let mut api = cluster(vec![served()]);
    let _running = start(&api);
    let writes = api.drain(QUIET).await;
    let pool_status =
        "PATCH /apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/p/status";
    assert_eq!(lines(&writes), [pool_status]);
    // A change that means nothing to us.
    let touched = changed(&served(), &json!({"metadata": {"labels": {"a": "b"}}}));
    api.put(SERVICES, "MODIFIED", &touched);
    assert_eq!(lines(&api.drain(QUIET).await), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_state_of_the_configuration_is_written_once() {
    let mut api = cluster(vec![]);
    let _running = start(&api);
    let writes = api.drain(QUIET).await;
    let about_it = |line: &&(String, Value)| line.0.contains("configurationstates");
    let found: Vec<_> = writes.iter().filter(about_it).map(|(line, _)| line.as_str()).collect();
    let base = "/apis/metallb.io/v1beta1/namespaces/metallb-system/configurationstates";
    assert_eq!(found, [format!("POST {base}"), format!("PATCH {base}/controller/status")]);
    assert_eq!(body(&writes, "controller/status")["status"]["result"], "Valid");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_one_event_and_one_condition() {
    let mut wants = service();
    wants["metadata"]["annotations"] = json!({"metallb.io/address-pool": "nowhere"});
    let mut api = cluster(vec![wants.clone()]);
    let _running = start(&api);
    let writes = api.drain(QUIET).await;
    let event = body(&writes, "/events");
    assert_eq!(event["reason"], "AllocationFailed");
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["source"]["component"], "metallb-controller");
    let text = "Failed to allocate IP for \"default/web\": unknown pool \"nowhere\"";
    assert_eq!(event["message"], text);
    let said = &body(&writes, "services/web")["status"];
    let condition = &said["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&json!("ferrolb.io/Allocated"), &json!("False"))
    );
    assert_eq!(
        (&condition["reason"], &condition["message"]),
        (&json!("UnknownPool"), &json!("unknown pool \"nowhere\""))
    );
    assert_eq!(said.get("loadBalancer"), None);
    // Looking at it again is no news.
    wants["metadata"]["resourceVersion"] = json!("9");
    wants["status"] = said.clone();
    api.put(SERVICES, "MODIFIED", &wants);
    assert_eq!(lines(&api.drain(QUIET).await), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_patch_keeps_the_address_and_is_tried_again() {
    let mut api = cluster(vec![service()]);
    let _running = start(&api);
    for _ in 0..3 {
        let write = api.write_to("services/web").await;
        assert_eq!(write.body["status"]["loadBalancer"]["ingress"][0]["ip"], "10.0.0.0");
        write.fail(StatusCode::INTERNAL_SERVER_ERROR);
    }
    // Another Service, meanwhile, gets another address.
    let mut other = service();
    other["metadata"]["name"] = json!("other");
    other["metadata"]["resourceVersion"] = json!("9");
    api.put(SERVICES, "ADDED", &other);
    let write = api.write_to("services/other").await;
    assert_eq!(write.body["status"]["loadBalancer"]["ingress"][0]["ip"], "10.0.0.1");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_left_to_the_newer_state() {
    let mut api = cluster(vec![service()]);
    let _running = start(&api);
    let write = api.write_to("services/web").await;
    let mut edited = service();
    edited["metadata"]["resourceVersion"] = json!("6");
    edited["spec"]["loadBalancerIP"] = json!("10.0.0.9");
    api.put(SERVICES, "MODIFIED", &edited);
    write.fail(StatusCode::CONFLICT);
    let write = api.write_to("services/web").await;
    assert_eq!(write.body["metadata"]["resourceVersion"], "6");
    assert_eq!(write.body["status"]["loadBalancer"]["ingress"][0]["ip"], "10.0.0.9");
}

#[tokio::test(start_paused = true)]
async fn a_closed_fence_stops_the_very_next_write() {
    let mut api = cluster(vec![]);
    let running = start(&api);
    api.drain(QUIET).await;
    running.fence.set(None);
    api.put(SERVICES, "ADDED", &service());
    let writes = api.drain(QUIET).await;
    // Events are no decision about anything; they may go out.
    assert_eq!(lines(&writes), ["POST /api/v1/namespaces/default/events"]);
}

#[tokio::test(start_paused = true)]
async fn losing_the_lease_ends_retries_and_winning_it_begins_with_fresh_lists() {
    let mut api = cluster(vec![service()]);
    let running = start(&api);
    let write = api.write_to("services/web").await;
    running.roles.send_replace(Role::Standby);
    write.fail(StatusCode::INTERNAL_SERVER_ERROR);
    let writes = api.drain(QUIET).await;
    assert!(!lines(&writes).contains(&STATUS), "{writes:?}");
    // Another leader gave the Service something else; nobody told us by a watch.
    api.put(SERVICES, "IGNORED", &served());
    running.roles.send_replace(Role::Leader);
    let writes = api.drain(QUIET).await;
    assert!(!lines(&writes).contains(&STATUS), "{writes:?}");
}
