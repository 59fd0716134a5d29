//! Hosts that are none of ours and answer for addresses of ours.

use super::{FAULT, must_hold};
use crate::fault::Fault;
use crate::scenario::Scenario;
use crate::services;
use crate::time::SEC;
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
