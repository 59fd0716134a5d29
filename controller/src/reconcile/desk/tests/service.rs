//! One Service's life: its patches, its Events, and what comes in between.

use super::*;

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
fn what_is_taken_back_is_told_once_though_the_write_has_to_be_repeated() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let mut wants = served("web", 9, "10.0.0.7", "p");
    wants["metadata"]["annotations"]["metallb.io/address-pool"] = json!("nowhere");
    let effects = scene.put(&wants);
    assert_eq!((told(&effects), patches(&effects).len()), (vec!["AllocationFailed"], 1));
    let cleared = |scene: &mut Scene| scene.desk.take_happened().cleared;
    assert_eq!(cleared(&mut scene), [("differentPoolRequested", 1)].into());
    for _ in 0..2 {
        scene.desk.written(&key("web"), Written::Failed(SECOND), scene.elapsed);
        scene.elapsed += SECOND;
        let effects = scene.work();
        assert_eq!((told(&effects), patches(&effects).len()), (vec![], 1));
        assert_eq!(cleared(&mut scene), [].into());
    }
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
fn a_status_that_somebody_edits_is_put_right() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let effects = scene.put(&served("web", 9, "10.0.0.8", "p"));
    assert_eq!(ingress(&effects), [pair("web", "10.0.0.7")]);
}

/// MetalLB's allocator has texts of its own for these, `more than two addresses` and `has the same
/// family`, which nobody ever sees: what is asked for and what is held is judged before.
#[test]
fn more_than_two_addresses_and_two_of_one_family_are_told_by_metallbs_text() {
    for (asked, text) in [
        (
            &["10.0.0.1", "fc00::1", "fc00::2"][..],
            "IPFamilyForAddresses: invalid ips length 3 [\"10.0.0.1\" \"fc00::1\" \"fc00::2\"]",
        ),
        (
            &["10.0.0.1", "10.0.0.2"],
            "IPFamilyForAddresses: same address family [\"10.0.0.1\" \"10.0.0.2\"]",
        ),
    ] {
        let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[]);
        scene.work();
        let mut object = service("asks", 5);
        object["metadata"]["annotations"] = json!({"metallb.io/loadBalancerIPs": asked.join(",")});
        let failed = format!("LoadBalancerFailed: invalid requested loadbalancer IPs: {text}");
        let effects = scene.put(&object);
        assert_eq!((texts(&effects), ingress(&effects)), (vec![failed], vec![]));

        // Held: by the hand of somebody who wrote the status.
        let mut object = service("has", 6);
        let entries: Vec<_> = asked.iter().map(|ip| json!({"ip": ip})).collect();
        object["status"] = json!({"loadBalancer": {"ingress": entries}});
        let quoted = crate::alloc::refusal::quoted(&crate::fixtures::ips(asked));
        let lost =
            format!("nolbIPsIPFamily: Failed to retrieve LBIPs IPFamily for {quoted}: {text}");
        let given = "IPAllocated: Assigned IP [\"10.0.0.0\"]".to_owned();
        let effects = scene.put(&object);
        assert_eq!(texts(&effects), [lost, given]);
        assert_eq!(ingress(&effects), [pair("has", "10.0.0.0")]);
    }
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

#[test]
fn a_service_before_its_pool_is_told_once_and_served_when_the_pool_comes() {
    let mut scene = Scene::new(&[], &[]);
    scene.work();
    let mut object = service("web", 5);
    let effects = scene.put(&object);
    assert_eq!(told(&effects), ["AllocationFailed"]);
    let (_, patch) = &patches(&effects)[0];
    assert_eq!(said(patch), [("ferrolb.io/Allocated", "NoPool", "no available IPs")]);
    assert_eq!(patch["status"].get("loadBalancer"), None);
    assert_eq!(scene.answer(&mut object, patch), []);
    object["metadata"]["resourceVersion"] = json!("2000");
    assert_eq!(scene.put(&object), []);
    let effects = scene.pools(Change::Put(pool("p", 7, "10.0.0.0/24")));
    assert_eq!(ingress(&effects), [pair("web", "10.0.0.0")]);
    assert_eq!(told(&effects), ["IPAllocated"]);
    assert_eq!(patches(&effects)[0].1["status"]["conditions"], json!([]));
}

#[test]
fn a_service_that_was_refused_and_asks_no_more_says_nothing_any_more() {
    let mut scene = Scene::new(&[], &[]);
    scene.work();
    let mut object = service("web", 5);
    let (_, patch) = patches(&scene.put(&object)).remove(0);
    scene.answer(&mut object, &patch);
    object["spec"]["type"] = json!("ClusterIP");
    object["metadata"]["resourceVersion"] = json!("2000");
    let effects = scene.put(&object);
    assert_eq!(patches(&effects)[0].1["status"], json!({"conditions": []}));
}

#[test]
fn one_that_wants_another_class_now_keeps_what_its_status_says() {
    let mut scene = Scene::new(&[], &[]);
    scene.work();
    let mut object = service("web", 5);
    let (_, patch) = patches(&scene.put(&object)).remove(0);
    scene.answer(&mut object, &patch);
    object["spec"]["loadBalancerClass"] = json!("example.com/other");
    object["metadata"]["resourceVersion"] = json!("2000");
    assert_eq!(scene.put(&object), []);
}

#[test]
fn a_full_pool_serves_who_waits_longest_as_soon_as_there_is_room() {
    let mut scene = Scene::new(&[("p", "10.0.0.1/32")], &[served("a", 1, "10.0.0.1", "p")]);
    scene.work();
    let mut patient = service("z-first", 5);
    patient["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
    scene.refuse(service("b-second", 4));
    scene.refuse(patient);
    let effects = scene.delete("a");
    assert_eq!(ingress(&effects), [pair("z-first", "10.0.0.1")]);
    assert_eq!(told(&effects), ["IPAllocated"]);
}
