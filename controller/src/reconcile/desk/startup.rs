//! The beginning of a term: what Services have is taken into the ledger before anything is given.

use crds::model::ids::ServiceKey;

use super::Desk;
use crate::view::{Asks, Facts};

impl Desk {
    /// Adopts everything, then puts every Service in the queue.
    ///
    /// The order is fixed: who has an address, then who is older, then by name. So of two that
    /// clash the older keeps what it has, and a Service without an address never gets one that
    /// somebody else is known by.
    pub(super) fn adopt_all(&mut self) {
        let mut all: Vec<&Facts> = self.services.iter().map(|(_, facts)| facts).collect();
        all.sort_by_key(|facts| (facts.held.addresses.is_empty(), facts.created));
        let config = self.sources.config();
        for facts in &all {
            let Asks::Address(request) = &facts.asks else {
                continue;
            };
            let addresses = &facts.held.addresses;
            if self.installed.is_some_and(|at| facts.created < at) {
                let all = addresses.iter().map(|address| (facts.key.clone(), *address));
                self.inherited.extend(all);
            }
            match &facts.held.pool {
                _ if addresses.is_empty() => {}
                Some(pool) if config.unreadable_pools.contains(pool) => {
                    self.ledger.reserve(request, pool, addresses);
                }
                Some(_) | None => {
                    // One that cannot keep what it has is told so at its turn.
                    if let Err(refusal) = self.ledger.adopt(config, request, addresses) {
                        tracing::warn!(
                            service = %facts.key,
                            error = %refusal,
                            "address not adopted"
                        );
                    }
                }
            }
        }
        let keys: Vec<ServiceKey> = all.iter().map(|facts| facts.key.clone()).collect();
        self.queue.clear();
        self.queue.extend(keys);
        self.has_adopted = true;
    }
}
