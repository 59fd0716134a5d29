//! Addresses released lately. Neighbours and DNS caches still know them by their former Service,
//! so they are given out again only when nothing else is left, longest released first. There is no
//! clock in it: the last [`LIMIT`] releases count as late.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// How many releases are remembered. Bounded, so that a cluster that makes and deletes Services
/// all day does not walk through the whole of an IPv6 pool.
pub(super) const LIMIT: usize = 1024;

/// The order in which addresses were released.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cooling {
    by_age: BTreeMap<u64, IpAddr>,
    ages: BTreeMap<IpAddr, u64>,
    next: u64,
}

impl Cooling {
    /// Adds `address` as the latest, and says which one is thereby forgotten.
    pub(super) fn insert(&mut self, address: IpAddr) -> Option<IpAddr> {
        self.remove(address);
        self.by_age.insert(self.next, address);
        self.ages.insert(address, self.next);
        self.next += 1;
        if self.by_age.len() <= LIMIT {
            return None;
        }
        let (_, oldest) = self.by_age.pop_first()?;
        self.ages.remove(&oldest);
        Some(oldest)
    }

    pub(super) fn remove(&mut self, address: IpAddr) {
        if let Some(age) = self.ages.remove(&address) {
            self.by_age.remove(&age);
        }
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.ages.contains_key(&address)
    }

    pub(super) fn oldest_first(&self) -> impl Iterator<Item = IpAddr> {
        self.by_age.values().copied()
    }

    /// Keeps only what `wanted` says, and returns the others.
    pub(super) fn retain(&mut self, wanted: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
        let gone: Vec<_> = self.oldest_first().filter(|one| !wanted(*one)).collect();
        for address in &gone {
            self.remove(*address);
        }
        gone
    }
}
