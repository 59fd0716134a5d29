//! Large clusters.

use std::collections::{BTreeMap, BTreeSet};

use super::must_hold;
use crate::fault::Fault;
use crate::node::{Names, NodeId};
use crate::runs;
use crate::scenario::{SETTLED, Scenario};
use crate::time::{At, SEC};

/// When the node dies.
const DEATH: At = SETTLED + SEC;

/// A node of many dies: its own groups move and no others, soon, and evenly.
fn one_dies(nodes: usize, services: usize, seeds: u64) {
    let mut gaps: Vec<At> = Vec::new();
    for seed in 1..=seeds {
        let calm = Scenario::calm(seed, nodes, services);
        let (outcome, owner) = calm.run_with(4 * SEC, Fault::Cut);
        if let Some(violation) = outcome.violation {
            panic!("seed {seed}: {}: {}", violation.invariant, violation.text);
        }
        let ledger = outcome.ledger;
        let (before, after) = (ledger.owners(DEATH), ledger.owners(At::MAX));
        let mut loads: BTreeMap<NodeId, usize> = (0..nodes).map(|id| (id, 0)).collect();
        loads.remove(&owner);
        let mut heirs = BTreeSet::new();
        for (address, node) in before {
            assert_eq!(after[&address] == node, node != owner, "seed {seed}: {address}");
            *loads.entry(after[&address]).or_default() += 1;
            if node == owner {
                heirs.insert(after[&address]);
            }
        }
        // Whoever inherited has at most one more than anybody else: where all had the same before,
        // they inherit the same but for one.
        let most = heirs.iter().map(|heir| loads[heir]).max();
        let least = loads.values().copied().min();
        let is_even = most.zip(least).is_some_and(|(most, least)| most <= least + 1);
        assert!(is_even, "seed {seed}: heirs {heirs:?} of {loads:?}");
        let after = ledger.gaps.iter().filter(|span| span.since >= DEATH);
        gaps.extend(after.map(|span| span.until - span.since));
    }
    gaps.sort_unstable();
    let (half, most) = (gaps[gaps.len() / 2], gaps[(gaps.len() - 1) * 99 / 100]);
    assert!(half <= SEC / 2 && most <= SEC, "median {half} us, 99th percentile {most} us");
}

/// Each node has twenty links, and all of forty have long names: what they say of themselves, and of
/// what they know of one another, fits into messages.
#[test]
fn many_links_and_long_names_fit_into_messages() {
    for (nodes, segments) in [(3, 20), (40, 1)] {
        let calm = Scenario { names: Names::Long, segments, ..Scenario::calm(1, nodes, 8) };
        let ledger = must_hold(&calm.with(SETTLED + SEC, 4 * SEC, Fault::Cut(0)));
        assert!(ledger.ends_well(), "{nodes} nodes: {:?}", ledger.end);
    }
}

/// How many bytes a second the busiest sender of a cluster at rest puts on its wires.
fn at_rest(nodes: usize, services: usize) -> usize {
    let sent = |lasts| {
        let ledger = must_hold(&Scenario { lasts, ..Scenario::calm(1, nodes, services) });
        ledger.bytes
    };
    let (before, after) = (sent(30 * SEC), sent(60 * SEC));
    let of = |(id, bytes): (&NodeId, &usize)| (bytes - before.get(id).unwrap_or(&0)) / 30;
    after.iter().map(of).max().unwrap_or_default()
}

/// R13. What a node says at rest does not depend on how many Services there are.
#[test]
fn a_cluster_at_rest_says_little_however_many_services_it_has() {
    let [few, many] = [10, 300].map(|services| at_rest(5, services));
    let thirty = at_rest(30, 30);
    eprintln!("bytes a second: 5 nodes {few} and {many}, 30 nodes {thirty}");
    assert!((100..5_500).contains(&few), "{few}");
    assert!(many < few * 11 / 10, "{few} with 10 Services, {many} with 300");
    assert!(thirty < 7_000, "{thirty}");
}

#[test]
#[ignore = "takes most of a minute: make test-long"]
fn one_of_a_hundred_dies() {
    one_dies(100, 300, runs::setting("LARGE", 1));
}

#[test]
fn one_of_thirty_dies() {
    one_dies(30, 300, 2);
}

#[test]
fn one_of_ten_dies() {
    one_dies(10, 300, 3);
}
