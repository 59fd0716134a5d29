//! Group `metallb.io`, version `v1beta1`: MetalLB's kinds, field for field, so that objects made
//! for either program stay valid for both. Fields of ours, when they come, are optional.

pub mod configuration_state;
pub mod ip_address_pool;
pub mod l2_advertisement;
pub mod service_l2_status;

pub use configuration_state::{ConfigurationResult, ConfigurationState, ConfigurationStateStatus};
pub use ip_address_pool::{
    IPAddressPool, IPAddressPoolSpec, IPAddressPoolStatus, ServiceAllocation,
};
pub use l2_advertisement::{L2Advertisement, L2AdvertisementSpec, WeightedNodeSelector};
pub use service_l2_status::{
    InterfaceInfo, ServiceL2Status, ServiceL2StatusBody, ServiceL2StatusStatus,
};
