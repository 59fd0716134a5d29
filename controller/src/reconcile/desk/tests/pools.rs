//! Pools that change, what follows for Services, and what pools say of themselves.

use super::*;

#[test]
fn a_shrunk_pool_moves_only_whom_it_concerns() {
    let services = [
        served("in", 1, "10.0.0.1", "p"),
        served("out", 2, "10.0.0.200", "p"),
        served("other", 3, "10.1.0.1", "q"),
    ];
    let mut scene = Scene::new(&[("p", "10.0.0.0/24"), ("q", "10.1.0.0/24")], &services);
    scene.work();
    let effects = scene.pools(Change::Put(pool("p", 9, "10.0.0.0/25")));
    assert_eq!(ingress(&effects), [pair("out", "10.0.0.0")]);
    assert_eq!(told(&effects), ["ClearAssignment", "IPAllocated"]);
}

#[test]
fn a_renamed_pool_changes_the_annotation_alone() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let effects = scene.pools(listed(vec![pool("renamed", 9, "10.0.0.0/24")]));
    let patches = patches(&effects);
    let annotations = &patches[0].1["metadata"]["annotations"];
    assert_eq!(*annotations, json!({"metallb.io/ip-allocated-from-pool": "renamed"}));
    assert_eq!(patches[0].1.get("status"), None);
    assert!(told(&effects).is_empty());
}

#[test]
fn a_pool_that_turns_invalid_changes_nothing_and_is_told_on_the_pool() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let effects = scene.pools(Change::Put(pool("p", 9, "oops")));
    assert_eq!(patches(&effects), []);
    let [Effect::Tell(event), Effect::Report(problems)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(event.reason, "InvalidConfiguration");
    assert_eq!(event.about.kind.as_deref(), Some("IPAddressPool"));
    assert_eq!(event.message, problems[0].to_string());
    // The same again is not told again.
    assert_eq!(scene.pools(Change::Put(pool("p", 10, "oops"))), []);
}

#[test]
fn deleting_the_last_pool_clears_everything() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let effects = scene.pools(listed(Vec::new()));
    assert_eq!(ingress(&effects), [pair("web", "")]);
    assert_eq!(told(&effects), ["ClearAssignment", "AllocationFailed"]);
}

/// MetalLB goes on calling its configuration stale until something else changes (weakness C20).
#[test]
fn a_broken_object_that_is_deleted_is_no_problem_any_more() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24"), ("bad", "oops")], &[]);
    scene.work();
    assert_eq!(scene.desk.problems().len(), 1);
    assert_eq!(scene.desk.problem_reasons(), [("invalidRange", 1)].into());
    let gone = ObjectMeta { name: Some("bad".to_owned()), ..ObjectMeta::default() };
    let effects = scene.pools(Change::Gone(Box::new(gone)));
    assert_eq!(effects, [Effect::Report(Vec::new())]);
    assert!(scene.desk.problems().is_empty());
}

#[test]
fn the_status_of_a_pool_is_told_only_while_it_differs() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    assert_eq!(scene.desk.pool_reports(), []);
    scene.work();
    let reports = scene.desk.pool_reports();
    let status = IPAddressPoolStatus {
        assigned_ipv4: 1,
        available_ipv4: 255,
        ..IPAddressPoolStatus::default()
    };
    assert_eq!(reports, [("p".to_owned(), status.clone())]);
    let mut written = pool("p", 9, "10.0.0.0/24");
    written.status = Some(status);
    scene.desk.pool_written(written);
    assert_eq!(scene.work(), []);
    assert_eq!(scene.desk.pool_reports(), []);
}

/// MetalLB's sum overflows there (weakness C15).
#[test]
fn a_huge_pool_has_as_many_addresses_as_its_status_can_say() {
    let mut scene = Scene::new(&[], &[]);
    let mut huge = pool("p", 2, "fc00::/8");
    huge.spec.addresses.push("2001:db8::/64".to_owned());
    scene.pools(Change::Put(huge));
    let reports = scene.desk.pool_reports();
    assert_eq!(reports[0].1.available_ipv6, i64::MAX);
    assert_eq!(reports[0].1.assigned_ipv6, 0);
}

#[test]
fn labels_of_namespaces_and_services_count_as_they_are_now() {
    let mut blue = served("web", 1, "10.0.0.7", "p");
    blue["metadata"]["labels"] = json!({"app": "web"});
    let mut scene = Scene::new(&[], std::slice::from_ref(&blue));
    let namespace = |team: &str, version: u64| {
        let metadata = json!({
            "name": "default", "labels": {"team": team}, "resourceVersion": version.to_string(),
        });
        serde_json::from_value::<Namespace>(json!({"metadata": metadata})).unwrap()
    };
    let mut restricted = pool("p", 2, "10.0.0.0/24");
    restricted.spec.service_allocation = serde_json::from_value(json!({
        "namespaceSelectors": [{"matchLabels": {"team": "blue"}}],
        "serviceSelectors": [{"matchLabels": {"app": "web"}}],
    }))
    .unwrap();
    scene.desk.take(Input::Namespaces(Change::Put(namespace("blue", 3))));
    scene.pools(Change::Put(restricted));
    assert_eq!(scene.desk.ledger().claim(&key("web")).unwrap().addresses, [ip("10.0.0.7")]);

    scene.desk.take(Input::Namespaces(Change::Put(namespace("red", 4))));
    let effects = scene.work();
    assert_eq!(ingress(&effects), [pair("web", "")]);
    assert_eq!(told(&effects), ["ClearAssignment", "AllocationFailed"]);

    scene.desk.written(&key("web"), Written::Conflict, scene.elapsed);
    scene.desk.take(Input::Namespaces(Change::Put(namespace("blue", 5))));
    scene.work();
    assert!(scene.desk.ledger().claim(&key("web")).is_some());
    blue["metadata"]["labels"] = json!({"app": "db"});
    blue["metadata"]["resourceVersion"] = json!("9");
    scene.put(&blue);
    scene.desk.written(&key("web"), Written::Conflict, scene.elapsed);
    scene.work();
    assert!(scene.desk.ledger().claim(&key("web")).is_none());
}
