//! Addresses that somebody else answers for.

use super::*;

const MAC: &str = "02:00:00:00:00:99";

fn reported(node: &str, conflicts: &Value) -> Reported {
    let links = json!([{"name": "eth0", "mac": format!("02:00:00:00:00:0{}", &node[1..])}]);
    let object = json!({
        "apiVersion": "ferrolb.io/v1alpha1", "kind": "Speaker",
        "metadata": {"name": node},
        "spec": {},
        "status": {"state": "Active", "links": links, "conflicts": conflicts},
    });
    Reported::of(&serde_json::from_value(object).unwrap())
}

fn conflict(address: &str, mac: &str, kind: &str, served: bool) -> Value {
    json!({"address": address, "mac": mac, "interface": "eth0", "served": served, "kind": kind})
}

fn foreign(address: &str) -> Value {
    conflict(address, MAC, "Foreign", false)
}

impl Scene {
    fn report(&mut self, node: &str, conflicts: &Value) -> Vec<Effect> {
        self.desk.take(Input::Speakers(Change::Put(reported(node, conflicts))));
        self.work()
    }

    fn after(&mut self, time: Duration) -> Vec<Effect> {
        self.elapsed += time;
        self.work()
    }
}

/// A Service that was just given 10.0.0.1, with a few more in the pool.
fn scene() -> (Scene, Value) {
    let mut scene = Scene::new(&[("p", "10.0.0.1-10.0.0.9")], &[]);
    scene.work();
    let mut object = service("web", 5);
    let effects = scene.put(&object);
    let (_, patch) = &patches(&effects)[0];
    scene.answer(&mut object, patch);
    (scene, object)
}

fn messages(effects: &[Effect]) -> Vec<String> {
    let message = |effect: &Effect| match effect {
        Effect::Tell(event) if event.reason == "AddressConflict" => Some(event.message.clone()),
        Effect::Tell(_) | Effect::Patch(..) | Effect::Report(_) => None,
    };
    effects.iter().filter_map(message).collect()
}

fn condition(effects: &[Effect]) -> Vec<(String, String)> {
    let patches = patches(effects);
    let conditions =
        patches.iter().filter_map(|(_, patch)| patch["status"]["conditions"].as_array());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    conditions.flatten().map(|one| (text(&one["reason"]), text(&one["message"]))).collect()
}

#[test]
fn an_address_that_was_never_in_use_is_exchanged_and_set_aside() {
    let (mut scene, mut object) = scene();
    let effects = scene.report("n1", &json!([foreign("10.0.0.1")]));
    assert_eq!(ingress(&effects), [pair("web", "10.0.0.2")]);
    assert_eq!(told(&effects), ["AddressConflict", "IPAllocated"]);
    let message = "another host with MAC 02:00:00:00:00:99 answers for 10.0.0.1, seen from node \
        \"n1\" on interface eth0: the Service gets 10.0.0.2 instead";
    assert_eq!(messages(&effects), [message]);
    assert_eq!(condition(&effects), []);
    let (_, patch) = &patches(&effects)[0];
    assert_eq!(scene.answer(&mut object, patch), []);
    // Nobody gets it, though all others are taken.
    for number in 3..=9 {
        let effects = scene.put(&service(&format!("s{number}"), number));
        assert_eq!(ingress(&effects)[0].1, format!("10.0.0.{number}"));
    }
    assert_eq!(told(&scene.refuse(service("last", 20))), ["AllocationFailed"]);
    // Not even for a while after the other host went.
    assert_eq!(scene.report("n1", &json!([])), []);
    assert_eq!(scene.after(599 * SECOND), []);
    assert_eq!(ingress(&scene.after(SECOND)), [pair("last", "10.0.0.1")]);
}

#[test]
fn an_address_that_is_in_use_is_kept_and_the_service_says_so_while_it_lasts() {
    let (mut scene, mut object) = scene();
    let reports = json!([conflict("10.0.0.1", MAC, "Foreign", true)]);
    let effects = scene.report("n1", &reports);
    assert_eq!(ingress(&effects), [], "no address in the patch");
    let said = condition(&effects);
    assert_eq!(said[0].0, "AddressConflict");
    assert!(said[0].1.contains(MAC) && said[0].1.ends_with("since it has been in use"));
    assert_eq!(told(&effects), ["AddressConflict"]);
    let (_, patch) = &patches(&effects)[0];
    assert_eq!(scene.answer(&mut object, patch), []);
    // The same again, and from another node: no news.
    assert_eq!(scene.report("n1", &reports), []);
    assert_eq!(scene.report("n2", &reports), []);
    let effects = scene.report("n1", &json!([]));
    assert_eq!(told(&effects), [] as [&str; 0]);
    assert!(condition(&effects)[0].1.contains("seen from node \"n2\""));
    let effects = scene.report("n2", &json!([]));
    assert_eq!(patches(&effects), [], "a write is under way");
    let mut object = served("web", 3000, "10.0.0.1", "p");
    object["status"]["conditions"] = json!([{
        "type": "ferrolb.io/Announced", "status": "False", "reason": "AddressConflict",
        "message": "x", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    let effects = scene.answer(&mut object, &json!({}));
    assert_eq!(patches(&effects)[0].1["status"]["conditions"], json!([]));
}

#[test]
fn an_address_that_another_program_gave_before_the_first_controller_is_never_exchanged() {
    // As seconds since 1970: when Services are made here is the beginning of 2026.
    const MADE: i64 = 1_767_225_600;
    for (installed, is_kept) in [(Some(MADE + 1), true), (Some(MADE), false), (None, false)] {
        let mut scene = Scene::new(&[("p", "10.0.0.1-10.0.0.9")], &[]);
        scene.desk.installed = installed;
        let services = vec![facts(&served("web", 5, "10.0.0.1", "p"))];
        scene.desk.take(Input::Services(listed(services)));
        assert_eq!(scene.work(), [Effect::Report(Vec::new())]);
        let effects = scene.report("n1", &json!([foreign("10.0.0.1")]));
        let kept = messages(&effects)[0].ends_with("since it has been in use");
        assert_eq!(kept, is_kept, "{installed:?}: {effects:?}");
        let effects = scene.report("n1", &json!([conflict("10.0.0.1", MAC, "Member", false)]));
        assert!(ingress(&effects).iter().all(|(_, ip)| ip.is_empty()), "{effects:?}");
    }
}

#[test]
fn one_speaker_that_had_announced_it_is_enough_to_keep_it() {
    let (mut scene, _) = scene();
    scene.desk.take(Input::Speakers(Change::Put(reported("n1", &json!([foreign("10.0.0.1")])))));
    let served = json!([conflict("10.0.0.1", MAC, "Foreign", true)]);
    let effects = scene.report("n2", &served);
    assert!(messages(&effects)[0].ends_with("since it has been in use"), "{effects:?}");
}

#[test]
fn an_address_that_was_asked_for_is_kept() {
    let mut scene = Scene::new(&[("p", "10.0.0.1-10.0.0.9")], &[]);
    scene.work();
    let mut object = service("web", 5);
    object["spec"]["loadBalancerIP"] = json!("10.0.0.1");
    let effects = scene.put(&object);
    scene.answer(&mut object, &patches(&effects)[0].1);
    let effects = scene.report("n1", &json!([foreign("10.0.0.1")]));
    assert!(messages(&effects)[0].ends_with("asks for this address and keeps it"));
    assert_eq!(condition(&effects)[0].0, "AddressConflict");
}

#[test]
fn a_node_that_answers_without_a_claim_is_named_and_nothing_is_exchanged() {
    let (mut scene, _) = scene();
    scene.report("n2", &json!([]));
    // Whatever the speaker that heard it takes it for.
    for kind in ["Member", "Foreign"] {
        let effects =
            scene.report("n1", &json!([conflict("10.0.0.1", "02:00:00:00:00:02", kind, false)]));
        if kind == "Member" {
            assert_eq!(condition(&effects)[0].0, "UnclaimedAnswer");
            assert!(
                messages(&effects)[0].starts_with("node \"n2\" with MAC 02:00:00:00:00:02 answers")
            );
            assert!(messages(&effects)[0].ends_with("without strictARP"));
        } else {
            assert_eq!(effects, []);
        }
    }
    assert!(!scene.desk.ledger().is_aside(ip("10.0.0.1")));
}

#[test]
fn a_router_that_answers_for_everything_is_met_three_times_only() {
    let (mut scene, mut object) = scene();
    let all: Vec<Value> =
        (1..=9).map(|number| format!("10.0.0.{number}")).map(|a| foreign(&a)).collect();
    for number in 1..=3 {
        let effects = scene.report("n1", &json!(all[..number]));
        assert_eq!(ingress(&effects)[0].1, format!("10.0.0.{}", number + 1));
        scene.answer(&mut object, &patches(&effects)[0].1);
    }
    let effects = scene.report("n1", &json!(all));
    assert!(messages(&effects)[0].ends_with("since 3 were exchanged before"));
    scene.answer(&mut object, &patches(&effects)[0].1);
    assert_eq!(scene.after(3600 * SECOND), []);
}

#[test]
fn a_pool_exchanges_ten_addresses_a_minute() {
    let services: Vec<Value> =
        (1..=12).map(|n| served(&format!("s{n:02}"), n, &format!("10.0.0.{n}"), "p")).collect();
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &services);
    scene.work();
    let all: Vec<Value> = (1..=12).map(|number| foreign(&format!("10.0.0.{number}"))).collect();
    let effects = scene.report("n1", &json!(all));
    let exchanged =
        |effects: &[Effect]| ingress(effects).iter().filter(|(_, ip)| !ip.is_empty()).count();
    assert_eq!(exchanged(&effects), 10);
    assert_eq!(condition(&effects).len(), 2);
    for (name, patch) in patches(&effects) {
        let number: u64 = name[1..].parse().unwrap();
        let mut object = served(&name, number, &format!("10.0.0.{number}"), "p");
        scene.answer(&mut object, &patch);
    }
    assert_eq!(scene.after(59 * SECOND), []);
    assert_eq!(exchanged(&scene.after(SECOND)), 2);
}

#[test]
fn with_no_other_address_it_is_kept_until_there_is_one() {
    let mut scene = Scene::new(&[("p", "10.0.0.1/32")], &[served("web", 1, "10.0.0.1", "p")]);
    scene.work();
    let effects = scene.report("n1", &json!([foreign("10.0.0.1")]));
    assert!(messages(&effects)[0].ends_with("there is no other: no available IPs"), "{effects:?}");
    let mut object = served("web", 1, "10.0.0.1", "p");
    scene.answer(&mut object, &patches(&effects)[0].1);
    let effects = scene.pools(Change::Put(pool("p", 2, "10.0.0.0/24")));
    assert_eq!(ingress(&effects), [pair("web", "10.0.0.0")]);
}

#[test]
fn a_new_leader_repeats_no_event() {
    let mut object = served("web", 1, "10.0.0.1", "p");
    let mut scene = Scene::new(&[("p", "10.0.0.1-10.0.0.9")], &[object.clone()]);
    let reports = json!([conflict("10.0.0.1", MAC, "Foreign", true)]);
    scene.work();
    let effects = scene.report("n1", &reports);
    scene.answer(&mut object, &patches(&effects)[0].1);
    let mut next = Scene::new(&[("p", "10.0.0.1-10.0.0.9")], &[object]);
    next.desk.take(Input::Speakers(Change::Put(reported("n1", &reports))));
    let effects = next.work();
    assert_eq!((told(&effects), patches(&effects)), (Vec::new(), Vec::new()));
}
