//! What moves depend on, and how it is read from objects. No decision is made here.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crds::api::v1alpha1::{MoveOrder, Speaker, SpeakerState};
use crds::api::v1beta1::ServiceL2Status;
use crds::model::ids::{NodeName, PoolName, ServiceKey};
use crds::model::selector::Labels;
use crds::names::{CLAIM, DRAIN, EXCLUDE_FROM_LOAD_BALANCERS};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

use crate::reconcile::objects::{Endpoint, EndpointSlice, Node};
use crate::view::{Asks, Facts};

/// The label that ties an EndpointSlice to its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A Service that has an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceFacts {
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) pool: Option<PoolName>,
    pub(super) labels: Labels,
    pub(super) is_local: bool,
}

/// One EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceFacts {
    /// Its own namespace and name.
    pub(super) key: ServiceKey,
    /// The Service it belongs to; `None`: to none.
    pub(super) service: Option<ServiceKey>,
    /// Whether it has a usable endpoint at all, on a node or not.
    pub(super) is_usable: bool,
    /// The nodes that have a usable endpoint.
    pub(super) nodes: BTreeSet<NodeName>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    pub(in crate::reconcile) name: NodeName,
    pub(super) labels: Labels,
    /// It is ready, has a network, and is not marked for draining.
    pub(super) is_fit: bool,
    /// It carries Kubernetes' label that keeps load balancers off.
    pub(super) is_excluded: bool,
}

/// Who announces a Service, by its speaker's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusFacts {
    /// The object's name.
    pub(super) name: String,
    /// The Service and the announcing node; `None` while it has no status.
    pub(super) says: Option<(ServiceKey, NodeName)>,
    /// The number of the claim; `None` if it does not say.
    pub(super) claim: Option<u64>,
}

/// What a speaker says of itself, as far as moves go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeakerFacts {
    pub(super) node: NodeName,
    pub(super) version: Option<String>,
    pub(super) is_active: bool,
    /// How often it lost touch with the network and came back.
    pub(super) returns: u64,
    /// The interfaces that it can announce on.
    pub(super) links: BTreeSet<String>,
    /// What it has been ordered.
    pub(super) orders: Vec<MoveOrder>,
}

/// The facts of a Service that asks us for an address and has one; others give `None`.
pub(super) fn service(facts: &Facts) -> Option<ServiceFacts> {
    let Asks::Address(request) = &facts.asks else {
        return None;
    };
    let addresses: BTreeSet<IpAddr> = facts.held.addresses.iter().copied().collect();
    (!addresses.is_empty()).then(|| ServiceFacts {
        addresses,
        pool: facts.held.pool.clone(),
        labels: request.labels.clone(),
        is_local: facts.is_local,
    })
}

/// The facts of an EndpointSlice.
pub fn slice(object: EndpointSlice) -> SliceFacts {
    let metadata = &object.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let service = metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
    let usable = object.endpoints.iter().flatten().filter(|endpoint| is_usable(endpoint));
    let nodes = usable.clone().filter_map(|endpoint| endpoint.node_name.as_deref());
    let facts = SliceFacts {
        key: key_of(metadata),
        service: service.map(|name| ServiceKey::new(namespace, name)),
        nodes: nodes.map(Into::into).collect(),
        is_usable: usable.count() > 0,
    };
    drop(object);
    facts
}

/// Ready (which is what no word about it means), or still serving while it terminates.
fn is_usable(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    conditions.is_none_or(|conditions| {
        conditions.ready.unwrap_or(true) || conditions.serving.unwrap_or(false)
    })
}

/// The facts of a node.
pub fn node(object: Node) -> NodeFacts {
    let conditions = object.status.conditions.unwrap_or_default();
    let is_true = |kind| conditions.iter().any(|one| one.kind == kind && one.status == "True");
    let labels = object.metadata.labels.unwrap_or_default();
    let annotations = object.metadata.annotations.unwrap_or_default();
    let mut marks = labels.get(DRAIN).into_iter().chain(annotations.get(DRAIN));
    let is_draining = marks.any(|value| value != "false");
    NodeFacts {
        name: object.metadata.name.unwrap_or_default().into(),
        is_fit: is_true("Ready") && !is_true("NetworkUnavailable") && !is_draining,
        is_excluded: labels.contains_key(EXCLUDE_FROM_LOAD_BALANCERS),
        labels,
    }
}

/// The facts of a status object.
pub fn status(object: ServiceL2Status) -> StatusFacts {
    let claim = object.annotations().get(CLAIM).and_then(|text| text.parse().ok());
    let status = object.status.unwrap_or_default();
    let service = status.service_namespace.zip(status.service_name);
    let says = service.zip(status.node);
    StatusFacts {
        name: object.metadata.name.unwrap_or_default(),
        says: says.map(|((namespace, name), node)| (ServiceKey::new(namespace, name), node.into())),
        claim,
    }
}

/// The facts of a speaker.
pub fn speaker(object: &Speaker) -> SpeakerFacts {
    let status = object.status.as_ref();
    SpeakerFacts {
        node: object.name_any().into(),
        version: object.resource_version(),
        is_active: status.and_then(|status| status.state) == Some(SpeakerState::Active),
        returns: status.map_or(0, |status| status.returns),
        links: status
            .map(|status| status.links.iter().map(|link| link.name.clone()).collect())
            .unwrap_or_default(),
        orders: object.spec.orders.clone(),
    }
}

pub(super) fn key_of(metadata: &ObjectMeta) -> ServiceKey {
    let namespace = metadata.namespace.clone().unwrap_or_default();
    ServiceKey::new(namespace, metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn object<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_node_is_fit_when_ready_with_a_network_and_not_draining() {
        let ready = json!({"type": "Ready", "status": "True"});
        let cut = json!({"type": "NetworkUnavailable", "status": "True"});
        for (metadata, conditions, is_fit) in [
            (json!({}), json!([ready]), true),
            (json!({}), json!([]), false),
            (json!({}), json!([{"type": "Ready", "status": "Unknown"}]), false),
            (json!({}), json!([ready, cut]), false),
            (json!({"labels": {DRAIN: ""}}), json!([ready]), false),
            (json!({"annotations": {DRAIN: "true"}}), json!([ready]), false),
            (json!({"annotations": {DRAIN: "false"}}), json!([ready]), true),
        ] {
            let text = format!("{metadata} {conditions}");
            let object =
                object(json!({"metadata": metadata, "status": {"conditions": conditions}}));
            assert_eq!(node(object).is_fit, is_fit, "{text}");
        }
    }

    #[test]
    fn a_cordoned_or_tainted_node_is_as_fit_as_another() {
        let conditions = json!([{"type": "Ready", "status": "True"}]);
        let taint = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
        let plain = json!({"metadata": {"name": "n1"}, "status": {"conditions": conditions}});
        for spec in [
            json!({"unschedulable": true, "taints": [taint]}),
            json!({"taints": [{"key": "dedicated", "effect": "NoExecute"}]}),
        ] {
            let mut other = plain.clone();
            other["spec"] = spec;
            let facts = node(object(other));
            assert!(facts.is_fit, "{facts:?}");
            assert_eq!(facts, node(object(plain.clone())));
        }
    }

    #[test]
    fn a_status_says_who_announces_and_under_which_claim() {
        let said = |annotations: Value| {
            status(object(json!({
                "apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status",
                "metadata": {"name": "l2-x", "annotations": annotations},
                "spec": {},
                "status": {"node": "n1", "serviceName": "web", "serviceNamespace": "default"},
            })))
        };
        let facts = said(json!({CLAIM: "7"}));
        assert_eq!(facts.says, Some((ServiceKey::new("default", "web"), "n1".into())));
        assert_eq!(facts.claim, Some(7));
        assert_eq!(said(json!({CLAIM: "x"})).claim, None);
        assert_eq!(said(json!({})).claim, None);
    }

    #[test]
    fn endpoints_count_when_ready_or_serving() {
        let endpoints = json!([
            {"nodeName": "n1"},
            {"nodeName": "n2", "conditions": {"ready": false}},
            {"nodeName": "n3", "conditions": {"ready": false, "serving": true}},
        ]);
        let metadata = json!({
            "name": "web-1", "namespace": "default", "labels": {SERVICE_NAME: "web"},
        });
        let facts = slice(object(json!({"metadata": metadata, "endpoints": endpoints})));
        assert_eq!(facts.nodes, ["n1".into(), "n3".into()].into());
        assert!(facts.is_usable);
        assert_eq!(facts.service, Some(ServiceKey::new("default", "web")));
    }
}
