//! How long addresses were silent, by kind of fault, over all runs.

use std::collections::BTreeMap;

use crate::time::{At, MS};

/// Gaps and overlaps by kind of fault, in microseconds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Stats {
    pub(crate) gaps: BTreeMap<String, Vec<At>>,
    pub(crate) overlaps: BTreeMap<String, Vec<At>>,
}

impl Stats {
    pub(crate) fn gap(&mut self, kind: &str, lasted: At) {
        self.gaps.entry(kind.to_owned()).or_default().push(lasted);
    }

    pub(crate) fn overlap(&mut self, kind: &str, lasted: At) {
        self.overlaps.entry(kind.to_owned()).or_default().push(lasted);
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (kind, samples) in other.gaps {
            self.gaps.entry(kind).or_default().extend(samples);
        }
        for (kind, samples) in other.overlaps {
            self.overlaps.entry(kind).or_default().extend(samples);
        }
    }

    /// The value below which `permille` of the gaps of a kind lie.
    pub(crate) fn quantile(&self, kind: &str, permille: usize) -> Option<At> {
        quantile(self.gaps.get(kind)?, permille)
    }

    /// I2, over all runs: what holds for the median and the 99th percentile.
    pub(crate) fn must_be_quick(&self) {
        for kind in ["Crash", "Cut", "Unplug", "DeadPort"] {
            let few = self.gaps.get(kind).is_none_or(|samples| samples.len() < 100);
            if !few {
                let (half, most) = (self.quantile(kind, 500), self.quantile(kind, 990));
                assert!(half <= Some(500 * MS), "{kind}: median {half:?} us");
                assert!(most <= Some(1_000 * MS), "{kind}: 99th percentile {most:?} us");
            }
        }
        let killed = self.gaps.get("Kill").filter(|samples| samples.len() >= 100);
        let most = killed.and_then(|_| self.quantile("Kill", 990));
        assert!(most <= Some(200 * MS), "Kill: 99th percentile {most:?} us");
    }

    pub(crate) fn print(&self) {
        for (title, table) in [("unanswered", &self.gaps), ("two MACs", &self.overlaps)] {
            eprintln!("{title:>22}      n    min median    p99    max   ms");
            for (kind, samples) in table {
                let at = |permille| {
                    let at = quantile(samples, permille).unwrap_or_default();
                    format!("{}.{}", at / MS, at % MS / 100)
                };
                eprintln!(
                    "{kind:>22} {:>6} {:>6} {:>6} {:>6} {:>6}",
                    samples.len(),
                    at(0),
                    at(500),
                    at(990),
                    at(1_000)
                );
            }
        }
    }
}

fn quantile(samples: &[At], permille: usize) -> Option<At> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len().checked_sub(1)?) * permille / 1_000).copied()
}
