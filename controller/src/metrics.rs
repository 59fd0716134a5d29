//! The numbers for Prometheus: MetalLB's names where it has them, so that dashboards go on working.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crds::model::ids::PoolName;
use prometheus::{
    Error, GaugeVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};

use crate::alloc::Usage;

/// All series of the controller.
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
    /// Refusals, by reason.
    pub refusals: IntCounterVec,
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

#[derive(Debug)]
struct Pools {
    total: GaugeVec,
    in_use: GaugeVec,
    v4_total: GaugeVec,
    v4_in_use: GaugeVec,
    v6_total: GaugeVec,
    v6_in_use: GaugeVec,
    /// The pools that have series now.
    known: Mutex<BTreeSet<PoolName>>,
}

impl Metrics {
    /// Makes all series, in `registry`.
    ///
    /// # Errors
    /// When one of them is registered already.
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let pool = |name, help| {
            let gauge = GaugeVec::new(Opts::new(name, help), &["pool"])?;
            registered(registry, gauge)
        };
        let counter = |name, help| registered(registry, IntCounter::new(name, help)?);
        let gauge = |name, help| registered(registry, IntGauge::new(name, help)?);
        let refusals = Opts::new(
            "ferrolb_controller_refusals_total",
            "Services that were refused an address, by reason; one that stays refused counts once",
        );
        let moves = Opts::new(
            "ferrolb_placement_moves_ordered_total",
            "Groups of addresses that a node was told to hand over to another, by reason",
        );
        Ok(Self {
            moves_ordered: registered(registry, IntCounterVec::new(moves, &["reason"])?)?,
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
            refusals: registered(registry, IntCounterVec::new(refusals, &["reason"])?)?,
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
            pools: Pools {
                total: pool(
                    "metallb_allocator_addresses_total",
                    "Number of usable IP addresses, per pool",
                )?,
                in_use: pool(
                    "metallb_allocator_addresses_in_use_total",
                    "Number of IP addresses in use, per pool",
                )?,
                v4_total: pool(
                    "metallb_allocator_ipv4_addresses_total",
                    "Number of usable IPV4 addresses, per pool",
                )?,
                v4_in_use: pool(
                    "metallb_allocator_ipv4_addresses_in_use_total",
                    "Number of IPV4 addresses in use, per pool",
                )?,
                v6_total: pool(
                    "metallb_allocator_ipv6_addresses_total",
                    "Number of usable IPV6 addresses, per pool",
                )?,
                v6_in_use: pool(
                    "metallb_allocator_ipv6_addresses_in_use_total",
                    "Number of IPV6 addresses in use, per pool",
                )?,
                known: Mutex::default(),
            },
        })
    }

    /// Shows `usage`; pools that are not in it lose their series.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; so it is in MetalLB")]
    pub fn show_usage(&self, usage: &[(PoolName, Usage)]) {
        let pools = &self.pools;
        let mut known = pools.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now: BTreeSet<_> = usage.iter().map(|(name, _)| name.clone()).collect();
        for gone in known.difference(&now) {
            for gauge in pools.all() {
                // It is there, since `known` says so; were it not, nothing would be left to do.
                let _ = gauge.remove_label_values(&[gone.as_str()]);
            }
        }
        for (name, usage) in usage {
            let (v4, v6) = (usage.v4, usage.v6);
            let totals = [
                (&pools.total, v4.capacity.saturating_add(v6.capacity)),
                (&pools.in_use, v4.assigned + v6.assigned),
                (&pools.v4_total, v4.capacity),
                (&pools.v4_in_use, v4.assigned),
                (&pools.v6_total, v6.capacity),
                (&pools.v6_in_use, v6.assigned),
            ];
            for (gauge, value) in totals {
                gauge.with_label_values(&[name.as_str()]).set(value as f64);
            }
        }
        *known = now;
    }
}

impl Pools {
    fn all(&self) -> [&GaugeVec; 6] {
        [
            &self.total,
            &self.in_use,
            &self.v4_total,
            &self.v4_in_use,
            &self.v6_total,
            &self.v6_in_use,
        ]
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
}
