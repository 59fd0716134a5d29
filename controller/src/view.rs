//! From a Service object to what the program keeps of it. Decides what a Service asks for and
//! whether it is ours at all; never looks at pools or at other Services.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crds::model::ids::{PoolName, ServiceKey};
use crds::model::range::Family;
use crds::names::{self, AnnotationKey};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::alloc::request::{families, together};
use crate::alloc::{Held, Need, Policy, Port, Protocol, Refusal, Request, Sharing, Wanted};

/// What is kept of a Service: all that the decisions and the writes need, and no more.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The Service.
    pub key: ServiceKey,
    /// Its uid: a Service made anew under the same name is another one.
    pub uid: String,
    /// Its resourceVersion, which guards our writes.
    pub version: String,
    /// When it was made, in seconds since 1970; the older goes first.
    pub created: i64,
    /// What it asks for, if it asks us.
    pub asks: Asks,
    /// What its status and annotation say it has.
    pub held: Held,
    /// Whether its status lists exactly the addresses in `held`, nothing beside them.
    pub is_plain: bool,
    /// Its conditions, most often none.
    pub conditions: Vec<Condition>,
    /// Whether only nodes with an endpoint of it take its traffic.
    pub is_local: bool,
    /// Its annotations with MetalLB's deprecated prefix.
    pub deprecated: Vec<String>,
}

/// What a Service asks of us.
#[derive(Debug, Clone, PartialEq)]
pub enum Asks {
    /// An address.
    Address(Box<Request>),
    /// Something that can never be given; what it has is taken back.
    Impossible(Refusal),
    /// Nothing; what it has from us is taken back.
    Nothing(Skip),
    /// Nothing can be said about it yet; what it has stays.
    Unclear,
}

/// Why a Service gets nothing from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// Its type is not LoadBalancer.
    NotLoadBalancer,
    /// It has another load balancer class than ours.
    OtherClass,
    /// It has no cluster IP (yet).
    NoClusterIps,
}

impl Skip {
    /// A short fixed word for logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotLoadBalancer => "notLoadBalancer",
            Self::OtherClass => "otherClass",
            Self::NoClusterIps => "noClusterIPs",
        }
    }
}

/// Throws away what [`facts`] does not read.
pub fn strip(service: &mut Service) {
    service.metadata.owner_references = None;
    service.metadata.finalizers = None;
    if let Some(annotations) = &mut service.metadata.annotations {
        annotations.retain(|key, _| {
            key.starts_with("metallb.io/") || key.starts_with(names::DEPRECATED_PREFIX)
        });
    }
}

/// What is kept of `service`, for a controller of the load balancer class `class`.
pub fn facts(service: &Service, class: Option<&str>) -> Facts {
    let metadata = &service.metadata;
    let key = ServiceKey::new(
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    );
    let entries = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref())
        .and_then(|balancer| balancer.ingress.as_deref())
        .unwrap_or_default();
    // `ipMode` is left alone: the API server fills it in by itself, and comparing it would make
    // every Service look changed (weakness C1).
    let addresses: Vec<IpAddr> =
        entries.iter().filter_map(|entry| entry.ip.as_deref()?.parse().ok()).collect();
    let is_plain =
        addresses.len() == entries.len() && entries.iter().all(|entry| entry.hostname.is_none());
    let pool = annotation(service, names::ALLOCATED_FROM_POOL);
    let conditions = service.status.as_ref().and_then(|status| status.conditions.clone());
    let annotations = metadata.annotations.iter().flatten();
    let created = metadata.creation_timestamp.as_ref();
    Facts {
        asks: asks(service, &key, class),
        key,
        uid: metadata.uid.clone().unwrap_or_default(),
        version: metadata.resource_version.clone().unwrap_or_default(),
        created: created.map_or(0, |time| time.0.as_second()),
        held: Held { addresses, pool: pool.map(PoolName::from) },
        is_plain,
        conditions: conditions.unwrap_or_default(),
        is_local: service.spec.as_ref().is_some_and(is_local),
        deprecated: annotations
            .filter(|(key, _)| key.starts_with(names::DEPRECATED_PREFIX))
            .map(|(key, _)| key.clone())
            .collect(),
    }
}

fn asks(service: &Service, key: &ServiceKey, class: Option<&str>) -> Asks {
    let Some(spec) = &service.spec else {
        return Asks::Unclear;
    };
    if spec.type_.as_deref() != Some("LoadBalancer") {
        return Asks::Nothing(Skip::NotLoadBalancer);
    }
    if spec.load_balancer_class.as_deref() != class {
        return Asks::Nothing(Skip::OtherClass);
    }
    let cluster_ips = cluster_ips(spec);
    if cluster_ips.is_empty() {
        return Asks::Nothing(Skip::NoClusterIps);
    }
    let policy = spec.ip_family_policy.as_deref();
    let must_be_dual = policy == Some("RequireDualStack");
    if must_be_dual && cluster_ips.len() < 2 {
        return Asks::Impossible(Refusal::NotEnoughClusterIps(cluster_ips));
    }
    let parsed: Result<Vec<IpAddr>, _> = cluster_ips.iter().map(|ip| ip.parse()).collect();
    let Ok(parsed) = parsed else {
        return Asks::Unclear;
    };
    let primary = spec.ip_families.as_ref().and_then(|families| families.first());
    let kinds: Vec<_> = families(&parsed).into_iter().collect();
    let need = match kinds[..] {
        [family] => Need::Single(family),
        _ => Need::Dual {
            policy: if must_be_dual { Policy::Require } else { Policy::Prefer },
            primary: match primary.map(String::as_str) {
                Some("IPv6") => Family::V6,
                _ => Family::V4,
            },
        },
    };
    Asks::Address(Box::new(Request {
        key: key.clone(),
        labels: service.metadata.labels.clone().unwrap_or_default(),
        need,
        wanted: wanted(service, spec).unwrap_or_else(Wanted::Unreadable),
        wanted_pool: either(service, names::ADDRESS_POOL)
            .filter(|name| !name.is_empty())
            .map(PoolName::from),
        ports: ports(spec),
        sharing: either(service, names::ALLOW_SHARED_IP)
            .filter(|key| !key.is_empty())
            .map(|key| Sharing { key: key.to_owned(), backend: backend(spec) }),
    }))
}

fn cluster_ips(spec: &ServiceSpec) -> Vec<String> {
    let list = spec.cluster_ips.clone().unwrap_or_default();
    let one = spec.cluster_ip.clone();
    let all = if list.is_empty() { one.into_iter().collect() } else { list };
    all.into_iter().filter(|ip: &String| !ip.is_empty()).collect()
}

/// The addresses asked for, by annotation or by the old field, but not by both.
fn wanted(service: &Service, spec: &ServiceSpec) -> Result<Wanted, Refusal> {
    let field = spec.load_balancer_ip.as_deref().filter(|text| !text.is_empty());
    let listed = either(service, names::LOAD_BALANCER_IPS).filter(|text| !text.is_empty());
    let parse = |text: &str| {
        let parsed = text.trim().parse::<IpAddr>().ok();
        // `::ffff:192.0.2.1` is an IPv4 address to MetalLB.
        parsed.map(|address| address.to_canonical())
    };
    let addresses: Vec<IpAddr> = match (listed, field) {
        (None, None) => return Ok(Wanted::Any),
        (Some(_), Some(_)) => return Err(Refusal::AskedTwice),
        (None, Some(text)) => {
            let invalid = || Refusal::InvalidField(text.to_owned());
            vec![parse(text).ok_or_else(invalid)?]
        }
        (Some(text), None) => {
            let invalid = || Refusal::InvalidAnnotation(text.to_owned());
            text.split(',').map(parse).collect::<Option<_>>().ok_or_else(invalid)?
        }
    };
    together(&addresses)?;
    Ok(Wanted::These(addresses))
}

fn ports(spec: &ServiceSpec) -> BTreeSet<Port> {
    let port = |port: &k8s_openapi::api::core::v1::ServicePort| {
        Some(Port {
            protocol: match port.protocol.as_deref() {
                Some("UDP") => Protocol::Udp,
                Some("SCTP") => Protocol::Sctp,
                _ => Protocol::Tcp,
            },
            number: u16::try_from(port.port).ok()?,
        })
    };
    spec.ports.iter().flatten().filter_map(port).collect()
}

/// With traffic policy `Local` a node may only answer if it runs a pod of the Service, so Services
/// that share an address must have the same pods.
fn backend(spec: &ServiceSpec) -> String {
    if !is_local(spec) {
        return String::new();
    }
    let selector = spec.selector.iter().flatten();
    let pairs: Vec<_> = selector.map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

fn is_local(spec: &ServiceSpec) -> bool {
    spec.external_traffic_policy.as_deref() == Some("Local")
}

fn annotation<'a>(service: &'a Service, key: &str) -> Option<&'a str> {
    let annotations = service.metadata.annotations.as_ref()?;
    annotations.get(key).map(String::as_str)
}

/// The annotation under its current name, or under the deprecated one if that is absent.
fn either(service: &Service, key: AnnotationKey) -> Option<&str> {
    annotation(service, key.current).or_else(|| annotation(service, key.deprecated))
}

#[cfg(test)]
mod tests;
