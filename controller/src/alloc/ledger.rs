//! The ledger: who holds which address, and nothing else. Every change goes through here, so that
//! what is true of it is true always; [`Ledger::check`] says what that is.
//!
//! It lives in memory only. What survives a restart is the status of the Services, from which it
//! is filled again by [`Ledger::adopt`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::compile::Config;
use crds::model::ids::{PoolName, ServiceKey};

use super::choose;
use super::refusal::Refusal;
use super::request::{Port, Request, Sharing, together};
use super::runs::Runs;

mod aside;
mod check;
mod cooling;
mod usage;

pub use check::Broken;
use cooling::Cooling;
pub use usage::{Count, Usage};

/// What a Service holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The pool its addresses are of.
    pub pool: PoolName,
    /// The addresses, in the order the Service shows them; one, or one of each family.
    pub addresses: Vec<IpAddr>,
    /// The ports it takes on each of them.
    pub ports: BTreeSet<Port>,
    /// Whom it shares them with.
    pub sharing: Option<Sharing>,
    /// Its pool cannot be read at present: the claim stands as it was found, unjudged.
    pub reserved: bool,
}

/// Who holds which address.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    claims: BTreeMap<ServiceKey, Claim>,
    holders: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
    /// The addresses held under each sharing value.
    shared: BTreeMap<Sharing, BTreeSet<IpAddr>>,
    /// Released lately.
    cooling: Cooling,
    /// Not to be given, because another host answers for them.
    aside: BTreeSet<IpAddr>,
    /// Held, cooling or set aside: what is not to be taken first.
    busy: Runs,
    freed: bool,
}

impl Ledger {
    /// What `key` holds.
    pub fn claim(&self, key: &ServiceKey) -> Option<&Claim> {
        self.claims.get(key)
    }

    /// All claims, by Service.
    pub fn claims(&self) -> impl Iterator<Item = (&ServiceKey, &Claim)> {
        self.claims.iter()
    }

    /// Whether an address or a port on one became free since this was asked last: then those who
    /// were refused should ask again.
    pub fn take_freed(&mut self) -> bool {
        std::mem::take(&mut self.freed)
    }

    /// The pool from which `request` may hold `addresses`, all of them, beside those who hold them
    /// already.
    ///
    /// # Errors
    /// [`Refusal`], the first rule that forbids it.
    pub fn permit(
        &self,
        config: &Config,
        request: &Request,
        addresses: &[IpAddr],
    ) -> Result<PoolName, Refusal> {
        let outside = || Refusal::OutsideEveryPool(addresses.to_vec());
        let first = addresses.first().ok_or_else(outside)?;
        let pool = config.pool_of(*first).ok_or_else(outside)?;
        if !addresses.iter().all(|address| pool.contains(*address)) {
            return Err(outside());
        }
        if !pool.admits(&request.key.namespace, &request.labels) {
            return Err(Refusal::PoolNotCompatible(pool.name.clone()));
        }
        together(addresses)?;
        for address in addresses {
            self.permit_beside(request, *address)?;
        }
        Ok(pool.name.clone())
    }

    /// Whether `request` may hold `address` beside those who hold it already.
    pub(super) fn permit_beside(&self, request: &Request, address: IpAddr) -> Result<(), Refusal> {
        let holders = self.holders.get(&address).into_iter().flatten();
        let others: Vec<_> = holders
            .filter(|key| **key != request.key)
            .filter_map(|key| self.claims.get_key_value(key))
            .collect();
        let shares = |claim: &Claim| claim.sharing.is_some() && claim.sharing == request.sharing;
        if !others.iter().all(|(_, claim)| shares(claim)) {
            return Err(Refusal::NotShared {
                key: request.key.clone(),
                by: others.iter().map(|(key, _)| (*key).clone()).collect(),
            });
        }
        for (key, claim) in others {
            if let Some(port) = claim.ports.intersection(&request.ports).next() {
                return Err(Refusal::PortTaken { port: *port, address, by: key.clone() });
            }
        }
        Ok(())
    }

    /// Lets `request` hold `addresses`, which it is found with, in place of whatever it held.
    ///
    /// # Errors
    /// [`Refusal`] when that is not allowed; the ledger is then unchanged.
    pub fn adopt(
        &mut self,
        config: &Config,
        request: &Request,
        addresses: &[IpAddr],
    ) -> Result<&Claim, Refusal> {
        let pool = self.permit(config, request, addresses)?;
        Ok(self.enter(request, pool, addresses.to_vec(), false))
    }

    /// Gives `request` what it asks for, in place of whatever it held.
    ///
    /// # Errors
    /// [`Refusal`] when it cannot be given; the ledger is then unchanged.
    pub fn assign(&mut self, config: &Config, request: &Request) -> Result<&Claim, Refusal> {
        // What it holds is free to itself.
        let before = self.remove(&request.key);
        let chosen = choose::choose(self, config, request);
        if let Some(before) = before {
            self.insert(request.key.clone(), before);
        }
        let (pool, addresses) = chosen?;
        Ok(self.enter(request, pool, addresses, false))
    }

    /// Lets `request` hold `addresses` unjudged, because `pool` cannot be read at present.
    pub fn reserve(&mut self, request: &Request, pool: &PoolName, addresses: &[IpAddr]) -> &Claim {
        self.enter(request, pool.clone(), addresses.to_vec(), true)
    }

    /// Takes back what `key` holds.
    pub fn release(&mut self, key: &ServiceKey) -> Option<Claim> {
        let claim = self.remove(key)?;
        self.freed = true;
        for address in &claim.addresses {
            if !self.holders.contains_key(address) {
                let forgotten = self.cooling.insert(*address);
                self.busy.insert(*address);
                if let Some(forgotten) = forgotten {
                    self.vacate(forgotten);
                }
            }
        }
        Some(claim)
    }

    /// Takes back what no pool of `config` allows any more, and says from whom. What moved to
    /// another pool with its addresses stays. Addresses outside every pool need not cool down.
    pub fn evict_outside(&mut self, config: &Config) -> Vec<(ServiceKey, Claim)> {
        let mut outside = Vec::new();
        for (key, claim) in &mut self.claims {
            if claim.reserved && config.unreadable_pools.contains(&claim.pool) {
                continue;
            }
            let pool = claim.addresses.first().and_then(|first| config.pool_of(*first));
            match pool {
                Some(pool) if claim.addresses.iter().all(|one| pool.contains(*one)) => {
                    claim.pool = pool.name.clone();
                    claim.reserved = false;
                }
                Some(_) | None => outside.push(key.clone()),
            }
        }
        let evict = |key: ServiceKey| self.release(&key).map(|claim| (key, claim));
        let evicted = outside.into_iter().filter_map(evict).collect();
        for address in self.cooling.retain(|address| config.pool_of(address).is_some()) {
            self.vacate(address);
        }
        evicted
    }

    /// Writes the claim down. All of its effects on the indexes are here and in `remove`.
    fn enter(
        &mut self,
        request: &Request,
        pool: PoolName,
        addresses: Vec<IpAddr>,
        reserved: bool,
    ) -> &Claim {
        let claim = Claim {
            pool,
            addresses,
            ports: request.ports.clone(),
            sharing: request.sharing.clone(),
            reserved,
        };
        if let Some(before) = self.claims.get(&request.key) {
            // Fewer ports, or another sharing value, can make room for somebody.
            self.freed |= !before.ports.is_subset(&claim.ports) || before.sharing != claim.sharing;
            if before.addresses.iter().all(|one| claim.addresses.contains(one)) {
                self.remove(&request.key);
            } else {
                self.release(&request.key);
            }
        }
        self.insert(request.key.clone(), claim)
    }

    fn insert(&mut self, key: ServiceKey, claim: Claim) -> &Claim {
        for address in &claim.addresses {
            self.holders.entry(*address).or_default().insert(key.clone());
            self.cooling.remove(*address);
            self.busy.insert(*address);
            if let Some(sharing) = &claim.sharing {
                let addresses = self.shared.entry(sharing.clone()).or_default();
                addresses.insert(*address);
            }
        }
        self.claims.entry(key).insert_entry(claim).into_mut()
    }

    fn remove(&mut self, key: &ServiceKey) -> Option<Claim> {
        let claim = self.claims.remove(key)?;
        for address in &claim.addresses {
            if let Some(holders) = self.holders.get_mut(address) {
                holders.remove(key);
                if holders.is_empty() {
                    self.holders.remove(address);
                    self.vacate(*address);
                }
            }
            if let Some(sharing) = &claim.sharing {
                self.unshare(sharing, *address);
            }
        }
        Some(claim)
    }

    /// Drops `address` from the index of sharing values unless somebody still holds it under this.
    fn unshare(&mut self, sharing: &Sharing, address: IpAddr) {
        let holders = self.holders.get(&address).into_iter().flatten();
        let mut claims = holders.filter_map(|key| self.claims.get(key));
        if claims.any(|claim| claim.sharing.as_ref() == Some(sharing)) {
            return;
        }
        if let Some(addresses) = self.shared.get_mut(sharing) {
            addresses.remove(&address);
            if addresses.is_empty() {
                self.shared.remove(sharing);
            }
        }
    }

    /// What is not to be taken first: held, cooling, or set aside.
    pub(super) fn busy(&self) -> &Runs {
        &self.busy
    }

    /// The addresses held under `sharing`, from `first` to `last`, ascending.
    pub(super) fn shared_between(
        &self,
        sharing: &Sharing,
        first: IpAddr,
        last: IpAddr,
    ) -> impl Iterator<Item = IpAddr> {
        let addresses = self.shared.get(sharing).into_iter();
        addresses.flat_map(move |addresses| addresses.range(first..=last).copied())
    }

    /// The addresses released lately that may be given again, longest ago first.
    pub(super) fn cooling(&self) -> impl Iterator<Item = IpAddr> {
        self.cooling.oldest_first().filter(|address| !self.is_aside(*address))
    }
}

#[cfg(test)]
mod tests;
