//! What follows from a configuration that was judged anew.

use std::collections::BTreeSet;

use crds::model::compile::Problem;
use crds::model::ids::{PoolName, ServiceKey};
use k8s_openapi::api::core::v1::ObjectReference;
use kit::events::{Event, Severity};

use super::{Desk, Effect, Role};

impl Desk {
    /// Tells what is wrong with it now, and puts the Services it concerns in the queue.
    pub(super) fn reconfigure(
        &mut self,
        pools: &BTreeSet<PoolName>,
        problems_changed: bool,
        effects: &mut Vec<Effect>,
    ) {
        let problems = self.sources.problems();
        if self.role == Role::Leader {
            let now_wrong: BTreeSet<Problem> = problems.iter().cloned().collect();
            for problem in now_wrong.difference(&self.told_problems) {
                let error = problem.to_string();
                let reason = problem.cause.reason();
                tracing::error!(error, reason, "failed to parse the configuration");
                if let Some(about) = self.sources.about(problem) {
                    effects.push(Effect::Tell(invalid_configuration(about, error)));
                }
            }
            self.told_problems = now_wrong;
            if problems_changed || !self.has_adopted {
                effects.push(Effect::Report(problems.to_vec()));
            }
        }
        if pools.is_empty() || !self.has_adopted {
            return;
        }
        tracing::info!(event = "config reloaded", "configuration changed");
        let config = self.sources.config();
        let evicted = self.ledger.evict_outside(config);
        let mut concerned: BTreeSet<ServiceKey> = evicted.into_iter().map(|(key, _)| key).collect();
        for (key, claim) in self.ledger.claims() {
            let moved_in = |address| config.pool_of(address).map(|pool| &pool.name);
            let mut names = claim.addresses.iter().filter_map(|one| moved_in(*one));
            if pools.contains(&claim.pool) || names.any(|name| pools.contains(name)) {
                concerned.insert(key.clone());
            }
        }
        let keys = self.oldest_first(concerned);
        self.queue.extend(keys);
        self.retry_refused = true;
    }
}

fn invalid_configuration(about: ObjectReference, message: String) -> Event {
    Event {
        about,
        severity: Severity::Warning,
        reason: crds::names::event::INVALID_CONFIGURATION,
        message,
    }
}
