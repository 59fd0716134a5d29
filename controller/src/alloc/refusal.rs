//! Why a Service does not get an address: one value, from which log line, Event and metric label
//! are all made. The texts are MetalLB's, which people and alerts search for.

use std::net::IpAddr;

use crds::model::ids::{PoolName, ServiceKey};

use super::request::Port;

/// An expected no.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// There is no pool that gives addresses to Services like this one.
    #[error("no available IPs")]
    NoPool,
    /// There are such pools, and none has an address left.
    #[error("no available IPs")]
    Exhausted,
    /// The pool asked for has no address left, or none of the family needed.
    #[error("no available IPs in pool {0}")]
    PoolExhausted(PoolName),
    /// The pool asked for cannot give an address of each family.
    #[error("no available IPs in pool {0} for dual IPFamily")]
    PoolExhaustedDual(PoolName),
    /// The pool asked for does not exist, or is invalid.
    #[error("unknown pool \"{0}\"")]
    UnknownPool(PoolName),
    /// The pool is not for Services like this one.
    #[error("pool {0} not compatible for ip assignment")]
    PoolNotCompatible(PoolName),
    /// No single pool has all these addresses.
    #[error("{} is not allowed in config", quoted(.0))]
    OutsideEveryPool(Vec<IpAddr>),
    /// The addresses asked for are of another pool than the pool asked for.
    #[error("requested loadBalancer IP(s) {} is not compatible with requested address pool {pool}", quoted(.addresses))]
    OtherPool {
        /// The addresses asked for.
        addresses: Vec<IpAddr>,
        /// The pool asked for.
        pool: PoolName,
    },
    /// The Service has cluster IPs of other families than the addresses it asks for.
    #[error("requested loadBalancer IP(s) {} does not match the ipFamily of the service", quoted(.0))]
    FamilyMismatch(Vec<IpAddr>),
    /// Another Service has the address and does not share it with this one.
    #[error("can't change sharing key for \"{key}\", address also in use by {}", joined(.by))]
    NotShared {
        /// The Service refused.
        key: ServiceKey,
        /// The Services that have the address, in order.
        by: Vec<ServiceKey>,
    },
    /// Another Service that shares the address has the port.
    #[error("port {port} is already in use on \"{address}\"")]
    PortTaken {
        /// The port.
        port: Port,
        /// The address.
        address: IpAddr,
        /// The Service that has it.
        by: ServiceKey,
    },
    /// RequireDualStack, and only one cluster IP.
    #[error("Service requires dual stack but not enough clusterips [{}]", .0.join(" "))]
    NotEnoughClusterIps(Vec<String>),
    /// Both ways of asking for an address at once.
    #[error("service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP")]
    AskedTwice,
    /// The annotation holds something that is no address.
    #[error("invalid metallb.io/loadBalancerIPs: {0:?}")]
    InvalidAnnotation(String),
    /// The field holds something that is no address.
    #[error("invalid spec.loadBalancerIP {0:?}")]
    InvalidField(String),
    /// Two addresses of one family asked for.
    #[error("IPFamilyForAddresses: same address family {}", quoted(.0))]
    SameFamily(Vec<IpAddr>),
    /// More than two addresses asked for.
    #[error("IPFamilyForAddresses: invalid ips length {} {}", .0.len(), quoted(.0))]
    TooMany(Vec<IpAddr>),
}

impl Refusal {
    /// A short fixed word for metric labels and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoPool => "noPool",
            Self::Exhausted => "exhausted",
            Self::PoolExhausted(_) => "poolExhausted",
            Self::PoolExhaustedDual(_) => "poolExhaustedDual",
            Self::UnknownPool(_) => "unknownPool",
            Self::PoolNotCompatible(_) => "poolNotCompatible",
            Self::OutsideEveryPool(_) => "outsideEveryPool",
            Self::OtherPool { .. } => "otherPool",
            Self::FamilyMismatch(_) => "familyMismatch",
            Self::NotShared { .. } => "notShared",
            Self::PortTaken { .. } => "portTaken",
            Self::NotEnoughClusterIps(_) => "notEnoughClusterIPs",
            Self::AskedTwice => "askedTwice",
            Self::InvalidAnnotation(_) => "invalidAnnotation",
            Self::InvalidField(_) => "invalidField",
            Self::SameFamily(_) => "sameFamily",
            Self::TooMany(_) => "tooMany",
        }
    }
}

/// A list as Go prints one of strings: `["10.0.0.1" "fc00::1"]`.
pub fn quoted(addresses: &[IpAddr]) -> String {
    let quoted: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("[{}]", quoted.join(" "))
}

fn joined(keys: &[ServiceKey]) -> String {
    let texts: Vec<_> = keys.iter().map(ToString::to_string).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::request::Protocol;
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn texts_are_those_people_search_for() {
        let key = |name| ServiceKey::new("ns", name);
        for (refusal, text) in [
            (Refusal::NoPool, "no available IPs"),
            (Refusal::Exhausted, "no available IPs"),
            (Refusal::PoolExhausted("p".into()), "no available IPs in pool p"),
            (
                Refusal::PoolExhaustedDual("p".into()),
                "no available IPs in pool p for dual IPFamily",
            ),
            (Refusal::UnknownPool("p".into()), "unknown pool \"p\""),
            (Refusal::PoolNotCompatible("p".into()), "pool p not compatible for ip assignment"),
            (
                Refusal::FamilyMismatch(ips(&["fc00::1"])),
                "requested loadBalancer IP(s) [\"fc00::1\"] does not match the ipFamily of the service",
            ),
            (
                Refusal::AskedTwice,
                "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP",
            ),
            (Refusal::InvalidField("raw".to_owned()), "invalid spec.loadBalancerIP \"raw\""),
            (
                Refusal::TooMany(ips(&["1.2.3.4", "fc00::1", "fc00::2"])),
                "IPFamilyForAddresses: invalid ips length 3 [\"1.2.3.4\" \"fc00::1\" \"fc00::2\"]",
            ),
            (
                Refusal::OutsideEveryPool(ips(&["1.2.3.4"])),
                "[\"1.2.3.4\"] is not allowed in config",
            ),
            (
                Refusal::NotShared { key: key("svc"), by: vec![key("a"), key("b")] },
                "can't change sharing key for \"ns/svc\", address also in use by ns/a,ns/b",
            ),
            (
                Refusal::PortTaken {
                    port: Port { protocol: Protocol::Tcp, number: 80 },
                    address: ips(&["1.2.3.4"])[0],
                    by: key("a"),
                },
                "port TCP/80 is already in use on \"1.2.3.4\"",
            ),
            (
                Refusal::OtherPool { addresses: ips(&["1.2.3.4"]), pool: "p".into() },
                "requested loadBalancer IP(s) [\"1.2.3.4\"] is not compatible with requested address pool p",
            ),
            (
                Refusal::InvalidAnnotation("raw".to_owned()),
                "invalid metallb.io/loadBalancerIPs: \"raw\"",
            ),
            (
                Refusal::SameFamily(ips(&["1.2.3.4", "1.2.3.5"])),
                "IPFamilyForAddresses: same address family [\"1.2.3.4\" \"1.2.3.5\"]",
            ),
            (
                Refusal::NotEnoughClusterIps(vec!["10.0.0.1".to_owned()]),
                "Service requires dual stack but not enough clusterips [10.0.0.1]",
            ),
        ] {
            assert_eq!(refusal.to_string(), text);
        }
    }
}
