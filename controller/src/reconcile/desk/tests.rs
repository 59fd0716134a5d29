use crds::api::v1beta1::{IPAddressPoolStatus, L2AdvertisementSpec};
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{ip, key};
use crate::view;

mod conflicts;

const SECOND: Duration = Duration::from_secs(1);

fn now(elapsed: Duration) -> Now {
    Now { elapsed, stamp: Timestamp::UNIX_EPOCH }
}

/// A leader's desk with these pools, an advertisement for all, and these Services.
struct Scene {
    desk: Desk,
    elapsed: Duration,
    version: u64,
}

fn listed<K>(objects: Vec<K>) -> Change<K> {
    Change::Reset { objects, unreadable: Vec::new() }
}

fn pool(name: &str, version: u64, addresses: &str) -> IPAddressPool {
    let spec = json!({"addresses": [addresses]});
    let mut pool = IPAddressPool::new(name, serde_json::from_value(spec).unwrap());
    pool.metadata.resource_version = Some(version.to_string());
    pool
}

fn advertisement() -> L2Advertisement {
    L2Advertisement::with_spec("all", L2AdvertisementSpec::default())
}

impl Scene {
    fn new(pools: &[(&str, &str)], services: &[Value]) -> Self {
        Self::with_role(Role::Leader, pools, services)
    }

    fn with_role(role: Role, pools: &[(&str, &str)], services: &[Value]) -> Self {
        let mut desk = Desk::new(role, None);
        let pools = pools.iter().map(|(name, range)| pool(name, 1, range)).collect();
        desk.take(Input::Pools(listed(pools)));
        desk.take(Input::Advertisements(listed(vec![advertisement()])));
        desk.take(Input::Namespaces(listed(Vec::new())));
        let services = services.iter().map(facts).collect();
        desk.take(Input::Services(listed(services)));
        Self { desk, elapsed: Duration::ZERO, version: 1000 }
    }

    fn work(&mut self) -> Vec<Effect> {
        self.desk.work(now(self.elapsed))
    }

    fn put(&mut self, object: &Value) -> Vec<Effect> {
        self.desk.take(Input::Services(Change::Put(facts(object))));
        self.work()
    }

    fn delete(&mut self, name: &str) -> Vec<Effect> {
        let metadata = facts(&service(name, 1)).key;
        let metadata = ObjectMeta {
            namespace: Some(metadata.namespace),
            name: Some(metadata.name),
            ..ObjectMeta::default()
        };
        self.desk.take(Input::Services(Change::Gone(Box::new(metadata))));
        self.work()
    }

    fn pools(&mut self, change: Change<IPAddressPool>) -> Vec<Effect> {
        self.desk.take(Input::Pools(change));
        self.work()
    }

    /// What the API server would make of `patch`, told to the desk.
    fn answer(&mut self, object: &mut Value, patch: &Value) -> Vec<Effect> {
        self.version += 1;
        json_patch(object, patch);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let facts = facts(object);
        let key = facts.key.clone();
        self.desk.written(&key, Written::Done(Box::new(facts)), self.elapsed);
        self.work()
    }
}

fn json_patch(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(key);
        } else {
            json_patch(&mut into[key], value);
        }
    }
}

fn service(name: &str, version: u64) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "default", "uid": format!("uid-{name}"),
            "resourceVersion": version.to_string(),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"],
            "ports": [{"port": 80, "protocol": "TCP"}],
        },
    })
}

/// The same, with an address, as it is after our write and the API server's additions.
fn served(name: &str, version: u64, address: &str, pool: &str) -> Value {
    let mut object = service(name, version);
    object["metadata"]["annotations"] = json!({"metallb.io/ip-allocated-from-pool": pool});
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}});
    object
}

fn facts(object: &Value) -> Facts {
    let service: Service = serde_json::from_value(object.clone()).unwrap();
    view::facts(&service, None)
}

fn patches(effects: &[Effect]) -> Vec<(String, Value)> {
    let patch = |effect: &Effect| match effect {
        Effect::Patch(key, patch) => Some((key.name.clone(), patch.clone())),
        Effect::Tell(_) | Effect::Report(_) => None,
    };
    effects.iter().filter_map(patch).collect()
}

fn ingress(effects: &[Effect]) -> Vec<(String, String)> {
    let text = |patch: &Value| {
        let list = patch["status"]["loadBalancer"]["ingress"].as_array();
        let ips = list.into_iter().flatten().map(|entry| entry["ip"].as_str().unwrap());
        ips.collect::<Vec<_>>().join(",")
    };
    patches(effects).iter().map(|(name, patch)| (name.clone(), text(patch))).collect()
}

fn told(effects: &[Effect]) -> Vec<&'static str> {
    let reason = |effect: &Effect| match effect {
        Effect::Tell(event) => Some(event.reason),
        Effect::Patch(..) | Effect::Report(_) => None,
    };
    effects.iter().filter_map(reason).collect()
}

fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

#[test]
fn a_new_service_gets_one_patch_and_one_event_and_then_nothing() {
    let mut scene = Scene::new(&[("first-pool", "172.17.255.1-172.17.255.255")], &[]);
    scene.work();
    let mut object = service("web", 5);
    let effects = scene.put(&object);
    assert_eq!(ingress(&effects), [pair("web", "172.17.255.1")]);
    assert_eq!(told(&effects), ["IPAllocated"]);
    let (_, patch) = &patches(&effects)[0];
    assert_eq!(scene.answer(&mut object, patch), []);
    // The watch brings the same once more, with what the API server filled in.
    object["status"]["loadBalancer"]["ingress"][0]["ipMode"] = json!("VIP");
    assert_eq!(scene.put(&object), []);
    object["metadata"]["resourceVersion"] = json!("2000");
    assert_eq!(scene.put(&object), []);
}

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
    assert_eq!(patches(&effects), []);
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
fn a_service_before_its_pool_is_told_once_and_served_when_the_pool_comes() {
    let mut scene = Scene::new(&[], &[]);
    scene.work();
    let effects = scene.put(&service("web", 5));
    assert_eq!((patches(&effects), told(&effects)), (vec![], vec!["AllocationFailed"]));
    assert_eq!(scene.put(&service("web", 6)), []);
    let effects = scene.pools(Change::Put(pool("p", 7, "10.0.0.0/24")));
    assert_eq!(ingress(&effects), [pair("web", "10.0.0.0")]);
    assert_eq!(told(&effects), ["IPAllocated"]);
}

#[test]
fn a_full_pool_serves_who_waits_longest_as_soon_as_there_is_room() {
    let mut scene = Scene::new(&[("p", "10.0.0.1/32")], &[served("a", 1, "10.0.0.1", "p")]);
    scene.work();
    let mut patient = service("z-first", 5);
    patient["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
    scene.put(&service("b-second", 4));
    scene.put(&patient);
    let effects = scene.delete("a");
    assert_eq!(ingress(&effects), [pair("z-first", "10.0.0.1")]);
    assert_eq!(told(&effects), ["IPAllocated"]);
}

#[test]
fn a_failed_patch_keeps_the_claim_and_is_tried_again_after_the_pause() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[]);
    scene.work();
    let first = scene.put(&service("web", 5));
    scene.desk.written(&key("web"), Written::Failed(SECOND), scene.elapsed);
    assert_eq!(scene.work(), []);
    assert_eq!(scene.desk.next_deadline(), Some(SECOND));
    // Nobody else gets it meanwhile.
    assert_eq!(ingress(&scene.put(&service("other", 6))), [pair("other", "10.0.0.1")]);
    scene.elapsed = SECOND;
    let again = scene.work();
    assert_eq!(patches(&again), patches(&first));
    // The allocation is no news any more.
    assert!(told(&again).is_empty());
}

#[test]
fn a_conflict_is_solved_by_the_newer_state() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[]);
    scene.work();
    scene.put(&service("web", 5));
    // A user asks for a certain address while our patch is under way.
    let mut edited = service("web", 6);
    edited["spec"]["loadBalancerIP"] = json!("10.0.0.9");
    assert_eq!(scene.put(&edited), []);
    scene.desk.written(&key("web"), Written::Conflict, scene.elapsed);
    let effects = scene.work();
    assert_eq!(ingress(&effects), [pair("web", "10.0.0.9")]);
    assert_eq!(patches(&effects)[0].1["metadata"]["resourceVersion"], "6");
}

#[test]
fn an_answer_for_a_service_that_is_gone_brings_nothing_back() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[]);
    scene.work();
    let mut object = service("web", 5);
    let effects = scene.put(&object);
    scene.delete("web");
    assert!(scene.desk.ledger().claim(&key("web")).is_none());
    let (_, patch) = &patches(&effects)[0];
    assert_eq!(scene.answer(&mut object, patch), []);
    assert!(scene.desk.ledger().claim(&key("web")).is_none());
}

#[test]
fn a_service_that_is_made_anew_waits_for_the_old_patch() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[]);
    scene.work();
    scene.put(&service("web", 5));
    scene.delete("web");
    let mut anew = service("web", 8);
    anew["metadata"]["uid"] = json!("another");
    assert_eq!(scene.put(&anew), []);
    scene.desk.written(&key("web"), Written::Gone, scene.elapsed);
    let effects = scene.work();
    assert_eq!(patches(&effects)[0].1["metadata"]["resourceVersion"], "8");
}

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
fn a_restart_beside_an_invalid_pool_leaves_its_services_alone() {
    let services = [served("web", 1, "10.0.0.7", "p"), service("new", 2)];
    let mut scene = Scene::new(&[("p", "oops"), ("q", "10.0.0.7-10.0.0.8")], &services);
    let effects = scene.work();
    assert_eq!(ingress(&effects), [pair("new", "10.0.0.8")]);
}

#[test]
fn deleting_the_last_pool_clears_everything() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let effects = scene.pools(listed(Vec::new()));
    assert_eq!(ingress(&effects), [pair("web", "")]);
    assert_eq!(told(&effects), ["ClearAssignment", "AllocationFailed"]);
}

/// MetalLB forgets Services that stop matching, and keeps their addresses for ever (weakness C9).
#[test]
fn a_service_that_is_not_ours_any_more_gives_back_what_it_had_from_us() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let mut object = served("web", 9, "10.0.0.7", "p");
    object["spec"]["type"] = json!("ClusterIP");
    let effects = scene.put(&object);
    assert_eq!(ingress(&effects), [pair("web", "")]);
    assert!(scene.desk.ledger().claim(&key("web")).is_none());
}

#[test]
fn a_service_of_another_class_is_left_to_its_controller() {
    let mut foreign = served("foreign", 1, "10.0.0.7", "p");
    foreign["spec"]["loadBalancerClass"] = json!("example.com/other");
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[foreign]);
    assert_eq!(patches(&scene.work()), []);
}

#[test]
fn an_address_that_nobody_announces_is_told_after_a_while_and_mended() {
    let mut scene = Scene::new(&[("first-pool", "172.17.255.1-172.17.255.255")], &[]);
    scene.desk.take(Input::Advertisements(listed(Vec::new())));
    scene.work();
    let mut object = service("web", 5);
    let effects = scene.put(&object);
    assert_eq!(told(&effects), ["IPAllocated"]);
    let (_, patch) = &patches(&effects)[0];
    assert_eq!(scene.answer(&mut object, patch), []);
    assert_eq!(scene.desk.next_deadline(), Some(GRACE));

    scene.elapsed = GRACE;
    let effects = scene.work();
    let text = "no L2Advertisement covers pool \"first-pool\": nobody answers for 172.17.255.1";
    let [Effect::Tell(event), Effect::Patch(_, patch)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!((event.reason, event.message.as_str()), ("notAnnounced", text));
    assert_eq!(patch["status"]["conditions"][0]["message"], text);
    assert_eq!(patch["status"].get("loadBalancer"), None);
    assert_eq!(scene.answer(&mut object, patch), []);
    assert_eq!(scene.desk.next_deadline(), None);

    scene.desk.take(Input::Advertisements(Change::Put(advertisement())));
    let effects = scene.work();
    assert_eq!(patches(&effects)[0].1["status"], json!({"conditions": []}));
    assert!(told(&effects).is_empty());
}

#[test]
fn an_advertisement_that_comes_soon_spares_the_warning() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[]);
    scene.desk.take(Input::Advertisements(listed(Vec::new())));
    scene.work();
    scene.put(&service("web", 5));
    scene.desk.take(Input::Advertisements(Change::Put(advertisement())));
    assert_eq!(scene.work(), []);
    scene.elapsed = GRACE;
    assert_eq!(scene.work(), []);
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

#[test]
fn a_status_that_somebody_edits_is_put_right() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let effects = scene.put(&served("web", 9, "10.0.0.8", "p"));
    assert_eq!(ingress(&effects), [pair("web", "10.0.0.7")]);
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

#[test]
fn dns_over_tcp_and_udp_shares_one_address() {
    let mut scene = Scene::new(&[("first-pool", "172.17.255.1-172.17.255.255")], &[]);
    scene.work();
    for (name, protocol) in [("dns-tcp", "TCP"), ("dns-udp", "UDP")] {
        let mut object = service(name, 5);
        object["metadata"]["annotations"] =
            json!({"metallb.universe.tf/allow-shared-ip": "coredns"});
        object["spec"]["loadBalancerIP"] = json!("172.17.255.2");
        object["spec"]["ports"] = json!([{"port": 53, "protocol": protocol}]);
        let effects = scene.put(&object);
        assert_eq!(ingress(&effects), [pair(name, "172.17.255.2")]);
        assert_eq!(told(&effects), ["IPAllocated", "deprecatedAnnotation"]);
    }
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
