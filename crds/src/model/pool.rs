//! A validated pool: its ranges in the order written, and who may draw from it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::ids::PoolName;
use super::range::{AddressRange, Family};
use super::selector::{Labels, Selector, any_matches};

/// An `IPAddressPool` that has been judged valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The object's name.
    pub name: PoolName,
    /// The object's labels, which L2Advertisements select pools by.
    pub labels: Labels,
    /// The addresses, in the order written; no two overlap, here or in another valid pool.
    pub ranges: Vec<AddressRange>,
    /// Whether Services that ask for nothing may get an address from here.
    pub auto_assign: bool,
    /// Whether IPv4 addresses ending in .0 and .255 are left out.
    pub avoid_buggy_ips: bool,
    /// Who may use the pool; `None`: every Service.
    pub allocation: Option<Allocation>,
}

/// Which Services may use a pool, with its namespace selectors already resolved to names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// The pool's rank among those a Service may use.
    pub rank: Rank,
    /// The namespaces whose Services may use the pool; `None`: all. An empty set, from selectors
    /// that match no namespace, means none. (MetalLB then opens the pool to all: weakness C14.)
    pub namespaces: Option<BTreeSet<String>>,
    /// Services must match one of these; empty: no such condition.
    pub service_selectors: Vec<Selector>,
}

/// A pool's rank: lower `priority` first, 0 or none at the very end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rank {
    /// A priority other than 0.
    Priority(i64),
    /// None, or 0.
    Last,
}

impl Rank {
    /// The rank that `priority` means.
    pub const fn of(priority: Option<i64>) -> Self {
        match priority {
            None | Some(0) => Self::Last,
            Some(priority) => Self::Priority(priority),
        }
    }
}

impl Pool {
    /// Whether `address` may be given out from this pool: in a range, and not left out as buggy.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
            && !(self.avoid_buggy_ips && is_buggy(address))
    }

    /// Whether a Service in `namespace` with `labels` may use the pool.
    pub fn admits(&self, namespace: &str, labels: &Labels) -> bool {
        let Some(Allocation { rank: _, namespaces, service_selectors }) = &self.allocation else {
            return true;
        };
        namespaces.as_ref().is_none_or(|names| names.contains(namespace))
            && (service_selectors.is_empty() || any_matches(service_selectors, labels))
    }

    /// How many addresses of `family` may be given out; saturates at `u64::MAX`.
    pub fn capacity(&self, family: Family) -> u64 {
        let count = |range: &AddressRange| {
            let buggy = if self.avoid_buggy_ips { buggy_count(range) } else { 0 };
            range.count() - buggy
        };
        let of_family = self.ranges.iter().filter(|range| range.family() == family);
        let total = of_family.map(count).fold(0, u128::saturating_add);
        u64::try_from(total).unwrap_or(u64::MAX)
    }
}

/// Whether `address` is IPv4 and ends in .0 or .255.
pub fn is_buggy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets()[3], 0 | 255),
        IpAddr::V6(_) => false,
    }
}

/// How many addresses of `range` are buggy.
fn buggy_count(range: &AddressRange) -> u128 {
    if range.family() == Family::V6 {
        return 0;
    }
    let (first, last) = range.numbers();
    // Among 0..=n: one .0 for each started block of 256, one .255 for each finished one.
    let zeros = |n: u128| n / 256 + 1;
    let ones = |n: u128| (n + 1) / 256;
    let before = if first == 0 { 0 } else { zeros(first - 1) + ones(first - 1) };
    zeros(last) + ones(last) - before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(ranges: &[&str]) -> Pool {
        Pool {
            name: "p".into(),
            labels: Labels::new(),
            ranges: ranges.iter().map(|text| AddressRange::parse(text).unwrap()).collect(),
            auto_assign: true,
            avoid_buggy_ips: true,
            allocation: None,
        }
    }

    #[test]
    fn buggy_addresses_are_neither_contained_nor_counted() {
        for (ranges, capacity) in [
            (&["192.0.2.0/24"][..], 254),
            (&["192.0.2.0/23"], 508),
            (&["192.0.2.1-192.0.2.9"], 9),
            (&["192.0.2.255/32"], 0),
            (&["0.0.0.0-0.0.1.0"], 254),
            (&["192.0.2.200-192.0.3.10", "fc00::/120"], 65),
        ] {
            assert_eq!(pool(ranges).capacity(Family::V4), capacity, "{ranges:?}");
        }
        assert!(!pool(&["192.0.2.0/24"]).contains("192.0.2.0".parse().unwrap()));
        assert!(pool(&["192.0.2.0/24"]).contains("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn huge_ipv6_capacity_saturates() {
        assert_eq!(pool(&["fc00::/16", "fd00::/64"]).capacity(Family::V6), u64::MAX);
    }

    #[test]
    fn a_restriction_to_no_namespace_admits_nobody() {
        let mut pool = pool(&["192.0.2.0/24"]);
        pool.allocation = Some(Allocation {
            rank: Rank::Last,
            namespaces: Some(BTreeSet::new()),
            service_selectors: Vec::new(),
        });
        assert!(!pool.admits("default", &Labels::new()));
    }

    #[test]
    fn zero_and_absent_priorities_go_last() {
        let mut ranks = [Rank::of(None), Rank::of(Some(5)), Rank::of(Some(0)), Rank::of(Some(-1))];
        ranks.sort();
        assert_eq!(ranks, [Rank::Priority(-1), Rank::Priority(5), Rank::Last, Rank::Last]);
    }
}
