//! `IPAddressPool`: the addresses that may be given to Services.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Addresses that may be given to Services of type LoadBalancer.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "IPAddressPool",
    plural = "ipaddresspools",
    doc = "A pool of addresses that may be given to Services of type LoadBalancer.",
    namespaced,
    status = "IPAddressPoolStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Auto Assign","type":"boolean","jsonPath":".spec.autoAssign"}"#,
    printcolumn = r#"{"name":"Avoid Buggy IPs","type":"boolean","jsonPath":".spec.avoidBuggyIPs"}"#,
    printcolumn = r#"{"name":"Addresses","type":"string","jsonPath":".spec.addresses"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct IPAddressPoolSpec {
    /// The addresses of the pool, each entry either a CIDR (`192.0.2.0/24`, the whole of it, host
    /// bits are ignored) or a range from first to last address (`192.0.2.10-192.0.2.99`).
    /// Addresses are given out in the order written. No two entries of any pools may overlap.
    #[schemars(length(max = 4096), inner(length(max = 128)))]
    #[x_kube(validation = Rule::new("self.size() > 0").message("pool has no prefixes defined"))]
    #[x_kube(validation = Rule::new("self.all(a, a.contains('/') || a.contains('-'))").message("each address must be a CIDR such as 192.0.2.0/24 or a range such as 192.0.2.1-192.0.2.9"))]
    pub addresses: Vec<String>,

    /// Whether addresses are given to Services that do not ask for this pool or for one of its
    /// addresses. Default: true.
    #[serde(default = "yes")]
    pub auto_assign: bool,

    /// Keeps IPv4 addresses ending in .0 and .255 from being given out, for networks with
    /// equipment that mistakes them for network or broadcast addresses. Default: false.
    #[serde(default, rename = "avoidBuggyIPs")]
    pub avoid_buggy_ips: bool,

    /// Restricts the pool to some Services, and ranks it among the pools they may use. Without it
    /// every Service may use the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_allocation: Option<ServiceAllocation>,
}

/// Which Services may use a pool, and how it ranks among several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAllocation {
    /// Rank among the pools a Service may use: lower goes first, and 0 or absent goes last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,

    /// Namespaces whose Services may use the pool, by name; united with `namespaceSelectors`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,

    /// Namespaces whose Services may use the pool, by label; a namespace that matches any of these
    /// counts. Example: `[{matchLabels: {team: blue}}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespace_selectors: Vec<LabelSelector>,

    /// Services that may use the pool, by label; a Service that matches any of these counts. Given
    /// together with namespaces, both must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_selectors: Vec<LabelSelector>,
}

/// How much of the pool is in use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IPAddressPoolStatus {
    /// The number of IPv4 addresses in use.
    #[serde(rename = "assignedIPv4")]
    pub assigned_ipv4: i64,
    /// The number of IPv6 addresses in use.
    #[serde(rename = "assignedIPv6")]
    pub assigned_ipv6: i64,
    /// The number of IPv4 addresses still free.
    #[serde(rename = "availableIPv4")]
    pub available_ipv4: i64,
    /// The number of IPv6 addresses still free.
    #[serde(rename = "availableIPv6")]
    pub available_ipv6: i64,
}

const fn yes() -> bool {
    true
}
