//! The numbers for Prometheus: MetalLB's names where it has them, so that dashboards go on working.

use std::collections::BTreeMap;

use crds::model::ids::PoolName;
use prometheus::core::Collector;
use prometheus::{Error, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::alloc::Usage;
use crate::reconcile::desk::Role;
use crate::reconcile::write::Failure;

mod pools;
mod tally;
pub mod webhook;

use pools::Pools;
pub use tally::Tally;

/// All series of the controller, but those of its webhook.
#[derive(Debug)]
pub struct Metrics {
    /// Objects taken in.
    pub updates: IntCounter,
    /// Writes that failed.
    pub update_errors: IntCounter,
    /// Whether a configuration is in force.
    pub config_loaded: IntGauge,
    /// Whether part of the configuration was rejected.
    pub config_stale: IntGauge,
    /// What is wrong with the configuration, by reason.
    pub config_problems: Tally,
    /// Refusals, by reason.
    pub refusals: IntCounterVec,
    /// Services without an address, by reason.
    pub refused: Tally,
    /// Services that lost what they had, by reason.
    pub cleared: IntCounterVec,
    /// Services that say that they are not announced, or not by us alone, by reason.
    pub unannounced: Tally,
    /// Addresses that somebody else answers for, by who that is.
    pub conflicts: Tally,
    /// Addresses that are not given out, since another host has them.
    pub addresses_aside: IntGauge,
    /// Addresses that Services were given in place of those another host has.
    pub exchanges: IntCounter,
    /// Writes that came to nothing, by reason.
    write_failures: IntCounterVec,
    /// How often this replica took the lease.
    terms: IntCounter,
    /// Events nobody will see.
    pub events_dropped: IntCounter,
    /// Whether this replica leads.
    pub lease_held: IntGauge,
    /// Services that wait for their turn or for a write.
    pub queue_length: IntGauge,
    /// Writes of Service status that succeeded.
    pub status_writes: IntCounter,
    /// Addresses that nodes were told to hand over, by reason.
    pub moves_ordered: IntCounterVec,
    /// How uneven the nodes' shares are.
    pub placement_spread: IntGauge,
    pools: Pools,
}

impl Metrics {
    /// Makes all series, in `registry`.
    ///
    /// # Errors
    /// When one of them is registered already.
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let counter = |name, help| registered(registry, IntCounter::new(name, help)?);
        let gauge = |name, help| registered(registry, IntGauge::new(name, help)?);
        let counters = |name, help| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), &["reason"])?)
        };
        let tally = |name, help, label| Tally::new(registry, name, help, label);
        Ok(Self {
            moves_ordered: counters(
                "ferrolb_placement_moves_ordered_total",
                "Groups of addresses that a node was told to hand over to another, by reason",
            )?,
            placement_spread: gauge(
                "ferrolb_placement_spread",
                "How many groups a node announces more than another that is as good for one of them",
            )?,
            updates: counter(
                "metallb_k8s_client_updates_total",
                "Number of k8s object updates that have been processed",
            )?,
            update_errors: counter(
                "metallb_k8s_client_update_errors_total",
                "Number of k8s object updates that failed for some reason",
            )?,
            config_loaded: gauge(
                "metallb_k8s_client_config_loaded_bool",
                "1 if a configuration was loaded at least once",
            )?,
            config_stale: gauge(
                "metallb_k8s_client_config_stale_bool",
                "1 if part of the present configuration was rejected",
            )?,
            config_problems: tally(
                "ferrolb_controller_config_problems",
                "What is wrong with the present configuration, by reason",
                "reason",
            )?,
            refusals: counters(
                "ferrolb_controller_refusals_total",
                "Services that were refused an address, by reason; one that stays refused counts \
                 once",
            )?,
            refused: tally(
                "ferrolb_controller_refused_services",
                "Services that have no address because they were refused one, by reason",
                "reason",
            )?,
            cleared: counters(
                "ferrolb_controller_assignments_cleared_total",
                "Services whose address was taken back, by reason",
            )?,
            unannounced: tally(
                "ferrolb_controller_unannounced_services",
                "Services whose condition ferrolb.io/Announced is False, by its reason",
                "reason",
            )?,
            conflicts: tally(
                "ferrolb_controller_conflicting_addresses",
                "Addresses that somebody else answers for, too, by who that is",
                "who",
            )?,
            addresses_aside: gauge(
                "ferrolb_controller_addresses_aside",
                "Addresses that are given to nobody, because another host has them or had them",
            )?,
            exchanges: counter(
                "ferrolb_controller_exchanges_total",
                "Addresses that Services were given in place of one that another host has",
            )?,
            write_failures: counters(
                "ferrolb_controller_write_failures_total",
                "Writes to the API server that came to nothing, by reason",
            )?,
            terms: counter(
                "ferrolb_controller_terms_total",
                "How often this replica took the lease",
            )?,
            events_dropped: counter(
                "ferrolb_controller_events_dropped_total",
                "Events that were not written, because there were too many or the write failed",
            )?,
            lease_held: gauge(
                "ferrolb_controller_lease_held",
                "1 if this replica holds the lease and gives out addresses",
            )?,
            queue_length: gauge(
                "ferrolb_controller_queue_length",
                "Services that wait for their turn, for a write or for a retry",
            )?,
            status_writes: counter(
                "ferrolb_controller_status_writes_total",
                "Writes of the status of Services that succeeded",
            )?,
            pools: Pools::new(registry)?,
        })
    }

    /// A new term begins, with this role. What the last one showed of the cluster is no longer known.
    pub fn begin(&self, role: Role) {
        self.lease_held.set(i64::from(role == Role::Leader));
        self.terms.inc_by(u64::from(role == Role::Leader));
        self.show_usage(&[]);
        let tallies = [&self.config_problems, &self.refused, &self.unannounced, &self.conflicts];
        for tally in tallies {
            tally.show(BTreeMap::new());
        }
        self.addresses_aside.set(0);
        self.placement_spread.set(0);
    }

    /// Shows `usage`; pools that are not in it lose their series.
    pub fn show_usage(&self, usage: &[(PoolName, Usage)]) {
        self.pools.show(usage);
    }

    /// A write came to nothing.
    pub fn count_failure(&self, failure: &Failure) {
        self.write_failures.with_label_values(&[failure.reason()]).inc();
    }
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder as _, TextEncoder};

    use super::*;
    use crate::alloc::ledger::Count;

    #[test]
    fn a_pool_that_goes_takes_its_series_along() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let text = || {
            let mut text = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let v4 = Count { capacity: 256, assigned: 3 };
        let usage = Usage { v4, v6: Count::default() };
        metrics.show_usage(&[("p".into(), usage)]);
        assert!(text().contains("metallb_allocator_addresses_total{pool=\"p\"} 256\n"));
        assert!(text().contains("metallb_allocator_ipv4_addresses_in_use_total{pool=\"p\"} 3\n"));
        metrics.show_usage(&[]);
        assert!(!text().contains("pool="), "{}", text());
    }

    #[test]
    fn series_have_metallbs_names_and_labels() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let v4 = Count { capacity: 9, assigned: 2 };
        let v6 = Count { capacity: 4, assigned: 1 };
        metrics.show_usage(&[("p".into(), Usage { v4, v6 })]);
        let shown = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "metallb_allocator_addresses_total{pool=\"p\"} 13",
            "metallb_allocator_addresses_in_use_total{pool=\"p\"} 3",
            "metallb_allocator_ipv4_addresses_total{pool=\"p\"} 9",
            "metallb_allocator_ipv4_addresses_in_use_total{pool=\"p\"} 2",
            "metallb_allocator_ipv6_addresses_total{pool=\"p\"} 4",
            "metallb_allocator_ipv6_addresses_in_use_total{pool=\"p\"} 1",
            "metallb_k8s_client_updates_total 0",
            "metallb_k8s_client_update_errors_total 0",
            "metallb_k8s_client_config_loaded_bool 0",
            "metallb_k8s_client_config_stale_bool 0",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
        }
    }

    #[test]
    fn who_leads_no_more_shows_nothing_of_the_cluster() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let text = || TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        metrics.begin(Role::Leader);
        metrics.show_usage(&[("p".into(), Usage::default())]);
        metrics.refused.show([("noPool", 2), ("exhausted", 1)].into());
        assert!(text().contains("ferrolb_controller_refused_services{reason=\"noPool\"} 2\n"));
        metrics.refused.show([("exhausted", 1)].into());
        assert!(!text().contains("noPool") && text().contains("exhausted"), "{}", text());
        metrics.begin(Role::Standby);
        let shown = text();
        assert!(!shown.contains("pool=") && !shown.contains("reason="), "{shown}");
        assert!(shown.contains("ferrolb_controller_lease_held 0\n"), "{shown}");
        assert!(shown.contains("ferrolb_controller_terms_total 1\n"), "{shown}");
    }
}
