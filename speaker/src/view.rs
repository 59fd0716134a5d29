//! From Kubernetes objects to facts. No decision is made here, and nothing is kept that none needs.

use std::net::{IpAddr, SocketAddr};

use crds::api::v1alpha1::{MoveOrder, Speaker};
use crds::api::v1beta1::ServiceL2Status;
use crds::model::ids::ServiceKey;
use crds::names::{ALLOCATED_FROM_POOL, CLAIM, DRAIN, l2_status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::facts::{NodeFacts, Order, Recorded, ServiceFacts, SliceFacts, SpeakerFacts, Traffic};
use crate::limits;
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
        draining: is_draining(&object.metadata),
    }
}

/// Whether a node carries our drain mark: as a label, which is shorter to type, or as an annotation,
/// which selects nothing.
fn is_draining(metadata: &ObjectMeta) -> bool {
    let marks = [&metadata.labels, &metadata.annotations];
    let mut values = marks.into_iter().flatten().filter_map(|marks| marks.get(DRAIN));
    values.any(|value| value != "false")
}

/// Who announced a Service by the record `object`; `None` for one that names no Service or no node.
pub fn recorded(object: &ServiceL2Status) -> Option<Recorded> {
    let node = object.metadata.labels.as_ref()?.get(l2_status::NODE)?;
    Some(Recorded {
        service: subject(&object.metadata)?,
        node: node.as_str().into(),
        claim: claim(&object.metadata),
        is_ours: maker(&object.metadata) == Maker::Us,
    })
}

/// Who made a ServiceL2Status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// A speaker of ours: it carries our annotation, or belongs to a DaemonSet.
    Us,
    /// Another program, to which it belongs: MetalLB's are owned by the Pod of the speaker.
    Other,
    /// Nobody that is there.
    Nobody,
}

/// Who made the ServiceL2Status with this metadata.
pub fn maker(metadata: &ObjectMeta) -> Maker {
    let annotations = metadata.annotations.as_ref();
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let is_marked = annotations.is_some_and(|annotations| annotations.contains_key(CLAIM));
    if is_marked || owners.iter().any(|owner| owner.kind == "DaemonSet") {
        Maker::Us
    } else if owners.is_empty() {
        Maker::Nobody
    } else {
        Maker::Other
    }
}

/// The Service that a ServiceL2Status is about.
pub fn subject(metadata: &ObjectMeta) -> Option<ServiceKey> {
    let labels = metadata.labels.as_ref()?;
    let namespace = labels.get(l2_status::SERVICE_NAMESPACE)?;
    Some(ServiceKey::new(namespace, labels.get(l2_status::SERVICE_NAME)?))
}

/// The number of the claim that a ServiceL2Status was written under; zero if it does not say, as
/// those that MetalLB wrote, or says what no claim can have come to.
pub fn claim(metadata: &ObjectMeta) -> u64 {
    let claim = metadata.annotations.as_ref().and_then(|annotations| annotations.get(CLAIM));
    claim.and_then(|claim| claim.parse().ok()).filter(|it| *it <= limits::CLAIM).unwrap_or_default()
}

/// What matters of a Speaker object. Orders about something that is no address are left out.
pub fn speaker(object: &Speaker) -> SpeakerFacts {
    let order = |order: &MoveOrder| {
        let address = order.address.parse().ok()?;
        let to = order.to.as_str().into();
        Some(Order { address, claim: order.claim, to, epoch: order.epoch })
    };
    SpeakerFacts {
        orders: object.spec.orders.iter().filter_map(order).collect(),
        knock: object.spec.knock.as_ref().map(|knock| knock.nonce.clone()),
        echo: object.status.as_ref().and_then(|status| status.knock.clone()),
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
mod tests;
