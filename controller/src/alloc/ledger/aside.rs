//! Addresses set aside: somebody else on the network answers for them. They are given to nobody who
//! did not ask for exactly them; whoever holds one keeps it until it is exchanged.

use std::net::IpAddr;

use crds::model::compile::Config;
use crds::model::ids::ServiceKey;
use crds::model::range::Family;

use super::{Claim, Ledger};
use crate::alloc::choose;
use crate::alloc::refusal::Refusal;
use crate::alloc::request::Request;

impl Ledger {
    /// Sets `address` aside.
    pub fn set_aside(&mut self, address: IpAddr) {
        self.aside.insert(address);
        self.busy.insert(address);
    }

    /// Lets `address` be given out again.
    pub fn restore(&mut self, address: IpAddr) {
        if self.aside.remove(&address) {
            self.freed = true;
            self.vacate(address);
        }
    }

    /// Whether `address` is set aside.
    pub fn is_aside(&self, address: IpAddr) -> bool {
        self.aside.contains(&address)
    }

    /// How many addresses are set aside.
    pub fn aside_count(&self) -> usize {
        self.aside.len()
    }

    /// Who holds `address`.
    pub fn holders(&self, address: IpAddr) -> impl Iterator<Item = &ServiceKey> {
        self.holders.get(&address).into_iter().flatten()
    }

    /// Gives `request` another address in place of `address`, which it holds and which is set
    /// aside. One of the other family, if it holds one, stays; then both are of one pool, as before.
    ///
    /// # Errors
    /// [`Refusal`] when there is no other; the ledger is then unchanged.
    pub fn exchange(
        &mut self,
        config: &Config,
        request: &Request,
        address: IpAddr,
    ) -> Result<&Claim, Refusal> {
        let Some(claim) = self.claims.get(&request.key).filter(|one| one.addresses.len() > 1)
        else {
            return self.assign(config, request);
        };
        let family = Family::of(address);
        let other = choose::other(self, config, request, &claim.pool, family)?;
        let exchanged = |one: &IpAddr| if *one == address { other } else { *one };
        let addresses: Vec<IpAddr> = claim.addresses.iter().map(exchanged).collect();
        self.adopt(config, request, &addresses)
    }

    /// Takes `address` from the busy ones unless something still keeps it there.
    pub(super) fn vacate(&mut self, address: IpAddr) {
        let is_kept = self.holders.contains_key(&address)
            || self.cooling.contains(address)
            || self.aside.contains(&address);
        if !is_kept {
            self.busy.remove(address);
        }
    }
}
