//! Nodes that die or are cut off, and networks that fall apart.

use std::collections::BTreeSet;

use super::{FAULT, must_hold};
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::node::{Names, NodeId};
use crate::scenario::Scenario;
use crate::time::{At, SEC};

/// The node that has most is lost for ten seconds: its addresses are answered by others within a
/// second, and its return changes nothing.
fn is_succeeded(fault: impl Fn(NodeId) -> Fault, with_api: bool) {
    for seed in 1..=6 {
        let calm = Scenario::calm(seed, 3, 8);
        let owner = calm.busiest();
        let outage = (!with_api).then_some(Fault::ApiOutage).into_iter();
        let calm = outage.fold(calm, |scene, fault| scene.with(9 * SEC, 40 * SEC, fault));
        let ledger = must_hold(&calm.with(FAULT, 10 * SEC, fault(owner)));
        let gap = ledger.longest_gap(FAULT);
        assert!(gap <= SEC, "seed {seed}: {gap} us without an answer");
        let (before, after) = (ledger.owners(FAULT), ledger.owners(FAULT + 2 * SEC));
        for (address, node) in before {
            let stays = after[&address] == node;
            assert_eq!(stays, node != owner, "seed {seed}: {address} of n{node}");
        }
        comes_back_unseen(&ledger, FAULT + 10 * SEC, seed);
    }
}

/// From `from` on nothing moves and nothing has two MACs.
fn comes_back_unseen(ledger: &Ledger, from: At, seed: u64) {
    assert_eq!(ledger.moves_after(from).len(), 0, "seed {seed}: {:?}", ledger.moves_after(from));
    assert_eq!(ledger.longest_overlap(from), 0, "seed {seed}: {:?}", ledger.overlaps);
    assert!(ledger.ends_well(), "seed {seed}: {:?}", ledger.end);
}

#[test]
fn a_silent_cut_is_succeeded_and_its_end_unseen() {
    is_succeeded(Fault::Cut, true);
}

#[test]
fn a_silent_cut_without_the_api_is_no_different() {
    is_succeeded(Fault::Cut, false);
}

#[test]
fn a_lost_carrier_is_succeeded_and_its_return_unseen() {
    is_succeeded(|id| Fault::Unplug(id, 0), true);
}

#[test]
fn a_lost_carrier_without_the_api_is_no_different() {
    is_succeeded(|id| Fault::Unplug(id, 0), false);
}

#[test]
fn a_death_is_succeeded_and_the_reboot_unseen() {
    is_succeeded(Fault::Crash, true);
}

/// Clients and the mesh reach the owner, and no other node hears it on the wire.
#[test]
fn an_owner_that_nobody_hears_on_the_wire_is_told_of_until_it_is_heard() {
    let calm = Scenario::calm(1, 3, 8);
    let owner = calm.busiest();
    let cut = Fault::WireCut([owner].into());
    let scene = Scenario { lasts: FAULT + 110 * SEC, ..calm.with(FAULT, 60 * SEC, cut) };
    let ledger = must_hold(&scene);
    let named = ledger.ever_unanswered.iter().filter(|(_, node)| *node == Names::Short.of(owner));
    let held = ledger.owners(FAULT).into_values().filter(|id| *id == owner).count();
    assert_eq!(named.count(), held, "{:?}", ledger.ever_unanswered);
    let still: Vec<_> = ledger.unanswered.iter().filter(|(_, all)| !all.is_empty()).collect();
    assert!(still.is_empty(), "{still:?}");
}

#[test]
fn nobody_is_told_of_where_all_is_well() {
    let ledger = must_hold(&Scenario { lasts: 90 * SEC, ..Scenario::calm(2, 4, 8) });
    assert!(ledger.ever_unanswered.is_empty(), "{:?}", ledger.ever_unanswered);
}

#[test]
fn a_mesh_that_is_cut_everywhere_changes_nothing() {
    for (seed, nodes) in [(1, 3), (2, 5), (3, 2)] {
        let ledger =
            must_hold(&Scenario::calm(seed, nodes, 8).with(FAULT, 60 * SEC, Fault::NoMesh));
        assert_eq!(ledger.longest_gap(FAULT), 0, "seed {seed}: {:?}", ledger.gaps);
        comes_back_unseen(&ledger, FAULT, seed);
    }
}

#[test]
fn isolated_ports_end_with_one_mac() {
    for (seed, nodes) in [(1, 3), (2, 3), (3, 5), (4, 2)] {
        let scene = Scenario::calm(seed, nodes, 6).with(FAULT, 60 * SEC, Fault::Isolate);
        let ledger = must_hold(&scene);
        // A knock and its echo take some seconds.
        let settled = FAULT + 20 * SEC;
        let late: Vec<_> = ledger.overlaps.iter().filter(|span| span.until > settled).collect();
        assert!(late.is_empty(), "seed {seed}: {late:?}");
        assert!(ledger.ends_well(), "seed {seed}: {:?}", ledger.end);
    }
}

#[test]
fn two_halves_are_one_within_a_second() {
    let halves: [(u64, usize, &[NodeId]); 4] =
        [(1, 4, &[0, 1]), (2, 5, &[0, 1]), (3, 3, &[2]), (4, 2, &[0])];
    for (seed, nodes, half) in halves {
        let half: BTreeSet<NodeId> = half.iter().copied().collect();
        let scene = Scenario::calm(seed, nodes, 10).with(FAULT, 10 * SEC, Fault::Halves(half));
        let ledger = must_hold(&scene);
        let healed = FAULT + 10 * SEC + SEC;
        let late: Vec<_> = ledger.overlaps.iter().filter(|span| span.until > healed).collect();
        assert!(late.is_empty(), "seed {seed}: {late:?}");
        assert!(ledger.ends_well(), "seed {seed}: {:?}", ledger.end);
    }
}

#[test]
fn a_flapping_node_loses_each_address_once() {
    let kinds: [fn(NodeId) -> Fault; 3] = [Fault::Cut, |id| Fault::Unplug(id, 0), Fault::Crash];
    for (seed, kind) in (1..).zip(kinds) {
        let calm = Scenario::calm(seed, 4, 12);
        let owner = calm.busiest();
        let times = (0..5).map(|time| FAULT + time * 12 * SEC);
        let scene = times.fold(calm, |scene, at| scene.with(at, 4 * SEC, kind(owner)));
        let ledger = must_hold(&scene);
        let moves = ledger.moves_after(FAULT);
        for moved in &moves {
            let again = |it: &&&crate::ledger::Moved| {
                (it.client, it.address) == (moved.client, moved.address)
            };
            assert_eq!(moves.iter().filter(again).count(), 1, "seed {seed}: {}", moved.address);
        }
        assert!(ledger.ends_well(), "seed {seed}: {:?}", ledger.end);
    }
}
