use std::net::IpAddr;

use crds::api::v1alpha1::SpeakerState;
use crds::model::ids::{IfIndex, MacAddr};

use super::status::{patch, status};
use super::*;
use crate::announce::desired::PortSpec;
use crate::engine::{Conflict, State};

const NOW: u64 = 1_700_000_000_000;
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

fn in_state(state: State) -> Description {
    Description { state, ..Description::default() }
}

/// A desk that knows that its object is there, with this status.
fn desk(there: SpeakerStatus) -> Desk {
    let mut desk = Desk::new("n1".to_owned());
    desk.observe(Some(there));
    desk
}

fn written(description: &Description) -> SpeakerStatus {
    status(description, &SpeakerStatus::default(), NOW)
}

fn step(status: &SpeakerStatus, is_drained_now: bool) -> Step {
    Step::Status { status: Box::new(status.clone()), is_drained_now }
}

#[test]
fn nothing_is_written_before_it_is_known_what_is_there() {
    let mut desk = Desk::new("n1".to_owned());
    desk.describe(in_state(State::Active));
    assert_eq!(desk.next(false, NOW), None);
    desk.observe(None);
    assert_eq!(desk.next(false, NOW), Some(Step::Create));
    desk.finish(Step::Create, Some(SpeakerStatus::default()));
    let status = written(&in_state(State::Active));
    assert_eq!(desk.next(false, NOW), Some(step(&status, false)));
    desk.finish(step(&status, false), Some(status));
    assert_eq!(desk.next(false, NOW), None, "found as it should be");
}

#[test]
fn a_restarted_speaker_finds_its_object_and_writes_nothing() {
    let mut desk = desk(written(&in_state(State::Active)));
    desk.describe(in_state(State::Active));
    assert_eq!(desk.next(false, NOW), None);
}

#[test]
fn state_and_echo_are_urgent_and_the_rest_can_wait() {
    let mut desk = desk(written(&in_state(State::Active)));
    let waiting = [[192, 0, 2, 1].into()].into();
    desk.describe(Description { waiting, ..in_state(State::Active) });
    assert_eq!(desk.next(true, NOW), None);
    assert!(desk.next(false, NOW).is_some());
    desk.describe(in_state(State::Draining));
    assert!(desk.next(true, NOW).is_some());
    desk.describe(Description { knock: Some("ab".to_owned()), ..in_state(State::Active) });
    assert!(desk.next(true, NOW).is_some());
}

#[test]
fn that_a_node_is_drained_is_told_once_even_by_a_speaker_that_is_started_again() {
    let drained = written(&in_state(State::Drained));
    let mut first = desk(written(&in_state(State::Draining)));
    first.describe(in_state(State::Drained));
    assert_eq!(first.next(false, NOW), Some(step(&drained, true)));
    // The watch may tell of the write before its answer comes.
    first.observe(Some(drained.clone()));
    first.finish(step(&drained, true), Some(drained.clone()));
    let knocked = Description { knock: Some("ab".to_owned()), ..in_state(State::Drained) };
    first.describe(knocked.clone());
    assert_eq!(first.next(false, NOW), Some(step(&written(&knocked), false)));
    let mut second = desk(drained);
    second.describe(in_state(State::Drained));
    assert_eq!(second.next(false, NOW), None);
}

#[test]
fn a_knock_goes_first_and_a_later_one_takes_its_place() {
    let mut desk = desk(SpeakerStatus::default());
    desk.describe(in_state(State::Active));
    let knock = |nonce: &str| Step::Knock { node: "n2".into(), nonce: nonce.to_owned() };
    desk.knock("n2".into(), "ab".to_owned());
    assert_eq!(desk.next(true, NOW), Some(knock("ab")));
    desk.knock("n2".into(), "cd".to_owned());
    desk.finish(knock("ab"), None);
    assert_eq!(desk.next(true, NOW), Some(knock("cd")));
    desk.finish(knock("cd"), None);
    assert!(matches!(desk.next(false, NOW), Some(Step::Status { .. })));
}

#[test]
fn an_object_that_somebody_deleted_is_made_again() {
    let mut desk = desk(SpeakerStatus::default());
    desk.describe(in_state(State::Active));
    let status = written(&in_state(State::Active));
    desk.finish(step(&status, false), None);
    assert_eq!(desk.next(true, NOW), Some(Step::Create));
}

#[test]
fn a_conflict_keeps_the_time_it_was_first_seen_at() {
    let links = vec![PortSpec { index: IfIndex(2), name: "eth0".to_owned(), mac: MAC, v6: true }];
    let conflict = Conflict {
        address: [192, 0, 2, 1].into(),
        mac: MAC,
        link: IfIndex(2),
        served: true,
        member: None,
    };
    let conflicts = [conflict].into();
    let description = Description { links, conflicts, ..in_state(State::Active) };
    let first = written(&description);
    assert_eq!(first.conflicts[0].interface, "eth0");
    assert!(first.conflicts[0].since.is_some());
    assert_eq!(status(&description, &first, NOW + 60_000), first);
}

#[test]
fn what_nobody_answers_keeps_its_time_while_it_has_the_same_owner() {
    let unanswered = |node: &str| Description {
        unanswered: [([192, 0, 2, 1].into(), node.into())].into(),
        ..in_state(State::Active)
    };
    let first = written(&unanswered("n2"));
    let [one] = &first.unanswered[..] else { panic!("{first:?}") };
    assert_eq!((one.address.as_str(), one.node.as_str()), ("192.0.2.1", "n2"));
    assert!(one.since.is_some());
    assert_eq!(status(&unanswered("n2"), &first, NOW + 60_000), first);
    let other = status(&unanswered("n3"), &first, NOW + 60_000);
    assert!(other.unanswered[0].since > one.since);
    assert_eq!(written(&in_state(State::Active)).unanswered, []);
}

#[test]
fn what_waits_is_named_but_not_without_end() {
    let addresses = (1..=7).map(|n| IpAddr::from([192, 0, 2, n]));
    let draining = Description { waiting: addresses.collect(), ..in_state(State::Draining) };
    let status = written(&draining);
    let message = status.message.unwrap();
    assert!(message.ends_with("192.0.2.5 and 2 more"), "{message}");
    assert_eq!((status.waiting.len(), status.state), (7, Some(SpeakerState::Draining)));
}

#[test]
fn a_patch_names_every_field_so_that_what_is_gone_goes() {
    let patch = patch(&SpeakerStatus::default());
    let fields: Vec<_> = patch["status"].as_object().unwrap().keys().collect();
    let all =
        ["conflicts", "knock", "links", "message", "returns", "state", "unanswered", "waiting"];
    assert_eq!(fields, all);
    assert!(patch["status"]["knock"].is_null() && patch["status"]["links"] == json!([]));
}

#[test]
fn pauses_after_failures_grow_and_end_with_a_success() {
    let mut rest = Rest::default();
    for _ in 0..40 {
        rest.begin(&Step::Create, false);
        assert!(rest.is_back_off && rest.until.unwrap() <= Instant::now() + PAUSES.1);
    }
    rest.end();
    rest.begin(&Step::Create, true);
    assert!(!rest.is_back_off && rest.failures == 0 && rest.until.is_none());
}
