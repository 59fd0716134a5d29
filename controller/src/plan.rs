//! From what was decided to what is to be done: one patch if the object differs, the Events that
//! tell of a change, and nothing at all when nothing changes.

use std::net::IpAddr;

use crds::model::ids::PoolName;
use crds::names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kit::events::{Event, Severity};
use serde_json::{Value, json};

use crate::alloc::refusal::quoted;
use crate::alloc::settle::{News, Settled, Why};
use crate::alloc::{Refusal, Wanted};
use crate::view::{Asks, Facts};

pub mod said;

use said::Said;

/// What a Service's object should say.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The addresses in its status.
    pub addresses: Vec<IpAddr>,
    /// The pool in its annotation.
    pub pool: Option<PoolName>,
    /// What it asks for in vain, to be said.
    pub refused: Option<Refusal>,
    /// What it should say about the announcement.
    pub announced: Said,
}

/// The merge patch of `services/status` that makes the object say `target`; `None` when it does.
///
/// It carries the annotation too, since the API server takes metadata by this way as well: one
/// write in all. It is bound to the resourceVersion that was judged, so that it can neither undo
/// what a user changes meanwhile nor land on a Service made anew under the same name; when it
/// conflicts, the new state is judged and that is all.
pub fn patch(facts: &Facts, target: &Target, now: Timestamp) -> Option<Value> {
    let mut metadata = serde_json::Map::new();
    let mut status = serde_json::Map::new();
    if !facts.is_plain || facts.held.addresses != target.addresses {
        let entry = |address: &IpAddr| json!({"ip": address.to_string()});
        let entries: Vec<_> = target.addresses.iter().map(entry).collect();
        let ingress = if entries.is_empty() { Value::Null } else { Value::Array(entries) };
        status.insert("loadBalancer".to_owned(), json!({"ingress": ingress}));
    }
    if facts.held.pool != target.pool {
        let pool = target.pool.as_ref().map(PoolName::as_str);
        metadata.insert("annotations".to_owned(), json!({names::ALLOCATED_FROM_POOL: pool}));
    }
    let Target { refused, announced, .. } = target;
    if let Some(conditions) = said::conditions(&facts.conditions, refused.as_ref(), announced, now)
    {
        status.insert("conditions".to_owned(), json!(conditions));
    }
    if metadata.is_empty() && status.is_empty() {
        return None;
    }
    metadata.insert("resourceVersion".to_owned(), json!(facts.version));
    let mut patch = json!({"metadata": metadata});
    if !status.is_empty() {
        patch["status"] = Value::Object(status);
    }
    Some(patch)
}

/// The Event that says that somebody else answers for an address of the Service.
pub fn conflict(facts: &Facts, message: &str) -> Event {
    Event {
        about: about(facts),
        severity: Severity::Warning,
        reason: names::ownership_event::ADDRESS_CONFLICT,
        message: message.to_owned(),
    }
}

/// The Events that tell of `settled`; `was` is what was refused at the Service's last turn, since
/// a refusal is told once.
pub fn events(facts: &Facts, settled: &Settled, was: Option<&Refusal>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut tell = |severity, reason, message| {
        let about = about(facts);
        events.push(Event { about, severity, reason, message });
    };
    if let Some(lost) = &settled.lost {
        match &lost.why {
            Why::NotAllowed(refusal) => {
                let message = format!(
                    "current IP for \"{}\" not allowed by config, will attempt for new IP assignment: {refusal}",
                    facts.key
                );
                tell(Severity::Normal, names::event::CLEAR_ASSIGNMENT, message);
            }
            Why::NoFamily(refusal) => {
                let had = quoted(&lost.addresses);
                let message = format!("Failed to retrieve LBIPs IPFamily for {had}: {refusal}");
                tell(Severity::Warning, names::event::NO_LB_IPS_FAMILY, message);
            }
            Why::OtherFamily | Why::OtherPoolWanted | Why::OtherAddressWanted | Why::Conflict => {}
        }
    }
    match (&settled.news, &settled.claim) {
        (News::Assigned, Some(claim)) => {
            let message = format!("Assigned IP {}", quoted(&claim.addresses));
            tell(Severity::Normal, names::event::IP_ALLOCATED, message);
        }
        (News::Added(address), _) => {
            let message = format!("Assigned additional IP \"{address}\"");
            tell(Severity::Normal, names::event::IP_ALLOCATED, message);
        }
        (News::Assigned, None) | (News::None, _) => {}
    }
    if let Some(refusal) = &settled.refusal
        && was != Some(refusal)
    {
        let (severity, reason, message) = refused(facts, settled, refusal);
        tell(severity, reason, message);
    }
    let is_news = settled.news != News::None || settled.lost.is_some();
    for key in facts.deprecated.iter().filter(|_| is_news) {
        let message = format!("Service uses deprecated annotation {key}");
        tell(Severity::Warning, names::event::DEPRECATED_ANNOTATION, message);
    }
    events
}

fn refused(
    facts: &Facts,
    settled: &Settled,
    refusal: &Refusal,
) -> (Severity, &'static str, String) {
    let is_unreadable = matches!(
        &facts.asks,
        Asks::Address(request) if matches!(request.wanted, Wanted::Unreadable(_))
    );
    if is_unreadable {
        let message = format!("invalid requested loadbalancer IPs: {refusal}");
        return (Severity::Warning, names::event::LOAD_BALANCER_FAILED, message);
    }
    if settled.claim.is_some() {
        let message = format!("cannot assign additional IP in PreferDualStack: {refusal}");
        return (Severity::Normal, names::event::ADDITIONAL_ASSIGN_FAILED, message);
    }
    if let Refusal::NotEnoughClusterIps(_) = refusal {
        let reason = names::event::NOT_ENOUGH_CLUSTER_IPS;
        return (Severity::Warning, reason, refusal.to_string());
    }
    let message = format!("Failed to allocate IP for \"{}\": {refusal}", facts.key);
    (Severity::Warning, names::event::ALLOCATION_FAILED, message)
}

/// The Event that says that nobody answers for the Service's address.
pub fn not_announced(facts: &Facts, message: &str) -> Event {
    Event {
        about: about(facts),
        severity: Severity::Warning,
        reason: names::event::NOT_ANNOUNCED,
        message: message.to_owned(),
    }
}

fn about(facts: &Facts) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Service".to_owned()),
        namespace: Some(facts.key.namespace.clone()),
        name: Some(facts.key.name.clone()),
        uid: Some(facts.uid.clone()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests;
