//! Hosts that are none of ours and answer for addresses of ours.

use speaker::engine::Conflict;

use super::{FAULT, must_hold};
use crate::fault::Fault;
use crate::ledger::Moved;
use crate::node;
use crate::scenario::Scenario;
use crate::services;
use crate::time::{At, SEC};
use crate::wire::foreign_mac;

#[test]
fn what_a_foreign_host_has_is_not_announced() {
    for seed in 1..=4 {
        let scene = Scenario::calm(seed, 3, 4).with(FAULT, 15 * SEC, Fault::ForeignBefore);
        let ledger = must_hold(&Scenario { lasts: 45 * SEC, ..scene });
        // The number of the first Service that is made later.
        let address = services::ip(204);
        let early = ledger.sent.iter().find(|(at, _, of)| *of == address && *at < FAULT + 15 * SEC);
        assert!(early.is_none(), "seed {seed}: {early:?}");
        let reported = ledger.conflicts.iter().any(|(_, _, conflict)| {
            conflict.address == address && conflict.mac == foreign_mac(0) && !conflict.served
        });
        assert!(reported, "seed {seed}: {:?}", ledger.conflicts);
        for reason in ["probing", "addressInUse"] {
            let said = ledger.silences.iter().any(|(_, _, said)| *said == reason);
            assert!(said, "seed {seed}: nobody said {reason}: {:?}", ledger.silences);
        }
        // Once the host is gone the address is taken.
        assert!(ledger.owners(45 * SEC).contains_key(&address), "seed {seed}");
    }
}

#[test]
fn what_a_foreign_host_takes_later_is_kept_and_defended() {
    for seed in 1..=4 {
        let lasts = 25 * SEC;
        let ledger =
            must_hold(&Scenario::calm(seed, 3, 4).with(FAULT, lasts, Fault::ForeignAfter(1)));
        let address = services::ip(1);
        assert_eq!(ledger.moves_after(FAULT).len(), 0, "seed {seed}");
        let mut defences: Vec<_> = ledger
            .sent
            .iter()
            .filter(|(at, _, of)| *of == address && (FAULT..FAULT + lasts).contains(at))
            .map(|(at, ..)| *at)
            .collect();
        // A request and a reply at a time.
        defences.dedup();
        assert!(!defences.is_empty(), "seed {seed}");
        let is_slow = defences.windows(2).all(|pair| pair[1] - pair[0] >= 10 * SEC);
        assert!(is_slow, "seed {seed}: {defences:?}");
        let reported = ledger.conflicts.iter().any(|(_, _, conflict)| {
            conflict.address == address && conflict.mac == foreign_mac(0) && conflict.served
        });
        assert!(reported, "seed {seed}: {:?}", ledger.conflicts);
    }
}

/// The numbers of the Services that the first fault and the second make in a cluster of four.
const NEW: [usize; 2] = [204, 205];
/// When the other program begins: before the agents do, so that they find its record, or later.
const BEGINS: [At; 2] = [0, FAULT];

#[test]
fn what_another_program_on_a_barred_node_answers_for_is_taken_when_it_falls_silent() {
    for (seed, begin) in (1..=4).flat_map(|seed| BEGINS.map(|begin| (seed, begin))) {
        let silent = begin + 15 * SEC;
        let scene = Scenario::calm(seed, 3, 4).with(0, 60 * SEC, Fault::Exclude(0));
        let ledger = must_hold(&scene.with(begin, 15 * SEC, Fault::Program(0)));
        let address = services::ip(NEW[1]);
        let of = |it: &&Moved| it.address == address && it.client == 0;
        let taken: Vec<At> = ledger.moves.iter().filter(of).map(|it| it.at).collect();
        assert!(
            matches!(taken[..], [at] if (silent..silent + 2 * SEC).contains(&at)),
            "seed {seed}: {taken:?}"
        );
        let of_program = |conflict: &Conflict| {
            conflict.address == address && conflict.mac == node::mac(0, 0) && conflict.served
        };
        assert!(ledger.conflicts.iter().any(|(_, _, it)| of_program(it)), "seed {seed}");
    }
}

#[test]
fn what_another_program_on_a_node_of_ours_answers_for_is_taken_over_there() {
    for (seed, begin) in (1..=4).flat_map(|seed| BEGINS.map(|begin| (seed, begin))) {
        for node in 0..3 {
            let scene = Scenario::calm(seed, 3, 4).with(begin, 15 * SEC, Fault::Program(node));
            let ledger = must_hold(&scene);
            let address = services::ip(NEW[0]);
            let of = |it: &&Moved| it.address == address && it.client == 0;
            let taken: Vec<_> = ledger.moves.iter().filter(of).map(|it| (it.to, it.at)).collect();
            // Nobody ever saw a second MAC, and there was no need to wait until it stopped.
            let silent = begin + 15 * SEC;
            assert!(
                matches!(taken[..], [(mac, at)] if mac == node::mac(node, 0) && at < silent),
                "seed {seed}: {taken:?}"
            );
        }
    }
}
