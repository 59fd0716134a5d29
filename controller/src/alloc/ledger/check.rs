//! What is true of every ledger, whatever was done to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::compile::Config;
use crds::model::ids::ServiceKey;

use super::{Claim, Ledger};
use crate::alloc::request::{Sharing, families};

/// A rule that does not hold: a bug in this program, never in what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A claim to no address, to more than two, or to two of one family.
    #[error("{0} holds addresses that no Service may hold together")]
    Shape(ServiceKey),
    /// A claim to an address outside the pool it names.
    #[error("{0} holds {1}, which is not of its pool")]
    Outside(ServiceKey, IpAddr),
    /// Two claims to one address that exclude each other.
    #[error("{0} and {1} hold {2} and may not share it")]
    Clash(ServiceKey, ServiceKey, IpAddr),
    /// An index that says something else than the claims.
    #[error("index of {0} differs from the claims")]
    Index(&'static str),
}

impl Ledger {
    /// Whether everything that must be true is true. `config` is the one of the last
    /// [`evict_outside`](Ledger::evict_outside), or of the last change if there was none.
    ///
    /// # Errors
    /// [`Broken`], the first rule found not to hold.
    pub fn check(&self, config: &Config) -> Result<(), Broken> {
        let mut holders: BTreeMap<IpAddr, BTreeSet<ServiceKey>> = BTreeMap::new();
        let mut shared: BTreeMap<Sharing, BTreeSet<IpAddr>> = BTreeMap::new();
        for (key, claim) in &self.claims {
            let kinds = families(&claim.addresses).len();
            if !claim.reserved && (kinds == 0 || kinds != claim.addresses.len()) {
                return Err(Broken::Shape(key.clone()));
            }
            for address in &claim.addresses {
                let pool = config.pools.get(&claim.pool);
                if !claim.reserved && !pool.is_some_and(|pool| pool.contains(*address)) {
                    return Err(Broken::Outside(key.clone(), *address));
                }
                holders.entry(*address).or_default().insert(key.clone());
                if let Some(sharing) = &claim.sharing {
                    shared.entry(sharing.clone()).or_default().insert(*address);
                }
            }
        }
        if holders != self.holders {
            return Err(Broken::Index("holders"));
        }
        if shared != self.shared {
            return Err(Broken::Index("sharing values"));
        }
        self.check_clashes()?;
        self.check_busy()
    }

    fn check_clashes(&self) -> Result<(), Broken> {
        for (address, keys) in &self.holders {
            let claims: Vec<(&ServiceKey, &Claim)> =
                keys.iter().filter_map(|key| self.claims.get_key_value(key)).collect();
            for (index, (key, claim)) in claims.iter().enumerate() {
                for (other, theirs) in &claims[..index] {
                    let agree = claim.sharing.is_some() && claim.sharing == theirs.sharing;
                    let fits = agree && claim.ports.is_disjoint(&theirs.ports);
                    if !fits && !claim.reserved && !theirs.reserved {
                        return Err(Broken::Clash((*key).clone(), (*other).clone(), *address));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_busy(&self) -> Result<(), Broken> {
        let mut busy = crate::alloc::runs::Runs::default();
        for address in self.holders.keys() {
            if self.cooling.contains(*address) {
                return Err(Broken::Index("released addresses"));
            }
            busy.insert(*address);
        }
        for address in self.cooling.oldest_first() {
            busy.insert(address);
        }
        for address in &self.aside {
            busy.insert(*address);
        }
        if busy == self.busy { Ok(()) } else { Err(Broken::Index("busy addresses")) }
    }
}
