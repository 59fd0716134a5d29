use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use crds::model::compile::{Config, Resources, compile};
use crds::model::ids::ServiceKey;
use serde_json::json;

use super::*;
use crate::engine::Change;
use crate::facts::{NodeFacts, Recorded, ServiceFacts, SliceFacts, Traffic};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ferrolb-memory-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn web() -> ServiceKey {
    ServiceKey::new("default", "web")
}

fn service(uid: &str) -> ServiceFacts {
    ServiceFacts {
        uid: uid.to_owned(),
        addresses: vec![[192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap()],
        pool: Some("pool".into()),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        traffic: Traffic::Local,
    }
}

/// A configuration with something of everything.
fn config() -> Config {
    let object = |kind: &str, spec: serde_json::Value| json!({"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": {"name": "pool"}, "spec": spec});
    let selectors = json!([{"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]}]);
    let pool =
        object("IPAddressPool", json!({"addresses": ["192.0.2.0/24", "2001:db8::-2001:db8::ff"]}));
    let advertisement = object(
        "L2Advertisement",
        json!({"ipAddressPools": ["pool"], "nodeSelectors": selectors, "interfaces": ["eth0"]}),
    );
    let resources = Resources {
        pools: vec![serde_json::from_value(pool).unwrap()],
        advertisements: vec![serde_json::from_value(advertisement).unwrap()],
        ..Resources::default()
    };
    let compiled = compile(&resources, &Config::default());
    assert!(compiled.problems.is_empty(), "{:?}", compiled.problems);
    compiled.config
}

/// One event of every kind that is kept.
fn everything() -> Vec<Event> {
    let slice = SliceFacts { service: web(), usable: true, nodes: ["n1".into()].into() };
    let recorded = Recorded { service: web(), node: "n1".into(), claim: 7, is_ours: true };
    vec![
        Event::Config(config()),
        Event::Services(Change::Replace([(web(), service("u"))].into())),
        Event::Slices(Change::Replace([(ServiceKey::new("default", "web-1"), slice)].into())),
        Event::Nodes(Change::Replace([("n1".into(), NodeFacts::default())].into())),
        Event::Peers(["192.0.2.7:7946".parse().unwrap()].into()),
        Event::Recorded(Change::Replace([("l2-a".to_owned(), recorded)].into())),
    ]
}

fn note(memory: &mut Memory, events: &[Event]) {
    for event in events {
        memory.note(event);
    }
}

#[tokio::test]
async fn what_was_known_is_there_after_a_restart() {
    let folder = Folder::new();
    let mut first = Memory::new(Some(folder.0.clone()));
    assert!(first.recall().is_empty());
    note(&mut first, &everything());
    let later = Event::Services(Change::Set(web(), service("v")));
    first.note(&later);
    first.note(&Event::Shutdown);
    first.finish();
    let mut expected = everything();
    expected[1] = Event::Services(Change::Replace([(web(), service("v"))].into()));
    let mut second = Memory::new(Some(folder.0.clone()));
    assert_eq!(second.recall(), expected);
    assert!(second.recall().is_empty(), "once is enough");
    second.finish();
}

#[tokio::test]
async fn what_the_api_server_tells_is_not_recalled_and_the_rest_stays_in_the_file() {
    let folder = Folder::new();
    let mut first = Memory::new(Some(folder.0.clone()));
    note(&mut first, &everything());
    first.finish();
    let nothing = Event::Services(Change::Replace(BTreeMap::new()));
    let mut second = Memory::new(Some(folder.0.clone()));
    second.note(&nothing);
    let recalled = second.recall();
    assert_eq!(recalled.len(), everything().len() - 1);
    assert!(!recalled.iter().any(|event| matches!(event, Event::Services(_))));
    second.finish();
    let mut third = Memory::new(Some(folder.0.clone()));
    let recalled = third.recall();
    assert_eq!(recalled.len(), everything().len());
    assert!(recalled.contains(&nothing));
    third.finish();
}

#[test]
fn a_file_that_cannot_be_used_is_as_good_as_none() {
    let folder = Folder::new();
    for (content, expected) in [
        ("", "cannot be understood"),
        ("{\"version\": 1, \"written\": 0, \"eve", "cannot be understood"),
        ("{\"version\": 2, \"written\": \"in another way\"}", "version 2"),
        ("{\"version\": 1, \"written\": 0, \"events\": [{\"Weather\": \"rain\"}]}", "Weather"),
    ] {
        fs::write(folder.0.join("state.json"), content).unwrap();
        let error = file::read(&folder.0).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(file::read(Path::new("/nonexistent")).unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_api_server_has_a_while_to_answer() {
    let folder = Folder::new();
    let mut first = Memory::new(Some(folder.0.clone()));
    note(&mut first, &everything());
    first.finish();
    let second = Memory::new(Some(folder.0.clone()));
    let start = Instant::now();
    second.due().await;
    assert_eq!(start.elapsed().as_secs(), PATIENCE.as_secs());
    second.finish();
}
