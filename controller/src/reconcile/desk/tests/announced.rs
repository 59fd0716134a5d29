//! Addresses that no advertisement covers.

use super::*;

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
