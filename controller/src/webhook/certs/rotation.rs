//! When what is made, published and served. No admission may fail for a change of certificate, so
//!
//! 1. a new authority is trusted (its certificate is in every `caBundle`) *before* a certificate of
//!    its is served, by a time in which API servers see that;
//! 2. an old one stays trusted as long as anybody may serve a certificate of its.
//!
//! Every replica follows these rules by what it sees, and needs no leader: bundles only grow at once,
//! by what the Secret says and what the replica itself serves. What is in them besides goes when
//! nothing has changed for long. Two replicas that see the same never want different things, and in
//! a steady state want nothing.

use std::time::Duration;

use super::judge::Pair;
use super::{Authority, Wall};

/// How long before its end something is renewed, as MetalLB does it.
pub const EARLY: Wall = 90 * 24 * 60 * 60;

/// How long an authority must have been published before it is relied on. Every API server must have
/// seen it by then; they watch, so a second is the rule.
pub const GRACE: Duration = Duration::from_secs(10);

/// How long an authority that seems to be of no use stays trusted: a replica may not have seen the
/// new one yet.
pub const KEPT: Duration = Duration::from_hours(1);

/// How long a replica that serves nothing yet waits until what it has is published. After that it
/// cannot make anything worse.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often something is made at most. Replicas whose clocks disagree by hours may each find useless
/// what the other made.
pub const APART: Duration = Duration::from_secs(10);

/// How often is looked again when nothing happens.
pub const LOOK: Duration = Duration::from_hours(12);

/// The most authorities in a bundle.
const MOST: usize = 8;

/// What the Secret is seen to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// Not known yet.
    Unknown,
    /// There is none, or nothing in it that could be served now.
    Useless,
    /// It can be served.
    Good(Pair),
}

/// What is seen.
#[derive(Debug, Clone)]
pub struct Sight<'a, At> {
    /// The Secret.
    pub secret: &'a Secret,
    /// Every place where trust is written, with the authorities that each of its entries trusts;
    /// `None`: not known yet. A place that does not exist has no entries.
    pub places: &'a [(At, Option<Vec<Vec<Authority>>>)],
    /// The time of day.
    pub wall: Wall,
    /// The time since the start.
    pub now: Duration,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act<At> {
    /// Put a new authority and a certificate of it into the Secret.
    Make,
    /// Put a new certificate of the same authority into the Secret.
    Renew,
    /// Write these authorities into all entries of a place.
    Publish(At, Vec<Authority>),
    /// Serve the Secret's certificate; then call [`Rotation::served`].
    Serve(Pair),
}

/// What one replica remembers.
#[derive(Debug, Clone, Default)]
pub struct Rotation {
    serving: Option<Pair>,
    /// When something was to be made last.
    made: Option<Duration>,
    /// The authority that is trusted everywhere, and since when.
    published: Option<(Authority, Duration)>,
    /// What is needed, and since when there is more than that.
    surplus: Option<(Vec<Authority>, Duration)>,
}

impl Rotation {
    /// What is served.
    pub fn serving(&self) -> Option<&Pair> {
        self.serving.as_ref()
    }

    /// Takes in that `pair` is served now.
    pub fn served(&mut self, pair: Pair) {
        self.serving = Some(pair);
    }

    /// What is to be done, and in how long to look again if nothing happens before.
    pub fn step<At: Copy>(&mut self, sight: &Sight<'_, At>) -> (Vec<Act<At>>, Duration) {
        let mut renewal = renewal(sight.secret, sight.wall);
        let since = self.made.map(|made| sight.now.saturating_sub(made));
        let apart = renewal.as_ref().and(since).map(|since| APART.saturating_sub(since));
        if apart.is_some_and(|apart| !apart.is_zero()) {
            renewal = None;
        }
        if renewal.is_some() {
            self.made = Some(sight.now);
        }
        let mut acts: Vec<_> = renewal.into_iter().collect();
        let candidate = match sight.secret {
            Secret::Good(pair) => Some(pair),
            Secret::Unknown | Secret::Useless => None,
        };
        let needed = needed(candidate, self.serving.as_ref());
        let trimming = self.trimming(&needed, sight);
        for (at, entries) in sight.places {
            let entries = entries.as_deref().unwrap_or_default();
            if !trusts(entries, &needed) {
                acts.push(Act::Publish(*at, grown(&needed, entries, sight.wall)));
            } else if trimming == Some(Duration::ZERO) && has_more(entries, &needed) {
                acts.push(Act::Publish(*at, needed.clone()));
            }
        }
        let serving = candidate.map(|pair| self.serving_in(pair, sight));
        if let (Some(Duration::ZERO), Some(pair)) = (serving, candidate)
            && self.serving.as_ref() != Some(pair)
        {
            acts.push(Act::Serve(pair.clone()));
        }
        let waits = [serving, trimming, apart].into_iter().flatten().filter(|wait| !wait.is_zero());
        (acts, waits.min().map_or(LOOK, |wait| wait.min(LOOK)))
    }

    /// In how long `pair` may be served; zero: now.
    fn serving_in<At>(&mut self, pair: &Pair, sight: &Sight<'_, At>) -> Duration {
        let is_trusted = |entries: &Option<Vec<Vec<Authority>>>| {
            entries.as_deref().is_some_and(|all| trusts(all, std::slice::from_ref(&pair.authority)))
        };
        if !sight.places.iter().all(|(_, entries)| is_trusted(entries)) {
            self.published = None;
            return match &self.serving {
                // It is of use to nobody: nothing is lost with it.
                Some(serving) if serving.until < sight.wall => Duration::ZERO,
                // What is to be waited for comes as a change, and is looked at then.
                Some(_) => LOOK,
                None => PATIENCE.saturating_sub(sight.now),
            };
        }
        let since = match &self.published {
            Some((authority, since)) if *authority == pair.authority => *since,
            Some(_) | None => sight.now,
        };
        self.published = Some((pair.authority.clone(), since));
        match &self.serving {
            Some(serving) if serving.authority != pair.authority && serving.until >= sight.wall => {
                GRACE.saturating_sub(sight.now.saturating_sub(since))
            }
            // Nobody asks a replica that serves nothing, before its readiness has got about.
            Some(_) | None => Duration::ZERO,
        }
    }

    /// In how long what is not needed goes; `None`: there is nothing.
    fn trimming<At>(&mut self, needed: &[Authority], sight: &Sight<'_, At>) -> Option<Duration> {
        let entries = |(_, entries): &(At, Option<Vec<Vec<Authority>>>)| {
            entries.as_deref().is_some_and(|entries| has_more(entries, needed))
        };
        if needed.is_empty() || !sight.places.iter().any(entries) {
            self.surplus = None;
            return None;
        }
        let since = match &self.surplus {
            Some((known, since)) if known == needed => *since,
            Some(_) | None => sight.now,
        };
        self.surplus = Some((needed.to_vec(), since));
        Some(KEPT.saturating_sub(sight.now.saturating_sub(since)))
    }
}

fn renewal<At>(secret: &Secret, wall: Wall) -> Option<Act<At>> {
    match secret {
        Secret::Unknown => None,
        Secret::Good(pair) if pair.authority.until - wall < EARLY => Some(Act::Make),
        Secret::Good(pair) if pair.until - wall >= EARLY => None,
        Secret::Good(pair) if pair.is_renewable => Some(Act::Renew),
        Secret::Good(_) | Secret::Useless => Some(Act::Make),
    }
}

/// The authorities that must be trusted, the newest first.
fn needed(candidate: Option<&Pair>, serving: Option<&Pair>) -> Vec<Authority> {
    let mut needed: Vec<Authority> = Vec::with_capacity(2);
    for pair in candidate.into_iter().chain(serving) {
        if !needed.contains(&pair.authority) {
            needed.push(pair.authority.clone());
        }
    }
    needed
}

fn trusts(entries: &[Vec<Authority>], needed: &[Authority]) -> bool {
    entries.iter().all(|trusted| needed.iter().all(|authority| trusted.contains(authority)))
}

fn has_more(entries: &[Vec<Authority>], needed: &[Authority]) -> bool {
    entries.iter().flatten().any(|authority| !needed.contains(authority))
}

/// What is needed, and what was trusted so far and still can be.
fn grown(needed: &[Authority], entries: &[Vec<Authority>], wall: Wall) -> Vec<Authority> {
    let mut grown = needed.to_vec();
    for authority in entries.iter().flatten() {
        if grown.len() < MOST && authority.until >= wall && !grown.contains(authority) {
            grown.push(authority.clone());
        }
    }
    grown
}

#[cfg(test)]
mod tests;
