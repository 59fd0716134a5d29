//! What can be read off the desk.

use std::collections::BTreeMap;

use crds::api::v1beta1::IPAddressPoolStatus;
use crds::model::compile::{Config, Problem};
use crds::model::ids::PoolName;

use super::Desk;
use crate::alloc::{Ledger, Usage};

impl Desk {
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

    /// How often each reason for a refusal was new to a Service.
    pub fn take_refusals(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.refusals)
    }

    /// How many Services have something under way or wait for their turn.
    pub fn backlog(&self) -> usize {
        self.writing.len() + self.queue.len() + self.later.len()
    }
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
