//! What a Service's conditions say. They are only there while something is wrong.

use crds::names::condition::{ALLOCATED, ANNOUNCED};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::alloc::Refusal;
use crate::view::Facts;

/// What a Service's condition should say about the announcement of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Nothing: all is well, or there is nothing to announce.
    Nothing,
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

/// The conditions as they should be; `None` when they are.
pub(super) fn conditions(
    present: &[Condition],
    refused: Option<&Refusal>,
    announced: &Said,
    now: Timestamp,
) -> Option<Vec<Condition>> {
    let mut all = present.to_vec();
    match refused {
        Some(refusal) => {
            set(&mut all, ALLOCATED, &capitalised(refusal.reason()), &refusal.to_string(), now);
        }
        None => all.retain(|one| one.type_ != ALLOCATED),
    }
    match announced {
        Said::Nothing => all.retain(|one| one.type_ != ANNOUNCED),
        Said::AsItIs => {}
        Said::No { reason, message } => set(&mut all, ANNOUNCED, reason, message, now),
    }
    (all != present).then_some(all)
}

/// The word that logs and metrics have, in the form that conditions have.
fn capitalised(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}

fn set(all: &mut Vec<Condition>, kind: &str, reason: &str, message: &str, now: Timestamp) {
    // A condition that only changes its words has not changed its state.
    if let Some(found) = all.iter_mut().find(|one| one.type_ == kind) {
        reason.clone_into(&mut found.reason);
        message.clone_into(&mut found.message);
        return;
    }
    all.push(Condition {
        type_: kind.to_owned(),
        status: "False".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: Time(now),
        observed_generation: None,
    });
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
