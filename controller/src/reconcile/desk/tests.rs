//! A desk, what a test gives it, and what it reads off it. The tests are in the modules, by subject.

use crds::api::v1beta1::{IPAddressPoolStatus, L2AdvertisementSpec};
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{ip, key};
use crate::view;

mod announced;
mod conflicts;
mod log;
mod pools;
mod service;
mod startup;

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

    /// Puts in a Service that gets nothing, and lets it say so.
    fn refuse(&mut self, mut object: Value) -> Vec<Effect> {
        let effects = self.put(&object);
        let (_, patch) = &patches(&effects)[0];
        assert_eq!(self.answer(&mut object, patch), []);
        effects
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

/// The addresses that patches write, where they write any or take them away.
fn ingress(effects: &[Effect]) -> Vec<(String, String)> {
    let text = |patch: &Value| {
        let list = patch["status"]["loadBalancer"]["ingress"].as_array();
        let ips = list.into_iter().flatten().map(|entry| entry["ip"].as_str().unwrap());
        ips.collect::<Vec<_>>().join(",")
    };
    let of_addresses = patches(effects).into_iter().filter(|(_, patch)| {
        let status = patch["status"].as_object();
        status.is_some_and(|status| status.contains_key("loadBalancer"))
    });
    of_addresses.map(|(name, patch)| (name, text(&patch))).collect()
}

/// Type, reason and message of each condition that a patch writes.
fn said(patch: &Value) -> Vec<(&str, &str, &str)> {
    let conditions = patch["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .map(|one| {
            assert_eq!(one["status"], "False");
            let text = |name: &str| one[name].as_str().unwrap();
            (text("type"), text("reason"), text("message"))
        })
        .collect()
}

fn told(effects: &[Effect]) -> Vec<&'static str> {
    let reason = |effect: &Effect| match effect {
        Effect::Tell(event) => Some(event.reason),
        Effect::Patch(..) | Effect::Report(_) => None,
    };
    effects.iter().filter_map(reason).collect()
}

/// The Events, each as its reason and its message.
fn texts(effects: &[Effect]) -> Vec<String> {
    let text = |effect: &Effect| match effect {
        Effect::Tell(event) => Some(format!("{}: {}", event.reason, event.message)),
        Effect::Patch(..) | Effect::Report(_) => None,
    };
    effects.iter().filter_map(text).collect()
}

fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}
