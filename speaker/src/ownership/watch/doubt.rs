//! A doubt: the time between missing a member and knowing what is the matter with it.

use std::time::Duration;

use super::Surroundings;
use crate::moment::Moment;

/// How long a doubt lasts before the verdict.
pub(super) const DOUBT: Duration = Duration::from_millis(150);
/// How far its questions are apart.
const ROUND: Duration = Duration::from_millis(30);
/// Once it has lasted this long without a verdict, it is we who are cut off.
const HOPELESS: Duration = Duration::from_secs(1);
/// And then questions are this far apart.
const HOPELESS_ROUND: Duration = Duration::from_millis(400);
/// Others must be heard this soon after it began, or it was we who were cut off.
const COMPANY_WITHIN: Duration = Duration::from_millis(90);

#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) nonce: u64,
    pub(super) since: Moment,
    pub(super) next_round: Moment,
    pub(super) is_vetoed: bool,
    /// When others were first heard since it began. If that was late, it was we who were cut off
    /// until then, and the doubt begins anew.
    pub(super) company: Option<Moment>,
}

/// Whether others are heard while one is doubted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    None,
    /// Only after a while.
    Late,
    All,
}

impl Doubt {
    /// Whether others were heard from its beginning on.
    pub(super) fn keeps_company(&mut self, around: &Surroundings<'_>) -> Company {
        if self.company.is_none() {
            self.company = around.heard_since(self.since);
        }
        match self.company {
            None => Company::None,
            Some(first) if first > self.since + COMPANY_WITHIN => Company::Late,
            Some(_) => Company::All,
        }
    }

    pub(super) const fn new(nonce: u64, now: Moment) -> Self {
        Self { nonce, since: now, next_round: now, is_vetoed: false, company: None }
    }
}

/// What became of a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The node is gone.
    Gone,
    /// The node is there, its agent is not.
    Away,
    /// It does its work: only our question gets lost.
    Innocent,
}

/// When a doubt that has lasted this long asks again: one that cannot be settled, because we are cut
/// off ourselves, must not flood the link that comes back.
pub(super) fn round_after(doubted: Duration) -> Duration {
    if doubted < DOUBT {
        ROUND
    } else if doubted < HOPELESS {
        2 * ROUND
    } else {
        HOPELESS_ROUND
    }
}
