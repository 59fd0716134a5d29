//! From what was decided to what is to be done: one patch if the object differs, the Events that
//! tell of a change, and nothing at all when nothing changes.

use std::net::IpAddr;

use crds::model::ids::PoolName;
use crds::names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kit::events::{Event, Severity};
use serde_json::{Value, json};

use crate::alloc::refusal::quoted;
use crate::alloc::settle::{News, Settled, Why};
use crate::alloc::{Refusal, Wanted};
use crate::view::{Asks, Facts};

/// What a Service's object should say.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The addresses in its status.
    pub addresses: Vec<IpAddr>,
    /// The pool in its annotation.
    pub pool: Option<PoolName>,
    /// What it should say about the announcement.
    pub announced: Announced,
}

/// What a Service's condition should say about the announcement of its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announced {
    /// Nothing: all is well, or there is nothing to announce.
    Unsaid,
    /// What it says now.
    AsItIs,
    /// That nobody does, or not only we, and why.
    No {
        /// In a word.
        reason: &'static str,
        /// For people.
        message: String,
    },
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
    if let Some(conditions) = conditions(&facts.conditions, &target.announced, now) {
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

/// The conditions as they should be; `None` when they are.
fn conditions(
    present: &[Condition],
    announced: &Announced,
    now: Timestamp,
) -> Option<Vec<Condition>> {
    let ours = |condition: &&Condition| condition.type_ == names::condition::ANNOUNCED;
    let others = || present.iter().filter(|one| !ours(one)).cloned();
    let found = present.iter().find(ours);
    match (announced, found) {
        (Announced::AsItIs, _) | (Announced::Unsaid, None) => None,
        (Announced::Unsaid, Some(_)) => Some(others().collect()),
        (Announced::No { reason, message }, Some(found))
            if found.message == *message && found.reason == *reason =>
        {
            None
        }
        (Announced::No { reason, message }, found) => {
            // A condition that only changes its words has not changed its state.
            let since = found.map(|condition| condition.last_transition_time.clone());
            let condition = Condition {
                type_: names::condition::ANNOUNCED.to_owned(),
                status: "False".to_owned(),
                reason: (*reason).to_owned(),
                message: message.clone(),
                last_transition_time: since.unwrap_or(Time(now)),
                observed_generation: None,
            };
            Some(others().chain([condition]).collect())
        }
    }
}

/// Whether the Service's condition says that nobody announces it.
pub fn says_not_announced(facts: &Facts) -> bool {
    announced(facts).is_some_and(|one| one.reason == names::condition::NO_ADVERTISEMENT)
}

/// Whether the Service's condition says just this.
pub fn says(facts: &Facts, reason: &str, message: &str) -> bool {
    announced(facts).is_some_and(|one| one.reason == reason && one.message == message)
}

fn announced(facts: &Facts) -> Option<&Condition> {
    facts.conditions.iter().find(|condition| condition.type_ == names::condition::ANNOUNCED)
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
