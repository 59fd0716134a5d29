//! The lease's loop against a fake API server.

use std::time::Duration;

use crate::support::fake_api::{FakeApi, Write};
use controller::lease::decide::Terms;
use controller::lease::fence::{Clock, Fence};
use controller::lease::hold::{Settings, hold};
use controller::reconcile::desk::Role;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";
const PATIENCE: Duration = Duration::from_mins(1);

struct Running {
    fence: Fence,
    clock: Clock,
    role: watch::Receiver<Role>,
    stop: CancellationToken,
}

fn start(api: &FakeApi) -> Running {
    let clock = Clock::start();
    let fence = Fence::new(clock);
    let (roles, role) = watch::channel(Role::Standby);
    let stop = CancellationToken::new();
    let settings = Settings {
        namespace: "ns".to_owned(),
        name: "lease".to_owned(),
        identity: "me".to_owned(),
        terms: Terms {
            duration: Duration::from_secs(5),
            renew: Duration::from_millis(1500),
            retry: Duration::from_millis(500),
        },
    };
    let client = api.client.clone();
    tokio::spawn(hold(client, settings, (clock, fence.clone()), roles, stop.clone()));
    Running { fence, clock, role, stop }
}

fn lease(version: &str, holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "lease", "namespace": "ns", "resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 5, "leaseTransitions": 3},
    })
}

async fn next(api: &mut FakeApi) -> Write {
    api.next_write(PATIENCE).await.expect("a write")
}

/// Answers a write as the API server would.
fn accept(write: Write, version: &str) {
    let mut object = write.body.clone();
    object["metadata"]["resourceVersion"] = json!(version);
    write.answer(&object);
}

#[tokio::test(start_paused = true)]
async fn an_absent_lease_is_made_renewed_and_given_back() {
    let mut api = FakeApi::new(&[]);
    let mut running = start(&api);
    let write = next(&mut api).await;
    assert_eq!(write.line, format!("POST {LEASES}"));
    assert_eq!(write.body["spec"]["holderIdentity"], "me");
    assert_eq!(write.body["spec"]["leaseDurationSeconds"], 5);
    assert!(!running.fence.is_open());
    accept(write, "10");
    running.role.wait_for(|role| *role == Role::Leader).await.unwrap();
    assert!(running.fence.is_open());

    let write = next(&mut api).await;
    assert_eq!(write.line, format!("PUT {LEASES}/lease"));
    assert_eq!(write.body["metadata"]["resourceVersion"], "10");
    assert!(running.clock.elapsed() >= Duration::from_millis(1500));
    accept(write, "11");

    running.stop.cancel();
    running.role.wait_for(|role| *role == Role::Standby).await.unwrap();
    assert!(!running.fence.is_open());
    let write = next(&mut api).await;
    assert_eq!(write.body["spec"].get("holderIdentity"), None);
    assert_eq!(write.body["metadata"]["resourceVersion"], "11");
}

#[tokio::test(start_paused = true)]
async fn renewals_that_fail_end_the_term_in_time() {
    let mut api = FakeApi::new(&[(LEASES, vec![])]);
    let mut running = start(&api);
    accept(next(&mut api).await, "10");
    running.role.wait_for(|role| *role == Role::Leader).await.unwrap();
    let began = running.clock.elapsed();
    while *running.role.borrow() == Role::Leader {
        let Some(write) = api.next_write(Duration::from_millis(100)).await else {
            continue;
        };
        write.fail(StatusCode::SERVICE_UNAVAILABLE);
    }
    let lasted = running.clock.elapsed().saturating_sub(began);
    assert!(lasted <= Duration::from_millis(4_200), "{lasted:?}");
    assert!(!running.fence.is_open());
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_lease_is_taken_only_after_it_was_seen_unchanged_for_its_duration() {
    let mut api = FakeApi::new(&[(LEASES, vec![lease("7", "other")])]);
    let running = start(&api);
    assert!(api.next_write(Duration::from_secs(4)).await.is_none());
    api.put(LEASES, "MODIFIED", &lease("8", "other"));
    assert!(api.next_write(Duration::from_millis(4_900)).await.is_none());
    let write = next(&mut api).await;
    assert!(running.clock.elapsed() >= Duration::from_secs(9));
    assert_eq!(write.body["metadata"]["resourceVersion"], "8");
    assert_eq!(write.body["spec"]["leaseTransitions"], 4);
}

#[tokio::test(start_paused = true)]
async fn a_lease_given_back_is_taken_at_once() {
    let mut api = FakeApi::new(&[(LEASES, vec![lease("7", "other")])]);
    let running = start(&api);
    assert!(api.next_write(Duration::from_secs(1)).await.is_none());
    api.put(LEASES, "MODIFIED", &lease("8", ""));
    next(&mut api).await;
    assert!(running.clock.elapsed() < Duration::from_millis(1_100));
}
