//! How full the pools are.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crds::model::ids::PoolName;
use prometheus::{Error, GaugeVec, Opts, Registry};

use super::registered;
use crate::alloc::Usage;

#[derive(Debug)]
pub(super) struct Pools {
    total: GaugeVec,
    in_use: GaugeVec,
    v4_total: GaugeVec,
    v4_in_use: GaugeVec,
    v6_total: GaugeVec,
    v6_in_use: GaugeVec,
    /// The pools that have series now.
    known: Mutex<BTreeSet<PoolName>>,
}

impl Pools {
    /// All gauges, in `registry`.
    ///
    /// # Errors
    /// When one of them is registered already.
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let pool = |name, help| {
            let gauge = GaugeVec::new(Opts::new(name, help), &["pool"])?;
            registered(registry, gauge)
        };
        Ok(Self {
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
        })
    }

    /// Shows `usage`; pools that are not in it lose their series.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; so it is in MetalLB")]
    pub(super) fn show(&self, usage: &[(PoolName, Usage)]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now: BTreeSet<_> = usage.iter().map(|(name, _)| name.clone()).collect();
        for gone in known.difference(&now) {
            for gauge in self.all() {
                // It is there, since `known` says so; were it not, nothing would be left to do.
                let _ = gauge.remove_label_values(&[gone.as_str()]);
            }
        }
        for (name, usage) in usage {
            let (v4, v6) = (usage.v4, usage.v6);
            let totals = [
                (&self.total, v4.capacity.saturating_add(v6.capacity)),
                (&self.in_use, v4.assigned + v6.assigned),
                (&self.v4_total, v4.capacity),
                (&self.v4_in_use, v4.assigned),
                (&self.v6_total, v6.capacity),
                (&self.v6_in_use, v6.assigned),
            ];
            for (gauge, value) in totals {
                gauge.with_label_values(&[name.as_str()]).set(value as f64);
            }
        }
        *known = now;
    }

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
