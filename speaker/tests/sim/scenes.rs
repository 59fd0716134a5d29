//! Scenes that must go well, one each, with the figures that are promised.

mod agents;
mod cuts;
mod foreign;
mod large;
mod planned;

use crate::ledger::Ledger;
use crate::runs;
use crate::scenario::Scenario;
use crate::time::{At, SEC};

/// When the fault of a scene begins.
const FAULT: At = 10 * SEC;

/// Runs a scene in which no promise may be broken; gives what was written down of it.
fn must_hold(scenario: &Scenario) -> Ledger {
    let outcome = runs::run(scenario, runs::setting("VERBOSE", 0) > 0);
    if let Some(violation) = &outcome.violation {
        eprintln!("{}", runs::explain(scenario, violation));
        panic!("seed {}: {}: {}", scenario.seed, violation.invariant, violation.text);
    }
    outcome.ledger
}

#[test]
fn nothing_happens_in_a_calm_cluster() {
    for nodes in [1, 2, 3, 5] {
        let ledger = must_hold(&Scenario { lasts: 30 * SEC, ..Scenario::calm(7, nodes, 8) });
        assert!(ledger.ends_well() && ledger.moves_after(0).is_empty());
    }
}

/// Two nodes; one agent is killed and starts without a mesh, while the other lives.
#[test]
fn whoever_was_never_heard_of_is_asked_for_on_the_wire() {
    must_hold(&crate::schedule::draw(20_740));
}

/// A member is given up in error. The one that knows better cannot be heard by one that believed it.
#[test]
fn whom_others_know_to_be_there_is_asked_again() {
    must_hold(&crate::schedule::draw(21_845));
}

/// Two segments; an agent hangs in the ten seconds after a start, before the next round of hellos.
#[test]
fn a_deputy_knows_the_way_on_every_segment_from_the_start() {
    must_hold(&crate::schedule::draw(1_987));
}

/// Two rollouts, the second so soon that it stops an agent that has just started.
#[test]
fn who_is_stopped_before_it_began_leaves_what_its_node_had_to_the_next() {
    must_hold(&crate::schedule::draw(3_723));
}

/// A node was cut off and comes back. It missed everybody meanwhile, and says so, while two others are
/// about to inherit what it had.
#[test]
fn nobody_is_missed_by_the_word_of_one_that_was_cut_off() {
    must_hold(&crate::schedule::draw(6_459));
}

/// The heir of one that died hangs, and not everybody has noticed when the time of heirs is over.
#[test]
fn what_no_heir_took_is_taken_by_one_after_the_other() {
    must_hold(&crate::schedule::draw(6_172));
}

/// A machine that was suspended wakes up. Whoever took its address meanwhile has lost its agent an
/// instant ago, and cannot say so; the others still look into that.
#[test]
fn what_one_said_last_who_is_just_being_missed_is_told_to_those_who_come_back() {
    must_hold(&crate::schedule::draw(1_732));
}

/// A node comes back that never heard what another claimed meanwhile, and that one's agent is just
/// starting again: its new life says nothing of it yet, and the others still know.
#[test]
fn what_a_former_life_said_last_counts_until_the_next_has_begun() {
    must_hold(&crate::schedule::draw(2_058));
    must_hold(&crate::schedule::draw(4_027));
}

/// One frame in twenty is lost, and one member did not hear that another died.
#[test]
fn a_verdict_reaches_everybody_though_frames_are_lost() {
    must_hold(&crate::schedule::draw(5_642));
}

#[test]
fn a_run_replays_exactly() {
    let scenario = || crate::schedule::draw(3);
    let (first, second) = (runs::run(&scenario(), false), runs::run(&scenario(), false));
    assert_eq!(first.tale, second.tale);
    assert_eq!((first.happenings, first.calls), (second.happenings, second.calls));
}
