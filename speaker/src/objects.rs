//! Kubernetes objects with only the fields that a speaker reads. Every node watches all Services,
//! EndpointSlices and Nodes of the cluster: what is not named here is skipped while the JSON is
//! read, and is neither kept nor compiled into the program.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

/// A Service.
#[derive(Debug, Clone, Deserialize, Resource)]
#[resource(inherit = core::Service)]
pub struct Service {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// What is asked for.
    #[serde(default)]
    pub spec: ServiceSpec,
    /// What was given.
    #[serde(default)]
    pub status: ServiceStatus,
}

/// What a Service asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// `LoadBalancer`, or none of our business.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Whose business it is.
    pub load_balancer_class: Option<String>,
    /// `Cluster` or `Local`.
    pub external_traffic_policy: Option<String>,
}

/// What a Service was given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// By a load balancer.
    #[serde(default)]
    pub load_balancer: LoadBalancerStatus,
}

/// What a load balancer gave.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct LoadBalancerStatus {
    /// One entry for each address.
    #[serde(default)]
    pub ingress: Option<Vec<Ingress>>,
}

/// One way in.
#[derive(Debug, Clone, Deserialize)]
pub struct Ingress {
    /// The address; other load balancers give host names instead.
    pub ip: Option<String>,
}

/// An EndpointSlice.
#[derive(Debug, Clone, Deserialize, Resource)]
#[resource(inherit = discovery::EndpointSlice)]
pub struct EndpointSlice {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its endpoints; the API writes `null` for none.
    pub endpoints: Option<Vec<Endpoint>>,
}

/// An endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Where it is.
    pub node_name: Option<String>,
    /// How it is.
    pub conditions: Option<EndpointConditions>,
}

/// How an endpoint is.
#[derive(Debug, Clone, Deserialize)]
pub struct EndpointConditions {
    /// Takes traffic; no word about it means yes.
    pub ready: Option<bool>,
    /// Still takes traffic while it terminates.
    pub serving: Option<bool>,
}

/// A Node.
#[derive(Debug, Clone, Deserialize, Resource)]
#[resource(inherit = core::Node)]
pub struct Node {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// How it is.
    #[serde(default)]
    pub status: NodeStatus,
}

/// How a node is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NodeStatus {
    /// Its conditions.
    #[serde(default)]
    pub conditions: Option<Vec<NodeCondition>>,
}

/// A condition of a node.
#[derive(Debug, Clone, Deserialize)]
pub struct NodeCondition {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
}

/// A Pod.
#[derive(Debug, Clone, Deserialize, Resource)]
#[resource(inherit = core::Pod)]
pub struct Pod {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// How it is.
    #[serde(default)]
    pub status: PodStatus,
}

/// How a pod is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PodStatus {
    /// Its address; with the host's network, the node's.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    /// Where in its life it is.
    pub phase: Option<String>,
}
