//! What the desk does when it begins, and before it may.

use super::*;

#[test]
fn a_restart_writes_nothing_to_unchanged_services() {
    let services: Vec<_> =
        (1..=50).map(|n| served(&format!("s{n}"), n, &format!("10.0.0.{n}"), "p")).collect();
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &services);
    assert_eq!(scene.work(), [Effect::Report(Vec::new())]);
    assert_eq!(scene.work(), []);
    let usage = scene.desk.usage();
    assert_eq!(usage[0].1.v4.assigned, 50);
}

#[test]
fn a_pending_service_never_gets_an_address_that_another_is_known_by() {
    // The one without an address is older and comes first in every list.
    let mut pending = service("a", 1);
    pending["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    let services = [pending, served("b", 2, "10.0.0.1", "p")];
    let mut scene = Scene::new(&[("p", "10.0.0.1/32")], &services);
    let effects = scene.work();
    assert_eq!(ingress(&effects), []);
    assert_eq!(told(&effects), ["AllocationFailed"]);
    assert_eq!(scene.desk.refused().values().sum::<u64>(), 1);
}

#[test]
fn of_two_that_clash_the_older_keeps_and_the_younger_is_told() {
    let mut older = served("z", 1, "10.0.0.1", "p");
    older["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    let younger = served("a", 2, "10.0.0.1", "p");
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[younger, older]);
    let effects = scene.work();
    assert_eq!(ingress(&effects), [pair("a", "10.0.0.0")]);
    assert_eq!(told(&effects), ["ClearAssignment", "IPAllocated"]);
    assert_eq!(scene.desk.ledger().claim(&key("z")).unwrap().addresses, [ip("10.0.0.1")]);
}

#[test]
fn a_restart_beside_an_invalid_pool_leaves_its_services_alone() {
    let services = [served("web", 1, "10.0.0.7", "p"), service("new", 2)];
    let mut scene = Scene::new(&[("p", "oops"), ("q", "10.0.0.7-10.0.0.8")], &services);
    let effects = scene.work();
    assert_eq!(ingress(&effects), [pair("new", "10.0.0.8")]);
}

#[test]
fn a_standby_does_nothing() {
    let services = [service("web", 1)];
    let mut scene = Scene::with_role(Role::Standby, &[("p", "10.0.0.0/24")], &services);
    assert_eq!(scene.work(), []);
    assert_eq!(scene.put(&service("other", 2)), []);
    assert!(scene.desk.is_synced());
}

#[test]
fn nothing_is_given_before_everything_is_listed() {
    let mut desk = Desk::new(Role::Leader, None);
    desk.take(Input::Services(listed(vec![facts(&service("web", 1))])));
    desk.take(Input::Pools(listed(vec![pool("p", 1, "10.0.0.0/24")])));
    assert_eq!(desk.work(now(Duration::ZERO)), []);
    assert_eq!(desk.missing(), ["L2Advertisements", "Namespaces"]);
}
