//! Planned moves: make before break.

use super::{FAULT, must_hold};
use crate::fault::Fault;
use crate::node::NodeId;
use crate::scenario::Scenario;
use crate::time::{MS, SEC};

/// The node that has most is emptied: the new owners answer before the old one stops.
fn is_handed_over(fault: impl Fn(NodeId) -> Fault) {
    for seed in 1..=6 {
        let calm = Scenario::calm(seed, 4, 16);
        let owner = calm.busiest();
        let ledger = must_hold(&calm.with(FAULT, 10 * SEC, fault(owner)));
        assert_eq!(ledger.longest_gap(FAULT), 0, "seed {seed}: {:?}", ledger.gaps);
        let both = ledger.longest_overlap(FAULT);
        assert!(both <= 100 * MS, "seed {seed}: two MACs for {both} us");
        let left = ledger.owners(FAULT + 3 * SEC);
        assert!(left.values().all(|id| *id != owner), "seed {seed}: {left:?}");
        // And nothing comes back when the mark goes.
        assert_eq!(ledger.moves_after(FAULT + 10 * SEC).len(), 0, "seed {seed}");
    }
}

#[test]
fn an_excluded_node_hands_over_without_a_gap() {
    is_handed_over(Fault::Exclude);
}

#[test]
fn a_drained_node_hands_over_without_a_gap() {
    is_handed_over(Fault::Drain);
}

#[test]
fn shared_addresses_stay_together() {
    let faults: [fn(NodeId) -> Fault; 4] =
        [Fault::Drain, Fault::Crash, Fault::Kill, |_| Fault::Share(3, 4)];
    for (seed, fault) in (1..).zip(faults) {
        let calm = Scenario { shared: true, ..Scenario::calm(seed, 4, 8) };
        let owner = calm.busiest();
        // That no client ever sees a group in two places for long is judged all the time (I7).
        let ledger = must_hold(&calm.with(FAULT, 10 * SEC, fault(owner)));
        let end = ledger.owners(crate::time::At::MAX);
        assert_eq!(end[&crate::services::ip(1)], end[&crate::services::ip(2)], "seed {seed}");
        assert!(ledger.ends_well(), "seed {seed}: {:?}", ledger.end);
    }
}
