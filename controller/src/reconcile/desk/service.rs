//! One Service's turn.

use crds::model::ids::ServiceKey;

use super::{Desk, Effect, Now};
use crate::alloc::settle::{News, Settled};
use crate::alloc::{Claim, Refusal, Request, settle};
use crate::plan::said::{Said, says_anything};
use crate::plan::{self, Target};
use crate::view::{Asks, Facts, Skip};

impl Desk {
    /// Looks at `key`: decides, and says what its object and its user have to be told.
    pub(super) fn visit(&mut self, key: &ServiceKey, now: Now, effects: &mut Vec<Effect>) {
        if let Some(look_again) = self.writing.get_mut(key) {
            // Its object is about to change; decide on the new one.
            *look_again = true;
            if self.services.get(key).is_some() {
                return;
            }
        }
        let Some(facts) = self.services.get(key).cloned() else {
            self.forget(key);
            return;
        };
        let (settled, target) = match &facts.asks {
            Asks::Unclear => return,
            Asks::Address(request) => self.decide(&facts, request, now, effects),
            Asks::Impossible(refusal) => {
                self.give_back(&facts, refusal.reason());
                let settled = nothing(Some(refusal.clone()));
                (settled, Target { refused: Some(refusal.clone()), ..cleared() })
            }
            Asks::Nothing(skip) => {
                let had = self.ledger.claim(key).cloned();
                self.give_back(&facts, skip.reason());
                self.refused.remove(key);
                let is_left = facts.held.addresses.is_empty() && facts.is_plain;
                let has_rest = *skip != Skip::OtherClass && is_left && says_anything(&facts);
                if !has_rest && !is_from_us(&facts, *skip, had.as_ref()) {
                    return;
                }
                (nothing(None), cleared())
            }
        };
        let was = self.refused.get(key);
        effects.extend(plan::events(&facts, &settled, was).into_iter().map(Effect::Tell));
        self.remember_refusal(key, settled.refusal);
        self.tell_silence(&facts, &target, effects);
        self.remember_announced(key, &target.announced);
        if settled.claim.is_some_and(|claim| claim.reserved) {
            return;
        }
        if let Some(patch) = plan::patch(&facts, &target, now.stamp) {
            self.writing.insert(key.clone(), false);
            effects.push(Effect::Patch(key.clone(), patch));
        }
    }

    fn decide(
        &mut self,
        facts: &Facts,
        request: &Request,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> (Settled, Target) {
        let config = self.sources.config();
        let had = self.ledger.claim(&facts.key).is_some();
        let mut settled = settle(&mut self.ledger, config, request, &facts.held);
        // Its object says that it has the address until it is written. That it lost it, was told.
        if !had && self.refused.contains_key(&facts.key) {
            settled.lost = None;
        }
        let conflict = self.heed_conflicts(facts, request, &mut settled, now, effects);
        if let Some(lost) = &settled.lost {
            *self.happened.cleared.entry(lost.why.reason()).or_default() += 1;
        }
        log(facts, &settled);
        let refused = settled.refusal.clone();
        let Some(claim) = &settled.claim else {
            self.silence.forget(&facts.key);
            let target = Target { refused, ..cleared() };
            return (settled, target);
        };
        let announced = self.announced(facts, claim, &request.labels, now);
        let announced = conflict.unwrap_or(announced);
        let target = Target {
            addresses: claim.addresses.clone(),
            pool: Some(claim.pool.clone()),
            refused,
            announced,
        };
        (settled, target)
    }

    fn remember_refusal(&mut self, key: &ServiceKey, refusal: Option<Refusal>) {
        let Some(refusal) = refusal else {
            self.refused.remove(key);
            return;
        };
        let reason = refusal.reason();
        let error = refusal.to_string();
        if self.refused.insert(key.clone(), refusal.clone()) != Some(refusal) {
            *self.happened.refusals.entry(reason).or_default() += 1;
            tracing::error!(
                op = "allocateIPs",
                reason,
                error,
                service = %key,
                "IP allocation failed"
            );
        }
    }

    fn remember_announced(&mut self, key: &ServiceKey, announced: &Said) {
        match announced {
            Said::Nothing => {
                self.unannounced.remove(key);
            }
            Said::AsItIs => {}
            Said::No { reason, message: _ } => {
                self.unannounced.insert(key.clone(), *reason);
            }
        }
    }

    fn give_back(&mut self, facts: &Facts, reason: &'static str) {
        self.silence.forget(&facts.key);
        self.unannounced.remove(&facts.key);
        if let Some(claim) = self.ledger.release(&facts.key) {
            *self.happened.cleared.entry(reason).or_default() += 1;
            let ip = kit::telemetry::json(&claim.addresses);
            tracing::info!(
                event = "clearAssignment",
                reason,
                ip = &*ip,
                service = %facts.key,
                "address taken back"
            );
        }
    }

    fn forget(&mut self, key: &ServiceKey) {
        self.refused.remove(key);
        self.conflicts.forget(key);
        self.silence.forget(key);
        self.unannounced.remove(key);
        if let Some(claim) = self.ledger.release(key) {
            let ip = kit::telemetry::json(&claim.addresses);
            tracing::info!(
                event = "serviceDeleted",
                ip = &*ip,
                service = %key,
                "service deleted"
            );
        }
    }
}

/// Whether what a Service that asks nothing of us has is from us, and so ours to take away.
///
/// A Service of another class may have its address from another controller that writes the very
/// same annotation (MetalLB, or a second ferrolb), so there only what we ourselves gave counts.
fn is_from_us(facts: &Facts, skip: Skip, had: Option<&Claim>) -> bool {
    match skip {
        Skip::NotLoadBalancer | Skip::NoClusterIps => had.is_some() || facts.held.pool.is_some(),
        Skip::OtherClass => had.is_some_and(|claim| {
            claim.addresses == facts.held.addresses && facts.held.pool.as_ref() == Some(&claim.pool)
        }),
    }
}

fn nothing(refusal: Option<Refusal>) -> Settled {
    Settled { claim: None, news: News::None, lost: None, refusal }
}

fn cleared() -> Target {
    Target { addresses: Vec::new(), pool: None, refused: None, announced: Said::Nothing }
}

fn log(facts: &Facts, settled: &Settled) {
    if let Some(lost) = &settled.lost {
        let ip = kit::telemetry::json(&lost.addresses);
        let error = lost.why.refusal().map(ToString::to_string);
        tracing::info!(
            event = "clearAssignment",
            reason = lost.why.reason(),
            error,
            ip = &*ip,
            service = %facts.key,
            "address taken back"
        );
    }
    if let (News::Assigned | News::Added(_), Some(claim)) = (&settled.news, &settled.claim) {
        let ip = kit::telemetry::json(&claim.addresses);
        tracing::info!(
            event = "ipAllocated",
            ip = &*ip,
            pool = %claim.pool,
            service = %facts.key,
            "IP address assigned by controller"
        );
    }
}
