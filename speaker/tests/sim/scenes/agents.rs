//! Agents that die, hang or restart while their nodes live: clients must notice nothing but, at
//! worst, a short silence.

use std::collections::BTreeMap;

use super::{FAULT, must_hold};
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::node::NodeId;
use crate::scenario::Scenario;
use crate::services;
use crate::time::{At, MS, SEC};

/// What the fault shows in a cluster of three, of several seeds; it befalls the node that has most.
fn each(lasts: At, fault: impl Fn(NodeId) -> Fault, check: impl Fn(&Ledger)) {
    for seed in 1..=6 {
        let calm = Scenario::calm(seed, 3, 8);
        let fault = fault(calm.busiest());
        let ledger = must_hold(&calm.with(FAULT, lasts, fault));
        assert_eq!(ledger.moves_after(FAULT).len(), 0, "seed {seed}: {:?}", ledger.moves);
        assert!(ledger.ends_well(), "seed {seed}: {:?}", ledger.end);
        check(&ledger);
    }
}

/// I2: the deputy is there within 200 ms.
fn is_short(ledger: &Ledger) {
    let gap = ledger.longest_gap(FAULT);
    assert!(gap <= 200 * MS, "{gap} us without an answer");
}

#[test]
fn a_killed_agent_is_deputised_at_once() {
    each(3 * SEC, Fault::Kill, is_short);
}

#[test]
fn a_killed_agent_keeps_its_addresses_for_twenty_seconds() {
    each(20 * SEC, Fault::Kill, is_short);
}

#[test]
fn a_killed_agent_keeps_its_addresses_without_the_api() {
    for seed in 1..=6 {
        let calm = Scenario::calm(seed, 3, 8);
        let owner = calm.busiest();
        let scene = calm.with(9 * SEC, 30 * SEC, Fault::ApiOutage);
        let ledger = must_hold(&scene.with(FAULT, 5 * SEC, Fault::Kill(owner)));
        assert_eq!(ledger.moves_after(FAULT).len(), 0, "seed {seed}");
        is_short(&ledger);
    }
}

#[test]
fn a_hung_agent_goes_on_without_a_second_mac() {
    each(10 * SEC, Fault::Hang, |ledger| {
        let both = ledger.longest_overlap(FAULT);
        assert!(both <= 100 * MS, "two MACs for {both} us");
    });
}

#[test]
fn a_rollout_shows_nothing() {
    for seed in 1..=3 {
        let scene = Scenario::calm(seed, 3, 30).with(FAULT, 0, Fault::Rollout);
        let ledger = must_hold(&Scenario { lasts: 45 * SEC, ..scene });
        assert_eq!(ledger.moves_after(FAULT).len(), 0, "seed {seed}");
        let gap = ledger.longest_gap(FAULT);
        assert!(gap < 20 * MS, "seed {seed}: {gap} us without an answer");
    }
}

#[test]
fn what_another_program_announced_stays_where_it_was() {
    for seed in 1..=30 {
        let scene = Scenario { inherited: true, ..Scenario::calm(seed, 3, 12) };
        let owners = must_hold(&scene).owners(At::MAX);
        let expected: BTreeMap<_, _> =
            (1..=12).map(|number| (services::ip(number), number % 3)).collect();
        assert_eq!(owners, expected, "seed {seed}");
    }
}

#[test]
fn all_agents_at_once_come_back_as_they_were() {
    for (seed, nodes) in [(1, 3), (2, 3), (3, 5), (4, 5), (5, 2)] {
        let scene = Scenario::calm(seed, nodes, 12).with(FAULT, 10 * SEC, Fault::RestartAll);
        let ledger = must_hold(&scene);
        let end = ledger.owners(At::MAX);
        assert_eq!(ledger.owners(FAULT), end, "seed {seed}");
        assert!(ledger.ends_well(), "seed {seed}: {:?}", ledger.end);
    }
}
