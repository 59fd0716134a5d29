//! Scenes that must go well, one each, and those that prove the simulator itself.

use crate::fault::Fault;
use crate::runs;
use crate::scenario::Scenario;
use crate::time::SEC;

fn must_hold(scenario: &Scenario) {
    let outcome = runs::run(scenario, runs::setting("VERBOSE", 0) > 0);
    if let Some(violation) = &outcome.violation {
        eprintln!("{}", runs::explain(scenario, violation));
        panic!("{}: {}", violation.invariant, violation.text);
    }
}

#[test]
fn nothing_happens_in_a_calm_cluster() {
    for nodes in [1, 2, 3, 5] {
        must_hold(&Scenario { lasts: 30 * SEC, ..Scenario::calm(7, nodes, 8) });
    }
}

#[test]
fn a_run_replays_exactly() {
    let scenario = || crate::schedule::draw(3);
    let (first, second) = (runs::run(&scenario(), false), runs::run(&scenario(), false));
    assert_eq!(first.tale, second.tale);
    assert_eq!((first.happenings, first.calls), (second.happenings, second.calls));
}

#[test]
fn the_death_of_a_node_is_noticed() {
    must_hold(&Scenario::calm(1, 3, 8).with(10 * SEC, 10 * SEC, Fault::Crash(1)));
}
