//! The rules of the lease. Plain data; time is an argument, measured by the caller's own clock
//! since it began.
//!
//! Clocks of two machines are never compared. A lease counts as expired when *we* saw it unchanged
//! for as long as its holder promised to renew it, and the holder, by its own clock, stops before
//! that: it counts from before its last renewal was sent, the other replicas from after they saw
//! it. Two replicas that take an expired lease at once are told apart by the resourceVersion that
//! every write is bound to.

use std::time::Duration;

/// How a lease is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long it is good for after a renewal.
    pub duration: Duration,
    /// How often it is renewed.
    pub renew: Duration,
    /// How soon a failed write is tried again.
    pub retry: Duration,
}

impl Terms {
    /// How long after a renewal its holder still acts: a fifth less than it is good for, so that a
    /// write begun at the last moment has time to arrive.
    pub fn active(self) -> Duration {
        self.duration * 4 / 5
    }
}

/// What the Lease object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its resourceVersion.
    pub version: String,
    /// Who holds it; `None` when it was given back.
    pub holder: Option<String>,
    /// How long the holder promised to renew it within.
    pub duration: Duration,
    /// How often it changed hands.
    pub transitions: i32,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing until then; `None`: until something is seen.
    Wait(Option<Duration>),
    /// Make the object, held by us.
    Create,
    /// Write our name into the object of this version, with this count of transitions.
    Take(String, i32),
    /// Renew the object of this version, with this count of transitions.
    Renew(String, i32),
}

/// What is known about the lease.
#[derive(Debug, Clone)]
pub struct Election {
    me: String,
    terms: Terms,
    /// The object, or its absence, and when it was first seen like that.
    seen: Option<(Option<Record>, Duration)>,
    /// When the last renewal that succeeded was sent.
    renewed: Option<Duration>,
    not_before: Duration,
}

impl Election {
    /// A replica called `me`, a name that no other process ever had.
    pub fn new(me: String, terms: Terms) -> Self {
        Self { me, terms, seen: None, renewed: None, not_before: Duration::ZERO }
    }

    /// Takes in what the object says now; `None` when there is none.
    pub fn observe(&mut self, record: Option<Record>, now: Duration) {
        if let (Some((Some(known), _)), Some(record)) = (&self.seen, &record)
            && is_not_newer(&record.version, &known.version)
        {
            return;
        }
        if self.seen.as_ref().is_some_and(|(known, _)| *known == record) {
            return;
        }
        if record.as_ref().and_then(|record| record.holder.as_ref()) != Some(&self.me) {
            self.renewed = None;
        }
        self.seen = Some((record, now));
    }

    /// Takes in that our write, sent at `sent`, made the object `record`.
    pub fn written(&mut self, record: Record, sent: Duration, now: Duration) {
        self.renewed = Some(sent);
        self.not_before = Duration::ZERO;
        self.seen = Some((Some(record), now));
    }

    /// Takes in that a write did not succeed.
    pub fn failed(&mut self, now: Duration) {
        self.not_before = now + self.terms.retry;
    }

    /// Until when we lead, if we do.
    pub fn leads_until(&self) -> Option<Duration> {
        self.renewed.map(|renewed| renewed + self.terms.active())
    }

    /// The version of the object we hold, and its count of transitions, to give it back.
    pub fn held(&self) -> Option<(&str, i32)> {
        self.renewed?;
        let (record, _) = self.seen.as_ref()?;
        record.as_ref().map(|record| (record.version.as_str(), record.transitions))
    }

    /// What to do at `now`.
    pub fn decide(&mut self, now: Duration) -> Step {
        // Too late: it may be somebody else's by now. From here on it is like any other lease.
        if self.leads_until().is_some_and(|until| now >= until) {
            self.renewed = None;
        }
        let Some((record, since)) = &self.seen else {
            return Step::Wait(None);
        };
        let (at, step) = match (record, self.renewed) {
            (None, _) => (Duration::ZERO, Step::Create),
            (Some(record), Some(renewed)) => (
                renewed + self.terms.renew,
                Step::Renew(record.version.clone(), record.transitions),
            ),
            (Some(record), None) => {
                let free = match &record.holder {
                    None => Duration::ZERO,
                    // A write of ours that was given up on, and went through all the same. Nobody
                    // acts under it: we stopped, and no other process has our name.
                    Some(holder) if *holder == self.me => Duration::ZERO,
                    Some(_) => *since + record.duration,
                };
                (free, Step::Take(record.version.clone(), record.transitions + 1))
            }
        };
        let at = at.max(self.not_before);
        if now >= at {
            return step;
        }
        // While it is held, wake up in time to notice that it is not any more.
        Step::Wait(Some(self.leads_until().map_or(at, |until| at.min(until))))
    }
}

/// Whether `version` says nothing newer than `known`: a watch may lag behind our own write.
fn is_not_newer(version: &str, known: &str) -> bool {
    match (version.parse::<u64>(), known.parse::<u64>()) {
        (Ok(version), Ok(known)) => version <= known,
        _ => version == known,
    }
}

#[cfg(test)]
mod tests;
