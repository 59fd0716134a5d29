//! The proof of ownership: a cluster of real engines in one process under virtual time, on a
//! network and an API that do what they should and what they should not, judged after every step
//! by what `ownership.md` promises. See `docs/simulation.md`.
//!
//! Nothing here reads a clock or another source of chance than the seed: a run replays exactly.

#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod agency;
mod api;
mod audit;
mod deeds;
mod defects;
mod dice;
mod fault;
mod happening;
mod hosts;
mod judge;
mod ledger;
mod node;
mod planner;
mod reporter;
mod routed;
mod rules;
mod runs;
mod scenario;
mod scenes;
mod schedule;
mod services;
mod stats;
mod tale;
mod talk;
mod time;
mod trouble;
mod wire;
mod world;

use std::collections::BTreeMap;

/// `SEED=n` replays one seed and tells everything; otherwise `SEEDS` seeds from `SEED_BASE` on.
#[test]
fn seeds() {
    let one = runs::setting("SEED", 0);
    if one > 0 {
        let scenario = schedule::draw(one);
        let outcome = runs::run(&scenario, true);
        if let Some(violation) = outcome.violation {
            eprintln!("\n{}", runs::explain(&scenario, &violation));
            panic!("seed {one}: {} {}", violation.invariant, violation.text);
        }
        outcome.stats.print();
        return;
    }
    let (base, count) = (runs::setting("SEED_BASE", 1), runs::setting("SEEDS", 60));
    let (failed, stats) = runs::many(base, count, usize::MAX, schedule::draw);
    let mut kinds: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (seed, violation) in &failed {
        kinds.entry(violation.invariant).or_default().push(*seed);
    }
    for (invariant, seeds) in &kinds {
        let some: Vec<u64> = seeds.iter().copied().take(20).collect();
        eprintln!("{invariant}: {} seeds, {some:?}", seeds.len());
    }
    if let Some((seed, violation)) = failed.first() {
        eprintln!("\n{}", runs::explain(&schedule::draw(*seed), violation));
        panic!("{} of {count} seeds failed, the first is {seed}", failed.len());
    }
    stats.must_be_quick();
}
