//! Addresses that no advertisement covers, and those that nobody can announce.

use super::super::silence::PATIENCE;
use super::*;
use crate::reconcile::mover::Unserved;

/// A Service that has its address and is announced, and the rest of its life.
fn served_scene() -> (Scene, Value) {
    let object = served("web", 1, "10.0.0.7", "p");
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], std::slice::from_ref(&object));
    assert_eq!(patches(&scene.work()), []);
    scene.desk.set_unserved(BTreeMap::new(), scene.elapsed);
    assert_eq!(scene.work(), []);
    (scene, object)
}

fn unserved(why: Unserved) -> BTreeMap<ServiceKey, Unserved> {
    BTreeMap::from([(key("web"), why)])
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
fn an_address_that_nobody_can_announce_is_told_of_with_the_reason() {
    for (why, reason, text) in [
        (Unserved::NoEndpoints, "NoEndpoints", "no endpoint is ready"),
        (Unserved::NoSpeaker, "NoSpeaker", "no node has a speaker at work"),
        (Unserved::NoNode, "NoNode", "selected by the L2Advertisements"),
        (Unserved::NoLocalEndpoint, "NoLocalEndpoint", "externalTrafficPolicy is Local"),
    ] {
        let (mut scene, mut object) = served_scene();
        scene.desk.set_unserved(unserved(why), scene.elapsed);
        assert_eq!(scene.work(), []);
        assert_eq!(scene.desk.next_deadline(), Some(PATIENCE));
        scene.elapsed = PATIENCE;
        let effects = scene.work();
        assert_eq!(told(&effects), ["notAnnounced"]);
        let (_, patch) = &patches(&effects)[0];
        let [(kind, found, message)] = said(patch)[..] else { panic!("{patch}") };
        assert_eq!((kind, found), ("ferrolb.io/Announced", reason));
        assert!(message.contains(text) && message.ends_with(": nobody answers for 10.0.0.7"));
        assert_eq!(scene.answer(&mut object, patch), []);

        scene.desk.set_unserved(BTreeMap::new(), scene.elapsed);
        let effects = scene.work();
        assert_eq!(patches(&effects)[0].1["status"], json!({"conditions": []}));
        assert_eq!(told(&effects), Vec::<&str>::new());
    }
}

#[test]
fn pods_that_come_back_soon_spare_the_warning() {
    let (mut scene, _) = served_scene();
    scene.desk.set_unserved(unserved(Unserved::NoEndpoints), scene.elapsed);
    assert_eq!(scene.work(), []);
    scene.elapsed = PATIENCE / 2;
    scene.desk.set_unserved(BTreeMap::new(), scene.elapsed);
    assert_eq!(scene.work(), []);
    scene.elapsed = PATIENCE * 2;
    assert_eq!(scene.work(), []);
}

#[test]
fn a_new_leader_neither_repeats_nor_takes_back_what_the_former_one_said() {
    let (mut scene, mut object) = served_scene();
    scene.desk.set_unserved(unserved(Unserved::NoEndpoints), scene.elapsed);
    scene.work();
    scene.elapsed = PATIENCE;
    let (_, patch) = patches(&scene.work()).remove(0);
    scene.answer(&mut object, &patch);

    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], std::slice::from_ref(&object));
    assert_eq!(patches(&scene.work()), [], "nothing is known of endpoints yet");
    scene.desk.set_unserved(unserved(Unserved::NoEndpoints), scene.elapsed);
    assert_eq!(scene.work(), []);

    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[object]);
    scene.work();
    scene.desk.set_unserved(BTreeMap::new(), scene.elapsed);
    assert_eq!(patches(&scene.work())[0].1["status"], json!({"conditions": []}));
}
