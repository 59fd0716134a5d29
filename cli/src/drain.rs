//! Taking a node out of service: the mark, and what the node's speaker says of it.
//!
//! The mark is a label or an annotation, `ferrolb.io/drain`; the speaker acts on it by itself. How
//! far it is stands in its Speaker object, and which Services it still announces in their
//! ServiceL2Statuses. Plain data in, words out.

use crds::api::v1alpha1::{SpeakerState, SpeakerStatus};
use crds::names::DRAIN;
use serde_json::{Value, json};

/// Services and addresses named in a line.
const NAMED: usize = 5;

/// The merge patch of a Node that marks it.
pub fn mark() -> Value {
    json!({"metadata": {"labels": {DRAIN: "true"}}})
}

/// The merge patch that takes the mark off, in whichever form it is there.
pub fn unmark() -> Value {
    json!({"metadata": {"labels": {DRAIN: null}, "annotations": {DRAIN: null}}})
}

/// How a node stands, as the API tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// What its speaker says.
    pub status: SpeakerStatus,
    /// The Services that it announces: namespace and name.
    pub services: Vec<String>,
}

/// Whether it is as it should be; in words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It is.
    Done(String),
    /// Not yet.
    Waiting(String),
}

/// How far `node` is with handing over.
pub fn drained(node: &str, seen: &Seen) -> Look {
    let Seen { status: SpeakerStatus { state, waiting, .. }, services } = seen;
    let left = left(services);
    match state {
        Some(SpeakerState::Drained) => Look::Done(format!(
            "{node} is drained: it announces nothing, and takes nothing until it is undrained"
        )),
        Some(SpeakerState::Excluded) if services.is_empty() => Look::Done(format!(
            "{node} is excluded from load balancers or has no network, and announces nothing; now \
             it is marked for draining as well"
        )),
        Some(SpeakerState::Excluded) => Look::Waiting(format!("{node} is excluded; {left}")),
        Some(SpeakerState::Draining) if waiting.is_empty() => {
            Look::Waiting(format!("{node} hands over; {left}"))
        }
        Some(SpeakerState::Draining) => Look::Waiting(format!(
            "{node} waits, since no other node can take {}; {left}",
            named(waiting)
        )),
        Some(SpeakerState::Active) | None => {
            Look::Waiting(format!("{node} has not seen the mark yet; {left}"))
        }
    }
}

/// Whether `node` takes addresses again.
pub fn undrained(node: &str, seen: &Seen) -> Look {
    match seen.status.state {
        Some(SpeakerState::Active) => Look::Done(format!(
            "{node} takes addresses again; none comes back at once, the controller evens out the \
             spread later"
        )),
        Some(SpeakerState::Excluded) => Look::Done(format!(
            "{node} is not marked for draining any more, and takes nothing all the same: it is \
             excluded from load balancers or has no network"
        )),
        Some(SpeakerState::Draining | SpeakerState::Drained) | None => {
            Look::Waiting(format!("{node} has not seen yet that the mark is gone"))
        }
    }
}

/// What to do when `node` does not get there; `seen` is what was seen of it last.
pub fn hint(node: &str, namespace: &str, seen: Option<&Seen>) -> String {
    let is_waiting = seen.is_some_and(|seen| !seen.status.waiting.is_empty());
    if is_waiting {
        return "Another node can take an address if an L2Advertisement of its pool selects it, if it \
                has one of the interfaces named there, and, where externalTrafficPolicy is Local, \
                if an endpoint on it is ready. The mark stays, and the node goes on answering."
            .to_owned();
    }
    format!(
        "Does the node's speaker run? kubectl -n {namespace} get pods -o wide \
         -l app.kubernetes.io/component=speaker --field-selector spec.nodeName={node}"
    )
}

/// How many Services are still announced, and which.
fn left(services: &[String]) -> String {
    match services {
        [] => "no Service is announced from it".to_owned(),
        [one] => format!("1 Service left: {one}"),
        more => format!("{} Services left: {}", more.len(), named(more)),
    }
}

fn named(all: &[String]) -> String {
    let list = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(state: Option<SpeakerState>, waiting: &[&str], services: &[&str]) -> Seen {
        let owned = |all: &[&str]| all.iter().map(ToString::to_string).collect();
        let status = SpeakerStatus { state, waiting: owned(waiting), ..SpeakerStatus::default() };
        Seen { status, services: owned(services) }
    }

    #[test]
    fn draining_is_told_step_by_step() {
        let many: Vec<String> = (1..=7).map(|number| format!("a/{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for (state, waiting, services, line) in [
            (
                None,
                &[][..],
                &[][..],
                "n1 has not seen the mark yet; no Service is announced from it",
            ),
            (
                Some(SpeakerState::Active),
                &[],
                &["a/b"],
                "n1 has not seen the mark yet; 1 Service left: a/b",
            ),
            (
                Some(SpeakerState::Draining),
                &[],
                &many[..],
                "n1 hands over; 7 Services left: a/1, a/2, a/3, a/4, a/5 and 2 more",
            ),
            (
                Some(SpeakerState::Draining),
                &["192.0.2.1", "192.0.2.2"],
                &["a/b", "a/c"],
                "n1 waits, since no other node can take 192.0.2.1, 192.0.2.2; \
                 2 Services left: a/b, a/c",
            ),
            (Some(SpeakerState::Excluded), &[], &["a/b"], "n1 is excluded; 1 Service left: a/b"),
        ] {
            let look = drained("n1", &seen(state, waiting, services));
            assert_eq!(look, Look::Waiting(line.to_owned()));
        }
    }

    #[test]
    fn a_node_is_drained_when_its_speaker_says_so_or_when_it_is_excluded_and_has_nothing() {
        for (state, services, done) in [
            // The status objects may lag behind.
            (SpeakerState::Drained, &["a/b"][..], true),
            (SpeakerState::Drained, &[], true),
            (SpeakerState::Excluded, &[], true),
            (SpeakerState::Excluded, &["a/b"], false),
            (SpeakerState::Draining, &[], false),
            (SpeakerState::Active, &[], false),
        ] {
            let look = drained("n1", &seen(Some(state), &[], services));
            assert_eq!(matches!(look, Look::Done(_)), done, "{look:?}");
        }
    }

    #[test]
    fn the_mark_is_gone_when_the_speaker_says_something_else() {
        for (state, done) in [
            (Some(SpeakerState::Active), true),
            (Some(SpeakerState::Excluded), true),
            (Some(SpeakerState::Draining), false),
            (Some(SpeakerState::Drained), false),
            (None, false),
        ] {
            let look = undrained("n1", &seen(state, &[], &[]));
            assert_eq!(matches!(look, Look::Done(_)), done, "{look:?}");
        }
    }

    #[test]
    fn the_hint_is_about_what_was_seen() {
        let waits = seen(Some(SpeakerState::Draining), &["192.0.2.1"], &["a/b"]);
        assert!(hint("n1", "ns", Some(&waits)).contains("L2Advertisement"));
        let silent = seen(Some(SpeakerState::Active), &[], &[]);
        for seen in [None, Some(&silent)] {
            let hint = hint("n1", "ns", seen);
            assert!(hint.contains("-n ns") && hint.contains("spec.nodeName=n1"), "{hint}");
        }
    }

    #[test]
    fn the_mark_is_a_label_and_goes_in_either_form() {
        assert_eq!(mark()["metadata"]["labels"]["ferrolb.io/drain"], "true");
        let gone = unmark();
        for form in ["labels", "annotations"] {
            let marks = gone["metadata"][form].as_object().unwrap();
            assert_eq!(marks.get("ferrolb.io/drain"), Some(&Value::Null), "{form}");
        }
    }
}
