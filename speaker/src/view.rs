//! From Kubernetes objects to facts. No decision is made here, and nothing is kept that none needs.

use std::net::{IpAddr, SocketAddr};

use crds::model::ids::ServiceKey;
use crds::names::ALLOCATED_FROM_POOL;

use crate::facts::{NodeFacts, ServiceFacts, SliceFacts, Traffic};
use crate::objects::{Endpoint, EndpointSlice, Node, Pod, Service};

/// The label that ties an EndpointSlice to its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The facts of a Service that is ours to announce: of type LoadBalancer, and of the class that
/// this installation serves (`class`; none serves those without one). Others give `None`.
pub fn service(object: &Service, class: Option<&str>) -> Option<ServiceFacts> {
    let spec = &object.spec;
    let ours = spec.kind.as_deref() == Some("LoadBalancer")
        && spec.load_balancer_class.as_deref() == class
        && object.metadata.deletion_timestamp.is_none();
    if !ours {
        return None;
    }
    let local = spec.external_traffic_policy.as_deref() == Some("Local");
    Some(ServiceFacts {
        uid: object.metadata.uid.clone().unwrap_or_default(),
        addresses: addresses(object),
        pool: annotation(object, ALLOCATED_FROM_POOL).map(Into::into),
        labels: object.metadata.labels.clone().unwrap_or_default(),
        traffic: if local { Traffic::Local } else { Traffic::Cluster },
    })
}

fn annotation<'a>(object: &'a Service, key: &str) -> Option<&'a str> {
    object.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The addresses in a Service's status; entries that are no addresses are left out.
fn addresses(object: &Service) -> Vec<IpAddr> {
    let ingress = object.status.load_balancer.ingress.as_deref().unwrap_or_default();
    ingress.iter().filter_map(|entry| entry.ip.as_deref()?.parse().ok()).collect()
}

/// The facts of an EndpointSlice; `None` for one that belongs to no Service.
pub fn slice(object: &EndpointSlice) -> Option<SliceFacts> {
    let name = object.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let usable = object.endpoints.iter().flatten().filter(|endpoint| is_usable(endpoint));
    let nodes = usable.clone().filter_map(|endpoint| endpoint.node_name.as_deref());
    Some(SliceFacts {
        service: ServiceKey::new(namespace, name),
        nodes: nodes.map(Into::into).collect(),
        usable: usable.count() > 0,
    })
}

/// Ready (which is what no word about it means), or still serving while it terminates.
fn is_usable(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    conditions.is_none_or(|conditions| {
        conditions.ready.unwrap_or(true) || conditions.serving.unwrap_or(false)
    })
}

/// The facts of a node.
pub fn node(object: &Node) -> NodeFacts {
    let mut conditions = object.status.conditions.iter().flatten();
    let unavailable = conditions
        .any(|condition| condition.kind == "NetworkUnavailable" && condition.status == "True");
    NodeFacts {
        labels: object.metadata.labels.clone().unwrap_or_default(),
        network_unavailable: unavailable,
        draining: false,
    }
}

/// Where the speaker in `object` receives mesh datagrams; `None` while it has no address, and when
/// it has ended for good.
pub fn peer(object: &Pod, port: u16) -> Option<SocketAddr> {
    let status = &object.status;
    if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        return None;
    }
    let ip: IpAddr = status.pod_ip.as_deref()?.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn object<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn balancer(spec: &Value) -> Service {
        let ingress =
            json!([{"ip": "192.0.2.1", "ipMode": "VIP"}, {"hostname": "x"}, {"ip": "fc00::1"}]);
        object(json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "labels": {"a": "b"}, "annotations": {ALLOCATED_FROM_POOL: "p"}},
            "spec": spec,
            "status": {"loadBalancer": {"ingress": ingress}},
        }))
    }

    #[test]
    fn a_service_of_our_class_is_ours() {
        for (spec, class, ours) in [
            (json!({"type": "LoadBalancer"}), None, true),
            (json!({"type": "LoadBalancer"}), Some("x"), false),
            (json!({"type": "LoadBalancer", "loadBalancerClass": "x"}), None, false),
            (json!({"type": "LoadBalancer", "loadBalancerClass": "x"}), Some("x"), true),
            (json!({"type": "LoadBalancer", "loadBalancerClass": "y"}), Some("x"), false),
            (json!({"type": "NodePort"}), None, false),
            (json!({}), None, false),
        ] {
            assert_eq!(service(&balancer(&spec), class).is_some(), ours, "{spec} {class:?}");
        }
    }

    #[test]
    fn addresses_come_from_the_status_in_their_order() {
        let facts = service(&balancer(&json!({"type": "LoadBalancer"})), None).unwrap();
        let expected: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "fc00::1".parse().unwrap()];
        assert_eq!(facts.addresses, expected);
        assert_eq!(facts.pool, Some("p".into()));
        assert_eq!(facts.traffic, Traffic::Cluster);
        let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"});
        assert_eq!(service(&balancer(&local), None).unwrap().traffic, Traffic::Local);
    }

    #[test]
    fn endpoints_count_when_ready_or_serving_and_ready_is_the_default() {
        for (conditions, usable) in [
            (json!(null), true),
            (json!({}), true),
            (json!({"ready": true}), true),
            (json!({"ready": false}), false),
            (json!({"ready": false, "serving": true, "terminating": true}), true),
            (json!({"ready": false, "serving": false}), false),
        ] {
            let endpoint =
                json!({"addresses": ["10.0.0.1"], "nodeName": "n1", "conditions": conditions});
            let facts = slice(&object(json!({
                "metadata": {"name": "web-1", "namespace": "default", "labels": {SERVICE_NAME: "web"}},
                "addressType": "IPv4",
                "endpoints": [endpoint],
            })))
            .unwrap();
            assert_eq!(facts.service, ServiceKey::new("default", "web"));
            assert_eq!(
                (facts.usable, facts.nodes.len()),
                (usable, usize::from(usable)),
                "{conditions}"
            );
        }
    }

    #[test]
    fn an_endpoint_without_a_node_counts_but_nowhere_in_particular() {
        let facts = slice(&object(json!({
            "metadata": {"labels": {SERVICE_NAME: "web"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"]}],
        })))
        .unwrap();
        assert!(facts.usable && facts.nodes.is_empty());
    }

    #[test]
    fn a_node_without_network_says_so() {
        for (status, unavailable) in [("True", true), ("False", false), ("Unknown", false)] {
            let facts = node(&object(json!({
                "metadata": {}, "status": {"conditions": [{"type": "NetworkUnavailable", "status": status}]},
            })));
            assert_eq!(facts.network_unavailable, unavailable, "{status}");
        }
    }

    #[test]
    fn a_peer_is_a_pod_with_an_address_that_has_not_ended() {
        for (status, found) in [
            (json!({"podIP": "192.0.2.7", "phase": "Running"}), true),
            (json!({"podIP": "192.0.2.7", "phase": "Pending"}), true),
            (json!({"podIP": "192.0.2.7", "phase": "Failed"}), false),
            (json!({"phase": "Pending"}), false),
        ] {
            let pod: Pod = object(json!({"metadata": {}, "status": status}));
            let expected = found.then(|| "192.0.2.7:7946".parse().unwrap());
            assert_eq!(peer(&pod, 7946), expected, "{status}");
        }
    }
}
