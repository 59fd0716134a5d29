//! Many seeds, side by side; and what is told of one that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::scenario::{Outcome, Scenario};
use crate::stats::Stats;
use crate::time::show;
use crate::world::Violation;

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs a scenario; a panic counts as a broken promise.
pub(crate) fn run(scenario: &Scenario, verbose: bool) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| scenario.run(verbose))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        let text = text.unwrap_or_default();
        let violation = Some(Violation { at: 0, invariant: "no panic", text });
        Outcome { violation, ..Outcome::default() }
    })
}

/// What is left of a schedule when everything is dropped that the failure does not need.
pub(crate) fn shrink(scenario: &Scenario, invariant: &str) -> Scenario {
    let mut least = scenario.clone();
    let mut at = 0;
    while at < least.planned.len() {
        let mut fewer = least.clone();
        fewer.planned.remove(at);
        if run(&fewer, false).violation.is_some_and(|found| found.invariant == invariant) {
            least = fewer;
        } else {
            at += 1;
        }
    }
    least
}

/// All that helps to understand a failure.
pub(crate) fn explain(scenario: &Scenario, violation: &Violation) -> String {
    let least = shrink(scenario, violation.invariant);
    let outcome = run(&least, false);
    let tale = outcome.tale.iter().map(|(at, text)| format!("{} {text}\n", show(*at)));
    let schedule = least.planned.iter().map(|planned| {
        format!("  {} for {}: {:?}\n", show(planned.at), show(planned.lasts), planned.fault)
    });
    let traits = format!(
        "{} nodes, {} segments, {} services, local {}, shared {}, arp_ignore {:?}, {:?}",
        least.nodes,
        least.segments,
        least.services,
        least.local,
        least.shared,
        least.arp_ignore,
        least.switches
    );
    let found = outcome.violation.unwrap_or_else(|| violation.clone());
    format!(
        "seed {}: {} at {}: {}\nof {} faults these are needed ({traits}):\n{}\n{}\nreplay with SEED={}",
        scenario.seed,
        found.invariant,
        show(found.at),
        found.text,
        scenario.planned.len(),
        schedule.collect::<String>(),
        tale.collect::<String>(),
        scenario.seed,
    )
}

/// Runs `count` seeds from `base` on, on as many threads as `THREADS` says; prints the statistics;
/// gives the seeds that failed, in order.
pub(crate) fn many(
    base: u64,
    count: u64,
    stop_at: usize,
    draw: impl Fn(u64) -> Scenario + Sync,
) -> (Vec<(u64, Violation)>, Stats) {
    let next = AtomicU64::new(base);
    let stop = AtomicBool::new(false);
    let total = Mutex::new((Vec::new(), Stats::default(), 0_u64, 0_u64, 0_u64));
    std::thread::scope(|scope| {
        for _ in 0..setting("THREADS", 2) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= base + count || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let outcome = run(&draw(seed), false);
                    let mut total = total.lock().unwrap();
                    total.1.add(outcome.stats);
                    total.2 += outcome.happenings;
                    total.3 += outcome.calls;
                    total.4 += 1;
                    if let Some(violation) = outcome.violation {
                        eprintln!("seed {seed}: {} {}", violation.invariant, violation.text);
                        total.0.push((seed, violation));
                        stop.fetch_or(total.0.len() >= stop_at, Ordering::Relaxed);
                    }
                    if total.4 % 100 == 0 {
                        eprintln!("{} of {count} seeds, {} failed", total.4, total.0.len());
                    }
                }
            });
        }
    });
    let (mut failed, stats, happenings, calls, done) = total.into_inner().unwrap();
    failed.sort_by_key(|(seed, _)| *seed);
    eprintln!("{done} seeds, {happenings} happenings, {calls} calls of engines");
    stats.print();
    (failed, stats)
}
