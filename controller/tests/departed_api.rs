//! What nodes left that are gone for good, against a fake API server: exact calls, and no others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails the test")]

use std::time::Duration;

use crate::support::fake_api::{FakeApi, Write};
use crate::support::objects::{NODES, SPEAKERS, STATUSES};
use crate::support::running::start;
use http::StatusCode;
use serde_json::{Value, json};

const STATES: &str = "/apis/metallb.io/v1beta1/namespaces/metallb-system/configurationstates";

/// More than a node that is registered again is away.
const SHORTLY: Duration = Duration::from_secs(110);
/// Less than two such times.
const LATER: Duration = Duration::from_secs(15);

fn node(name: &str) -> Value {
    json!({"kind": "Node", "metadata": {"name": name, "resourceVersion": "5"}, "status": {}})
}

fn state(node: &str) -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "ConfigurationState",
        "metadata": {
            "name": format!("speaker-{node}"), "namespace": "metallb-system",
            "resourceVersion": "5", "labels": {"metallb.io/node-name": node},
        },
    })
}

/// Two nodes, and what both their speakers say.
fn cluster() -> FakeApi {
    FakeApi::new(&[(NODES, vec![node("n1"), node("n2")]), (STATES, vec![state("n1"), state("n2")])])
}

/// The next deletion, if one comes within `patience`; what else is written is answered.
async fn deletion(api: &mut FakeApi, patience: Duration) -> Option<Write> {
    let next = async {
        loop {
            let write = api.next_write(Duration::MAX).await.unwrap();
            if write.line.starts_with("DELETE ") {
                return write;
            }
            api.accept(write);
        }
    };
    tokio::time::timeout(patience, next).await.ok()
}

fn agree(write: Write) {
    write.answer(&json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}));
}

#[tokio::test(start_paused = true)]
async fn what_a_deleted_node_left_is_deleted_after_a_while() {
    let mut api = cluster();
    let _running = start(&api);
    assert!(deletion(&mut api, Duration::from_mins(30)).await.is_none());
    api.put(NODES, "DELETED", &node("n2"));
    assert!(deletion(&mut api, SHORTLY).await.is_none());
    let write = deletion(&mut api, LATER).await.unwrap();
    assert_eq!(write.line, format!("DELETE {STATUSES}"));
    assert!(write.query.contains("labelSelector=metallb.io%2Fnode%3Dn2"), "{}", write.query);
    agree(write);
    let write = deletion(&mut api, LATER).await.unwrap();
    assert_eq!(write.line, format!("DELETE {SPEAKERS}/n2"));
    // There is none where there is no mesh.
    write.fail(StatusCode::NOT_FOUND);
    let write = deletion(&mut api, LATER).await.unwrap();
    assert_eq!(write.line, format!("DELETE {STATES}/speaker-n2"));
    agree(write);
    api.put(STATES, "DELETED", &state("n2"));
    assert!(deletion(&mut api, Duration::from_mins(30)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_registered_again_loses_nothing() {
    let mut api = cluster();
    let _running = start(&api);
    api.drain(Duration::from_secs(5)).await;
    api.put(NODES, "DELETED", &node("n2"));
    assert!(deletion(&mut api, SHORTLY).await.is_none());
    api.put(NODES, "ADDED", &node("n2"));
    assert!(deletion(&mut api, Duration::from_mins(30)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_is_tried_again_and_a_closed_fence_keeps_it_in() {
    let mut api = cluster();
    let running = start(&api);
    api.drain(Duration::from_secs(5)).await;
    api.put(NODES, "DELETED", &node("n2"));
    let first = deletion(&mut api, SHORTLY + LATER).await.unwrap();
    first.fail(StatusCode::INTERNAL_SERVER_ERROR);
    let second = deletion(&mut api, SHORTLY + LATER).await.unwrap();
    assert_eq!(second.line, format!("DELETE {STATUSES}"));
    second.fail(StatusCode::INTERNAL_SERVER_ERROR);
    running.fence.set(None);
    assert!(deletion(&mut api, Duration::from_mins(30)).await.is_none());
}
