//! Proves that the simulation notices broken rules: for each there is a scene that goes well with a
//! sound engine, and not with one that breaks the rule.

use speaker::engine::Defect;

use crate::fault::Fault;
use crate::node::NodeId;
use crate::runs;
use crate::scenario::Scenario;
use crate::time::{At, MS, SEC};

/// `defect` must break one of `invariants` when faults befall a cluster, and without the defect they
/// must break none; both for several seeds. Faults come with their beginnings and lengths, and may
/// be about the node that has most.
fn must_be_caught(
    defect: Defect,
    invariants: &[&str],
    faults: impl Fn(NodeId) -> Vec<(At, At, Fault)>,
) {
    for seed in 1..=4 {
        let calm = Scenario::calm(seed, 3, 20);
        let faults = faults(calm.busiest()).into_iter();
        let sound = faults.fold(calm, |scene, (at, lasts, fault)| scene.with(at, lasts, fault));
        if let Some(violation) = runs::run(&sound, false).violation {
            eprintln!("{}", runs::explain(&sound, &violation));
            panic!("seed {seed}: without any defect: {}", violation.text);
        }
        let caught = runs::run(&sound.with_defect(defect), false).violation;
        let caught = caught.map(|violation| violation.invariant);
        assert!(
            caught.is_some_and(|caught| invariants.contains(&caught)),
            "seed {seed}: {defect:?} shows as {caught:?}, not as one of {invariants:?}"
        );
    }
}

/// One fault of some length.
fn one(fault: Fault) -> Vec<(At, At, Fault)> {
    vec![(10 * SEC, 8 * SEC, fault)]
}

#[test]
fn skipping_the_wire_check_moves_what_an_absent_agent_has() {
    must_be_caught(Defect::SkipWireCheck, &["I3"], |owner| one(Fault::Kill(owner)));
}

#[test]
fn stopping_before_the_successor_has_claimed_leaves_a_gap() {
    must_be_caught(Defect::SkipAcknowledgement, &["I2"], |owner| one(Fault::Drain(owner)));
}

#[test]
fn ignoring_higher_claims_leaves_two_macs() {
    must_be_caught(Defect::IgnoreClaims, &["I1"], |owner| one(Fault::Drain(owner)));
}

#[test]
fn obeying_the_record_moves_what_is_owned() {
    // Records are looked at when an agent starts; a moment later they have been mended.
    must_be_caught(Defect::RecordIsAnOrder, &["I1", "I3", "I4", "R7"], |owner| {
        let (killed, other) = (10 * SEC, (owner + 1) % 3);
        let restored = killed + 4 * SEC - 10 * MS;
        vec![(killed, 4 * SEC, Fault::Kill(other)), (restored, 0, Fault::OldRecords)]
    });
}

#[test]
fn trusting_the_dead_leaves_their_addresses_unanswered() {
    must_be_caught(Defect::TrustTheDead, &["I2"], |owner| one(Fault::Crash(owner)));
}

#[test]
fn obeying_a_void_order_moves_what_its_owner_keeps() {
    // Members must have been there for ten seconds before anything is given to them.
    must_be_caught(Defect::ObeyVoidOrders, &["I4", "R7"], |owner| {
        let other = (owner + 1) % 3;
        (1..=20).map(|service| (20 * SEC, 0, Fault::Order(service, other, false))).collect()
    });
}

#[test]
fn answering_on_while_cut_off_shows_as_a_second_mac_on_return() {
    must_be_caught(Defect::NeverLapse, &["I1"], |owner| one(Fault::Cut(owner)));
}
