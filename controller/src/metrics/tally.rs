//! A gauge with one series for each word that there is something to say of.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use prometheus::{Error, IntGaugeVec, Opts, Registry};

use super::registered;

/// Numbers of things, by a word from a fixed set.
#[derive(Debug)]
pub struct Tally {
    gauge: IntGaugeVec,
    shown: Mutex<BTreeMap<&'static str, u64>>,
}

impl Tally {
    /// The gauge `name`, in `registry`, without a series yet.
    ///
    /// # Errors
    /// When it is registered already.
    pub(super) fn new(
        registry: &Registry,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<Self, Error> {
        let gauge = registered(registry, IntGaugeVec::new(Opts::new(name, help), &[label])?)?;
        Ok(Self { gauge, shown: Mutex::default() })
    }

    /// Shows `counts`; words that are not in it lose their series.
    pub fn show(&self, counts: BTreeMap<&'static str, u64>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown == counts {
            return;
        }
        for gone in shown.keys().filter(|word| !counts.contains_key(*word)) {
            // It is there, since `shown` says so; were it not, nothing would be left to do.
            let _ = self.gauge.remove_label_values(&[*gone]);
        }
        for (word, count) in &counts {
            self.gauge.with_label_values(&[*word]).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        *shown = counts;
    }
}
