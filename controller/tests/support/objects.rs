//! Objects of a small cluster, and the paths of their lists.
#![allow(dead_code, reason = "some tests need some of it")]

use std::time::Duration;

use serde_json::{Value, json};

use super::fake_api::{merge, version};

pub const SERVICES: &str = "/api/v1/services";
pub const NODES: &str = "/api/v1/nodes";
pub const POOLS: &str = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools";
pub const ADVERTISEMENTS: &str =
    "/apis/metallb.io/v1beta1/namespaces/metallb-system/l2advertisements";
pub const STATUSES: &str = "/apis/metallb.io/v1beta1/namespaces/metallb-system/servicel2statuses";
pub const SPEAKERS: &str = "/apis/ferrolb.io/v1alpha1/namespaces/metallb-system/speakers";

/// Longer than the loop waits for anything but a node.
pub const QUIET: Duration = Duration::from_secs(30);

/// A Service that asks for an address.
pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": name, "namespace": "default", "uid": format!("uid-{name}"),
            "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"],
            "ports": [{"port": 80, "protocol": "TCP"}],
        },
    })
}

/// One that has `address`, from `pool`.
pub fn served(name: &str, address: &str, pool: &str) -> Value {
    let mut object = service(name);
    object["metadata"]["annotations"] = json!({"metallb.io/ip-allocated-from-pool": pool});
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}});
    object
}

pub fn pool(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": {"name": name, "namespace": "metallb-system", "resourceVersion": "2"},
        "spec": spec,
    })
}

/// An advertisement; `spec` empty, of all pools.
pub fn advertisement(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
        "metadata": {"name": name, "namespace": "metallb-system", "resourceVersion": "3"},
        "spec": spec,
    })
}

/// `object` as it is after a user put `change` into it, however often we wrote it meanwhile.
pub fn changed(object: &Value, change: &Value) -> Value {
    let mut object = object.clone();
    merge(&mut object, change);
    object["metadata"]["resourceVersion"] = json!((version(&object) + 10).to_string());
    object
}
