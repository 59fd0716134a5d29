//! What a Service's conditions say. They are only there while something is wrong.

use crds::names::condition::{ALLOCATED, ANNOUNCED};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::alloc::Refusal;
use crate::view::Facts;

/// What one condition of a Service should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Nothing: all is well, or there is nothing to say.
    Nothing,
    /// What it says now.
    AsItIs,
    /// That it is not so, and why.
    No {
        /// In a word.
        reason: String,
        /// For people.
        message: String,
    },
}

impl Said {
    /// What a Service says of an address that it was refused: the word that logs and metrics have for
    /// it, in the form that conditions have.
    pub fn refused(refusal: &Refusal) -> Self {
        let mut reason = refusal.reason().to_owned();
        if let Some(first) = reason.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self::No { reason, message: refusal.to_string() }
    }
}

/// The conditions as they should be; `None` when they are.
pub(super) fn conditions(
    present: &[Condition],
    allocated: &Said,
    announced: &Said,
    now: Timestamp,
) -> Option<Vec<Condition>> {
    let mut all = present.to_vec();
    set(&mut all, ALLOCATED, allocated, now);
    set(&mut all, ANNOUNCED, announced, now);
    (all != present).then_some(all)
}

fn set(all: &mut Vec<Condition>, kind: &str, said: &Said, now: Timestamp) {
    let found = all.iter().position(|one| one.type_ == kind);
    match (said, found) {
        (Said::AsItIs, _) | (Said::Nothing, None) => {}
        (Said::Nothing, Some(at)) => drop(all.remove(at)),
        // A condition that only changes its words has not changed its state.
        (Said::No { reason, message }, Some(at)) => {
            all[at].reason.clone_from(reason);
            all[at].message.clone_from(message);
        }
        (Said::No { reason, message }, None) => all.push(Condition {
            type_: kind.to_owned(),
            status: "False".to_owned(),
            reason: reason.clone(),
            message: message.clone(),
            last_transition_time: Time(now),
            observed_generation: None,
        }),
    }
}

/// Whether the Service has a condition of ours.
pub fn says_anything(facts: &Facts) -> bool {
    facts.conditions.iter().any(|one| [ALLOCATED, ANNOUNCED].contains(&one.type_.as_str()))
}

/// Whether its condition says that it is not announced for this reason.
pub fn says_not_announced(facts: &Facts, reason: &str) -> bool {
    announced(facts).is_some_and(|one| one.reason == reason)
}

/// Whether it says just this about the announcement.
pub fn says(facts: &Facts, reason: &str, message: &str) -> bool {
    announced(facts).is_some_and(|one| one.reason == reason && one.message == message)
}

fn announced(facts: &Facts) -> Option<&Condition> {
    facts.conditions.iter().find(|condition| condition.type_ == ANNOUNCED)
}
