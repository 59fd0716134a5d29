//! `Speaker`: what one node's speaker is asked to do, and what it says of itself.
//!
//! Each speaker creates its own object. The controller writes `spec.orders`, and nothing else.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is asked of the speaker. Written by the other programs of ferrolb, not by users.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "ferrolb.io",
    version = "v1alpha1",
    kind = "Speaker",
    plural = "speakers",
    doc = "The speaker of one node, by whose name the object goes: what it is asked to do, and what it says of itself. Written by ferrolb; nothing here needs to be configured.",
    namespaced,
    status = "SpeakerStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"State","type":"string","jsonPath":".status.state"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerSpec {
    /// Addresses that this node is to hand over to other nodes, so that all nodes announce about as
    /// many. Written by the controller. An order is void unless the node still announces the
    /// address under the claim that the order names; the controller removes void orders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<MoveOrder>,

    /// A question to this speaker by one that cannot see it on the network: is it still running?
    /// Answered in `status.knock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knock: Option<Knock>,
}

/// One handover.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct MoveOrder {
    /// What is to be handed over: the address, and those of all Services that share one with it. Of
    /// several the lowest stands here. Example: `172.17.255.1`.
    #[serde(default)]
    pub address: String,

    /// The number of the claim under which this node announces the address. Under any other the
    /// order is void.
    #[serde(default)]
    #[schemars(with = "i64", range(min = 0))]
    pub claim: u64,

    /// The node that is to take over. Example: `node2`.
    #[serde(default)]
    pub to: String,

    /// Counts the changes of the working controller. Orders of an earlier one than a speaker has
    /// seen are void.
    #[serde(default)]
    #[schemars(with = "i64", range(min = 0))]
    pub epoch: u64,
}

/// A question whether a speaker is still running.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Knock {
    /// What the speaker repeats in `status.knock`; hexadecimal.
    #[serde(default)]
    pub nonce: String,

    /// The node whose speaker asks.
    #[serde(default)]
    pub by: String,
}

/// What the speaker says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerStatus {
    /// Whether the node announces addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SpeakerState>,

    /// The state in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// How often this speaker lost touch with the network and came back, since it was started.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(with = "i64", range(min = 0))]
    pub returns: u64,

    /// Addresses that a draining node still announces because no other node can take them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<String>,

    /// The last nonce of `spec.knock` that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knock: Option<String>,

    /// The network interfaces that addresses can be announced on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<SpeakerLink>,

    /// Addresses that another host on the network answers for as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,

    /// Addresses of other nodes that nobody answered for when this speaker asked for them, as a
    /// client would. Each address is asked for by one speaker, every 30 seconds or less often.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Whether a node announces addresses.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum SpeakerState {
    /// It does, or would if one were its to announce.
    Active,
    /// Marked with `ferrolb.io/drain`: it hands over what it has and takes nothing more.
    Draining,
    /// Marked with `ferrolb.io/drain`, and it has nothing left to hand over.
    Drained,
    /// Marked with `node.kubernetes.io/exclude-from-external-load-balancers`, or without network.
    Excluded,
}

/// A network interface that addresses can be announced on.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct SpeakerLink {
    /// Its name on the node. Example: `eth0`.
    #[serde(default)]
    pub name: String,

    /// The MAC address that answers carry. Example: `02:00:00:00:00:01`.
    #[serde(default)]
    pub mac: String,

    /// The node's own address there, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// An address that another host on the network answers for as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The address. Example: `172.17.255.1`.
    pub address: String,

    /// The MAC address that the other host answers with. Example: `02:00:00:00:00:99`.
    pub mac: String,

    /// The interface of this node on which it was heard. Example: `eth0`.
    #[serde(default)]
    pub interface: String,

    /// Whether the address had been announced before the other host was found. Such an address is
    /// kept; one that never was announced is exchanged for another, unless the user asked for it.
    #[serde(default)]
    pub served: bool,

    /// Whose MAC address it is.
    pub kind: ConflictKind,

    /// Since when the other host has been seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// An address that should be answered and was not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unanswered {
    /// The address. Example: `172.17.255.1`.
    pub address: String,

    /// The node that announces it.
    pub node: String,

    /// Since when every question went unanswered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// Whose MAC address answers for an address of ours.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum ConflictKind {
    /// A host that is not a node of the cluster.
    Foreign,
    /// A node of the cluster, though its speaker does not announce the address: another load
    /// balancer still runs there, the address was left on an interface, or kube-proxy works in IPVS
    /// mode without `strictARP`.
    Member,
}
