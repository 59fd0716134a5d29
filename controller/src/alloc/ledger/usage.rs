//! How full a pool is.

use std::net::IpAddr;

use crds::model::pool::Pool;
use crds::model::range::Family;

use super::Ledger;

/// How many addresses of a family a pool has, and how many of them are held. An address that
/// several Services share counts once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// All of them; saturates.
    pub capacity: u64,
    /// Those held.
    pub assigned: u64,
}

impl Count {
    /// Those not held.
    pub const fn available(self) -> u64 {
        self.capacity.saturating_sub(self.assigned)
    }
}

/// How full a pool is, by family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// IPv4.
    pub v4: Count,
    /// IPv6.
    pub v6: Count,
}

impl Ledger {
    /// How full `pool` is. Looks at each address held from it, at none of the free ones.
    pub fn usage(&self, pool: &Pool) -> Usage {
        let count = |family| Count {
            capacity: pool.capacity(family),
            assigned: self.assigned(pool, family),
        };
        Usage { v4: count(Family::V4), v6: count(Family::V6) }
    }

    fn assigned(&self, pool: &Pool, family: Family) -> u64 {
        let ranges = pool.ranges.iter().filter(|range| range.family() == family);
        let held = ranges.flat_map(|range| self.holders.range(range.first()..=range.last()));
        let given_out = held.filter(|(address, _): &(&IpAddr, _)| pool.contains(**address));
        given_out.count() as u64
    }
}
