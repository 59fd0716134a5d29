//! Every annotation, label, reason and field-manager string, each once.

/// The API group of MetalLB's kinds, which ferrolb serves unchanged.
pub const GROUP: &str = "metallb.io";

/// Annotation prefix that MetalLB deprecated and still honours.
pub const DEPRECATED_PREFIX: &str = "metallb.universe.tf/";

/// An annotation that exists under the current and under the deprecated prefix. The current key
/// wins by presence, even when its value is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnotationKey {
    /// `metallb.io/...`
    pub current: &'static str,
    /// `metallb.universe.tf/...`
    pub deprecated: &'static str,
}

/// The pool a Service's address must come from.
pub const ADDRESS_POOL: AnnotationKey = AnnotationKey {
    current: "metallb.io/address-pool",
    deprecated: "metallb.universe.tf/address-pool",
};

/// The addresses a Service asks for, comma separated.
pub const LOAD_BALANCER_IPS: AnnotationKey = AnnotationKey {
    current: "metallb.io/loadBalancerIPs",
    deprecated: "metallb.universe.tf/loadBalancerIPs",
};

/// Services with the same value here may share an address.
pub const ALLOW_SHARED_IP: AnnotationKey = AnnotationKey {
    current: "metallb.io/allow-shared-ip",
    deprecated: "metallb.universe.tf/allow-shared-ip",
};

/// Written by the controller: the pool a Service's address came from.
pub const ALLOCATED_FROM_POOL: &str = "metallb.io/ip-allocated-from-pool";

/// Nodes with this label, whatever its value, announce nothing. Kubernetes' own.
pub const EXCLUDE_FROM_LOAD_BALANCERS: &str =
    "node.kubernetes.io/exclude-from-external-load-balancers";

/// ServiceL2Status labels: the announcing node, the Service's name and its namespace.
pub mod l2_status {
    /// The announcing node.
    pub const NODE: &str = "metallb.io/node";
    /// The Service's name.
    pub const SERVICE_NAME: &str = "metallb.io/service-name";
    /// The Service's namespace.
    pub const SERVICE_NAMESPACE: &str = "metallb.io/service-namespace";
    /// `generateName` of the objects.
    pub const NAME_PREFIX: &str = "l2-";
}

/// `source.component` of the Events, as MetalLB writes it: people and scripts search for it.
pub mod component {
    /// Events about allocation.
    pub const CONTROLLER: &str = "metallb-controller";
    /// Events about announcement.
    pub const SPEAKER: &str = "metallb-speaker";
}

/// Reasons of the Events on Services. Up to [`ANNOUNCE_FAILED`](event::ANNOUNCE_FAILED) they are MetalLB's, inconsistent
/// capitals included; the others are ours.
pub mod event {
    /// An address was given.
    pub const IP_ALLOCATED: &str = "IPAllocated";
    /// No address could be given.
    pub const ALLOCATION_FAILED: &str = "AllocationFailed";
    /// The present address is no longer allowed.
    pub const CLEAR_ASSIGNMENT: &str = "ClearAssignment";
    /// The addresses asked for cannot be read.
    pub const LOAD_BALANCER_FAILED: &str = "LoadBalancerFailed";
    /// An annotation has the deprecated prefix.
    pub const DEPRECATED_ANNOTATION: &str = "deprecatedAnnotation";
    /// RequireDualStack with a single cluster IP.
    pub const NOT_ENOUGH_CLUSTER_IPS: &str = "not enough clusterips";
    /// PreferDualStack, and the second address could not be given.
    pub const ADDITIONAL_ASSIGN_FAILED: &str = "AdditionalAssignFailed";
    /// The status held addresses that no Service can have together.
    pub const NO_LB_IPS_FAMILY: &str = "nolbIPsIPFamily";
    /// A node announces the address.
    pub const NODE_ASSIGNED: &str = "nodeAssigned";
    /// The announcing node lacks the interfaces asked for.
    pub const ANNOUNCE_FAILED: &str = "announceFailed";
    /// The address is assigned, and no L2Advertisement makes any node announce it.
    pub const NOT_ANNOUNCED: &str = "notAnnounced";
    /// An object of the configuration was rejected; on the object itself.
    pub const INVALID_CONFIGURATION: &str = "InvalidConfiguration";
}

/// Conditions on Services, written only while there is something wrong.
pub mod condition {
    /// Whether the Service has the addresses it asks for. Its reasons are those of refusals.
    pub const ALLOCATED: &str = "ferrolb.io/Allocated";
    /// Whether anybody answers for the address.
    pub const ANNOUNCED: &str = "ferrolb.io/Announced";
}

/// The ConfigurationState objects.
pub mod configuration_state {
    /// The controller's object.
    pub const CONTROLLER: &str = "controller";
    /// What a speaker's object is called, before the node's name.
    pub const SPEAKER_PREFIX: &str = "speaker-";
    /// Label: which program the object is about.
    pub const COMPONENT_TYPE: &str = "metallb.io/component-type";
    /// Label on a speaker's object: its node.
    pub const NODE_NAME: &str = "metallb.io/node-name";
    /// Condition of the controller's object.
    pub const POOL_CONDITION: &str = "poolReconcilerValid";
    /// Condition of a speaker's object.
    pub const CONFIG_CONDITION: &str = "configReconcilerValid";
    /// Reason while all is well.
    pub const RECONCILED: &str = "Reconciled";
    /// Reason while something is not.
    pub const CONFIGURATION_ERROR: &str = "ConfigurationError";
}

/// The API group of our own kinds.
pub const OWN_GROUP: &str = "ferrolb.io";

/// Annotation on a ServiceL2Status: the number, in decimal, of the claim under which `status.node`
/// announces the Service.
pub const CLAIM: &str = "ferrolb.io/claim";

/// Label or annotation on a Node, with any value but `false`: the node hands over what it announces,
/// and takes nothing more.
pub const DRAIN: &str = "ferrolb.io/drain";

/// Reasons of Events about who announces what; ours.
pub mod ownership_event {
    /// Another host answers for an address of the Service.
    pub const ADDRESS_CONFLICT: &str = "AddressConflict";
    /// A node that was marked for draining announces nothing any more; on the Node.
    pub const DRAINED: &str = "Drained";
}

/// The reasons of the condition [`ANNOUNCED`](condition::ANNOUNCED).
pub mod announced_reason {
    /// No L2Advertisement covers the address.
    pub const NO_ADVERTISEMENT: &str = "NoAdvertisement";
    /// The Service has no endpoint that is ready.
    pub const NO_ENDPOINTS: &str = "NoEndpoints";
    /// No node of the cluster announces anything.
    pub const NO_SPEAKER: &str = "NoSpeaker";
    /// The L2Advertisements select none of the nodes that could.
    pub const NO_NODE: &str = "NoNode";
    /// None of the nodes that may announce it has an endpoint, and traffic is to stay on the node.
    pub const NO_LOCAL_ENDPOINT: &str = "NoLocalEndpoint";
    /// Another host answers for an address of the Service.
    pub const ADDRESS_CONFLICT: &str = "AddressConflict";
    /// A node of the cluster answers for an address of the Service, though its speaker does not
    /// announce it.
    pub const UNCLAIMED_ANSWER: &str = "UnclaimedAnswer";
}
