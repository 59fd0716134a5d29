//! What can be read off the desk.

use std::collections::BTreeMap;

use crds::api::v1beta1::IPAddressPoolStatus;
use crds::model::compile::{Config, Problem};
use crds::model::ids::PoolName;

use super::Desk;
use super::conflicts::Whose;
use crate::alloc::{Ledger, Refusal, Usage};

/// What happened since somebody asked last, by reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// How often a refusal was new to a Service.
    pub refusals: BTreeMap<&'static str, u64>,
    /// How often a Service lost what it had.
    pub cleared: BTreeMap<&'static str, u64>,
}

impl Desk {
    /// The kinds of which no list has arrived yet.
    pub fn missing(&self) -> Vec<&'static str> {
        let services = (!self.services.is_synced()).then_some("Services");
        services.into_iter().chain(self.sources.missing()).collect()
    }

    /// What is in force.
    pub fn config(&self) -> &Config {
        self.sources.config()
    }

    /// Counts its changes.
    pub fn revision(&self) -> u64 {
        self.sources.revision()
    }

    /// What is wrong with it.
    pub fn problems(&self) -> &[Problem] {
        self.sources.problems()
    }

    /// Who has what.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How full each valid pool is.
    pub fn usage(&self) -> Vec<(PoolName, Usage)> {
        let pools = self.sources.config().pools.values();
        pools.map(|pool| (pool.name.clone(), self.ledger.usage(pool))).collect()
    }

    /// The status that each pool should have and has not.
    pub fn pool_reports(&self) -> Vec<(String, IPAddressPoolStatus)> {
        if !self.has_adopted {
            return Vec::new();
        }
        let reports = self.usage().into_iter().filter_map(|(name, usage)| {
            let object = self.sources.pools().get(&name.to_string())?;
            let status = pool_status(usage);
            (object.status.as_ref() != Some(&status)).then(|| (name.to_string(), status))
        });
        reports.collect()
    }

    /// What happened since this was asked last.
    pub fn take_happened(&mut self) -> Happened {
        std::mem::take(&mut self.happened)
    }

    /// How many Services are refused an address now, by reason.
    pub fn refused(&self) -> BTreeMap<&'static str, u64> {
        tally(self.refused.values().map(Refusal::reason))
    }

    /// How many Services say that they are not announced, or not by us alone, by reason.
    pub fn unannounced(&self) -> BTreeMap<&'static str, u64> {
        tally(self.unannounced.values().copied())
    }

    /// How many problems the configuration has, by reason.
    pub fn problem_reasons(&self) -> BTreeMap<&'static str, u64> {
        tally(self.problems().iter().map(|problem| problem.cause.reason()))
    }

    /// How many addresses somebody else answers for, by who that is.
    pub fn conflicts(&self) -> BTreeMap<&'static str, u64> {
        tally(self.conflicts.found().map(|duplicate| match duplicate.whose {
            Whose::Foreign => "foreign",
            Whose::Member(_) => "member",
        }))
    }

    /// How many addresses were exchanged since this was asked last.
    pub fn take_exchanges(&mut self) -> u64 {
        self.conflicts.take_exchanges()
    }

    /// How many Services have something under way or wait for their turn.
    pub fn backlog(&self) -> usize {
        self.writing.len() + self.queue.len() + self.later.len()
    }
}

fn tally(words: impl Iterator<Item = &'static str>) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

fn pool_status(usage: Usage) -> IPAddressPoolStatus {
    // Like MetalLB, whose largest number is that of Go's int64.
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    IPAddressPoolStatus {
        assigned_ipv4: number(usage.v4.assigned),
        assigned_ipv6: number(usage.v6.assigned),
        available_ipv4: number(usage.v4.available()),
        available_ipv6: number(usage.v6.available()),
    }
}
