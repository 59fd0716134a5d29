//! `L2Advertisement`: which pools are announced by ARP and NDP, and from which nodes and links.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the object holds beside its metadata. `spec` may be left out altogether, and then means
/// an empty one, which is why it sits in a body of its own.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "L2Advertisement",
    plural = "l2advertisements",
    doc = "Makes addresses known on the local network, by ARP and NDP. With an empty spec: those of all pools, from all nodes, on all interfaces.",
    namespaced,
    no_spec,
    status = "L2AdvertisementStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"IPAddressPools","type":"string","jsonPath":".spec.ipAddressPools"}"#,
    printcolumn = r#"{"name":"IPAddressPool Selectors","type":"string","jsonPath":".spec.ipAddressPoolSelectors"}"#,
    printcolumn = r#"{"name":"Interfaces","type":"string","jsonPath":".spec.interfaces"}"#,
    printcolumn = r#"{"name":"Node Selectors","type":"string","jsonPath":".spec.nodeSelectors","priority":10}"#
)]
pub struct L2AdvertisementBody {
    /// What is announced, and from where. Left out: everything, from everywhere.
    #[serde(default)]
    pub spec: L2AdvertisementSpec,
}

/// What is announced, and from where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct L2AdvertisementSpec {
    /// The pools announced, by name; united with `ipAddressPoolSelectors`. With both empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_address_pools: Vec<String>,

    /// The pools announced, by label; a pool that matches any of these counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,

    /// The nodes that may announce, by label; a node that matches any of these counts. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_selectors: Vec<LabelSelector>,

    /// The interfaces to announce on, by exact name. Empty: all that can carry it. A node that has
    /// none of them announces nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,

    /// The Services whose addresses are announced, by label; a Service that matches any of these
    /// counts. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_selectors: Vec<LabelSelector>,

    /// Nodes that should announce rather than others that may. The node with the highest sum of
    /// weights goes first; when it is away, others announce all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred_node_selectors: Vec<WeightedNodeSelector>,
}

/// A preference for some nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightedNodeSelector {
    /// How much the preference weighs, from 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub weight: i32,
    /// The nodes preferred, by label.
    pub preference: LabelSelector,
}

/// Empty, as in MetalLB; the subresource exists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct L2AdvertisementStatus {}

impl L2Advertisement {
    /// The advertisement `name` with `spec`.
    pub fn with_spec(name: &str, spec: L2AdvertisementSpec) -> Self {
        Self::new(name, L2AdvertisementBody { spec })
    }
}
