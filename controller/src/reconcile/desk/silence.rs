//! Addresses that nobody answers for, though they were given: what the Service says about that, and
//! when.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::model::ids::ServiceKey;
use crds::model::selector::Labels;
use crds::names::announced_reason::NO_ADVERTISEMENT;

use super::{Desk, Effect, GRACE, Now};
use crate::alloc::Claim;
use crate::plan::said::{self, Said};
use crate::plan::{self, Target};
use crate::reconcile::mover::Unserved;
use crate::view::Facts;

/// How long nobody may be able to answer before that is told: pods and nodes come and go.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Why nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Uncovered,
    Unserved(Unserved),
}

impl Cause {
    const fn reason(self) -> &'static str {
        match self {
            Self::Uncovered => NO_ADVERTISEMENT,
            Self::Unserved(why) => why.reason(),
        }
    }

    const fn grace(self) -> Duration {
        match self {
            Self::Uncovered => GRACE,
            Self::Unserved(_) => PATIENCE,
        }
    }
}

/// All that is known of it.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Since when, for the reason of now.
    since: BTreeMap<ServiceKey, (Cause, Duration)>,
    /// What was told of it.
    told: BTreeMap<ServiceKey, &'static str>,
    /// Services that are covered, and that nobody can announce; `None` until that was looked at.
    unserved: Option<BTreeMap<ServiceKey, Unserved>>,
}

impl Silence {
    /// The Service is gone, or has no address any more.
    pub(super) fn forget(&mut self, key: &ServiceKey) {
        self.since.remove(key);
        self.told.remove(key);
    }
}

/// Whether the Service's condition says that nobody can announce it, though it is covered.
fn says_unserved(facts: &Facts) -> bool {
    Unserved::ALL.iter().any(|why| said::says_not_announced(facts, why.reason()))
}

impl Desk {
    /// Takes in for which Services nobody can answer; those about which something else is known than
    /// before are looked at.
    pub fn set_unserved(&mut self, unserved: BTreeMap<ServiceKey, Unserved>, now: Duration) {
        let before = self.silence.unserved.replace(unserved);
        let after = self.silence.unserved.iter().flatten();
        let changed: Vec<ServiceKey> = if let Some(before) = before {
            let new = after.filter(|(key, why)| before.get(*key) != Some(*why));
            let over = before.keys().filter(|key| !self.is_unserved(key));
            new.map(|(key, _)| key).chain(over).cloned().collect()
        } else {
            // What a former leader said may be over.
            let said = self.services.iter().filter(|(_, facts)| says_unserved(facts));
            said.map(|(key, _)| key).chain(after.map(|(key, _)| key)).cloned().collect()
        };
        self.later.extend(changed.into_iter().map(|key| (now, key)));
    }

    fn is_unserved(&self, key: &ServiceKey) -> bool {
        self.silence.unserved.as_ref().is_some_and(|all| all.contains_key(key))
    }

    /// What the Service should say about the announcement of what it holds.
    pub(super) fn announced(
        &mut self,
        facts: &Facts,
        claim: &Claim,
        labels: &Labels,
        now: Now,
    ) -> Said {
        let key = &facts.key;
        let config = self.sources.config();
        let is_covered = config.advertisements_for(&claim.pool, labels).next().is_some();
        let unserved = self.silence.unserved.as_ref().map(|all| all.get(key).copied());
        let cause = match unserved {
            _ if !is_covered => Cause::Uncovered,
            // Nothing is known yet but what a former leader said.
            None if says_unserved(facts) => return Said::AsItIs,
            None | Some(None) => {
                self.silence.forget(key);
                return Said::Nothing;
            }
            Some(Some(why)) => Cause::Unserved(why),
        };
        let since = match self.silence.since.get(key) {
            Some((known, since)) if *known == cause => *since,
            _ => now.elapsed,
        };
        self.silence.since.insert(key.clone(), (cause, since));
        let due = since + cause.grace();
        if now.elapsed < due && !said::says_not_announced(facts, cause.reason()) {
            self.later.insert((due, key.clone()));
            return Said::AsItIs;
        }
        let addresses: Vec<_> = claim.addresses.iter().map(ToString::to_string).collect();
        let why = match cause {
            Cause::Uncovered => {
                let mut others = self.sources.config().advertisements.values();
                let missing = if others.any(|one| one.pools.contains(&claim.pool)) {
                    "selects this Service with its address from"
                } else {
                    "covers"
                };
                format!("no L2Advertisement {missing} pool \"{}\"", claim.pool)
            }
            Cause::Unserved(why) => why.text().to_owned(),
        };
        let message = format!("{why}: nobody answers for {}", addresses.join(" and "));
        Said::No { reason: cause.reason(), message }
    }

    /// Tells once that nobody answers, if that is what the Service is to say and does not say yet.
    pub(super) fn tell_silence(
        &mut self,
        facts: &Facts,
        target: &Target,
        effects: &mut Vec<Effect>,
    ) {
        let (Said::No { reason, message }, Some((cause, _))) =
            (&target.announced, self.silence.since.get(&facts.key))
        else {
            return;
        };
        let word = cause.reason();
        if *reason == word
            && !said::says_not_announced(facts, word)
            && self.silence.told.insert(facts.key.clone(), word) != Some(word)
        {
            effects.push(Effect::Tell(plan::not_announced(facts, message)));
        }
    }
}
