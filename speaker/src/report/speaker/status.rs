//! The status of a Speaker object, made from what the engine says.

use std::net::IpAddr;

use crds::api::v1alpha1::{
    Conflict, ConflictKind, SpeakerLink, SpeakerState, SpeakerStatus, Unanswered,
};
use crds::model::ids::NodeName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::engine::{self, Description, State};

/// Addresses named in a message; the list in the status has all.
const NAMED: usize = 5;

/// The status that says `description`. `there` is the present one, which knows since when there has
/// been a conflict; `now`, in milliseconds since 1970, is when a new one began.
pub(super) fn status(description: &Description, there: &SpeakerStatus, now: u64) -> SpeakerStatus {
    let Description { state, returns, waiting, knock, links, conflicts, unanswered } = description;
    let link = |link: &crate::announce::desired::PortSpec| SpeakerLink {
        name: link.name.clone(),
        mac: link.mac.to_string(),
        address: None,
    };
    let conflict = |conflict: &engine::Conflict| {
        let (address, mac) = (conflict.address.to_string(), conflict.mac.to_string());
        let known = there.conflicts.iter().find(|c| c.address == address && c.mac == mac);
        let since = known.and_then(|known| known.since.clone()).or_else(|| time(now));
        let name = links.iter().find(|link| link.index == conflict.link);
        Conflict {
            address,
            mac,
            interface: name.map_or_else(|| conflict.link.to_string(), |link| link.name.clone()),
            served: conflict.served,
            kind: match conflict.member {
                Some(_) => ConflictKind::Member,
                None => ConflictKind::Foreign,
            },
            since,
        }
    };
    let silent = |(address, node): (&IpAddr, &NodeName)| {
        let (address, node) = (address.to_string(), node.to_string());
        let known = there.unanswered.iter().find(|it| it.address == address && it.node == node);
        let since = known.and_then(|known| known.since.clone()).or_else(|| time(now));
        Unanswered { address, node, since }
    };
    SpeakerStatus {
        state: Some(match state {
            State::Active => SpeakerState::Active,
            State::Draining => SpeakerState::Draining,
            State::Drained => SpeakerState::Drained,
            State::Excluded => SpeakerState::Excluded,
        }),
        message: Some(message(description)),
        returns: *returns,
        waiting: waiting.iter().map(IpAddr::to_string).collect(),
        knock: knock.clone(),
        links: links.iter().map(link).collect(),
        conflicts: conflicts.iter().map(conflict).collect(),
        unanswered: unanswered.iter().map(silent).collect(),
    }
}

/// The state in words.
fn message(Description { state, waiting, .. }: &Description) -> String {
    match state {
        State::Active => "announces what is its to announce".to_owned(),
        State::Draining if waiting.is_empty() => {
            "hands over its addresses to other nodes".to_owned()
        }
        State::Draining => {
            let named: Vec<_> = waiting.iter().take(NAMED).map(IpAddr::to_string).collect();
            let more = match waiting.len() - named.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("waits: no other node can take {}{more}", named.join(", "))
        }
        State::Drained => {
            "has handed over all its addresses, and takes no others: the node can be taken down"
                .to_owned()
        }
        State::Excluded => {
            "announces nothing: the node is excluded from load balancers, or has no network"
                .to_owned()
        }
    }
}

/// In whole seconds, as the API keeps it.
fn time(millis: u64) -> Option<Time> {
    let seconds = i64::try_from(millis / 1_000).ok()?;
    Timestamp::from_second(seconds).ok().map(Time)
}

/// The merge patch that gives an object this status. Every field is named: what is left out would
/// stay as it was.
pub(super) fn patch(status: &SpeakerStatus) -> Value {
    let SpeakerStatus { state, message, returns, waiting, knock, links, conflicts, unanswered } =
        status;
    json!({"status": {
        "state": state,
        "message": message,
        "returns": returns,
        "waiting": waiting,
        "knock": knock,
        "links": links,
        "conflicts": conflicts,
        "unanswered": unanswered,
    }})
}
