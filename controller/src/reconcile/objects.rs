//! Kubernetes objects with only the fields that moves depend on. The controller at work watches all
//! Nodes and EndpointSlices of the cluster: what is not named here is skipped while the JSON is
//! read.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

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
