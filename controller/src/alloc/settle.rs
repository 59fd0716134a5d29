//! One Service's turn: keep what it has if that is still right, else give it something else, else
//! say why not. The order of the questions is MetalLB's, since it decides which answer users see.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crds::model::compile::Config;
use crds::model::ids::PoolName;

use super::choose;
use super::ledger::{Claim, Ledger};
use super::refusal::Refusal;
use super::request::{Need, Policy, Request, Wanted, families, together};

/// What a Service's object says it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// The addresses in its status.
    pub addresses: Vec<IpAddr>,
    /// The pool its annotation names.
    pub pool: Option<PoolName>,
}

/// How a Service's turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What it holds now.
    pub claim: Option<Claim>,
    /// How it came by that.
    pub news: News,
    /// What it had to give up.
    pub lost: Option<Lost>,
    /// What it asked for in vain; it may hold something all the same.
    pub refusal: Option<Refusal>,
}

/// How a Service came by what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It had it before, or has nothing.
    None,
    /// It was given all of it now.
    Assigned,
    /// It was given this one in addition.
    Added(IpAddr),
}

/// What a Service had to give up, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// Why.
    pub why: Why,
}

/// Why a Service cannot keep what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A rule forbids it.
    NotAllowed(Refusal),
    /// They are no set that a Service can have: more than two, or two of one family. We give no such
    /// set; somebody else wrote it.
    NoFamily(Refusal),
    /// Its cluster IPs are of other families.
    OtherFamily,
    /// It asks for another pool.
    OtherPoolWanted,
    /// It asks for other addresses.
    OtherAddressWanted,
    /// Another host answers for one that was never in use.
    Conflict,
}

impl Why {
    /// A short fixed word for logs, MetalLB's where it has one.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotAllowed(refusal) => refusal.reason(),
            Self::NoFamily(_) | Self::OtherFamily => "nolbIPsIPFamily",
            Self::OtherPoolWanted => "differentPoolRequested",
            Self::OtherAddressWanted => "differentIPRequested",
            Self::Conflict => "addressConflict",
        }
    }

    /// The rule that the addresses break, if it is one.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::NotAllowed(refusal) | Self::NoFamily(refusal) => Some(refusal),
            Self::OtherFamily
            | Self::OtherPoolWanted
            | Self::OtherAddressWanted
            | Self::Conflict => None,
        }
    }
}

/// Decides about one Service. What the ledger has for it goes before what its object says: the
/// object may not have been written yet.
pub fn settle(ledger: &mut Ledger, config: &Config, request: &Request, held: &Held) -> Settled {
    let claimed = ledger.claim(&request.key).map(|claim| claim.addresses.clone());
    let before = claimed.unwrap_or_else(|| held.addresses.clone());
    if let Some(pool) = &held.pool
        && config.unreadable_pools.contains(pool)
        && !before.is_empty()
    {
        let claim = ledger.reserve(request, pool, &before).clone();
        return Settled::kept(claim);
    }
    let mut lost = None;
    if !before.is_empty() {
        match keep(ledger, config, request, &before) {
            Ok(claim) => return complete(ledger, config, request, claim),
            Err(why) => {
                ledger.release(&request.key);
                lost = Some(Lost { addresses: before, why });
            }
        }
    }
    match ledger.assign(config, request) {
        Ok(claim) => {
            Settled { claim: Some(claim.clone()), news: News::Assigned, lost, refusal: None }
        }
        Err(refusal) => Settled { claim: None, news: News::None, lost, refusal: Some(refusal) },
    }
}

impl Settled {
    fn kept(claim: Claim) -> Self {
        Self { claim: Some(claim), news: News::None, lost: None, refusal: None }
    }
}

fn keep(
    ledger: &mut Ledger,
    config: &Config,
    request: &Request,
    before: &[IpAddr],
) -> Result<Claim, Why> {
    together(before).map_err(Why::NoFamily)?;
    if !request.need.is_met_by(&families(before)) {
        return Err(Why::OtherFamily);
    }
    let pool = ledger.permit(config, request, before).map_err(Why::NotAllowed)?;
    if request.wanted_pool.as_ref().is_some_and(|wanted| *wanted != pool) {
        return Err(Why::OtherPoolWanted);
    }
    match &request.wanted {
        // As a set: the order they are shown in stays what it is, whatever the user reorders.
        Wanted::These(wanted) if as_set(wanted) != as_set(before) => {
            return Err(Why::OtherAddressWanted);
        }
        Wanted::These(_) | Wanted::Any | Wanted::Unreadable(_) => {}
    }
    let claim = ledger.adopt(config, request, before).map_err(Why::NotAllowed)?;
    Ok(claim.clone())
}

/// Adds to what was kept the second address that PreferDualStack would like to have, and tells of
/// a wish that cannot be read.
fn complete(ledger: &mut Ledger, config: &Config, request: &Request, claim: Claim) -> Settled {
    if let Wanted::Unreadable(refusal) = &request.wanted {
        return Settled { refusal: Some(refusal.clone()), ..Settled::kept(claim) };
    }
    let one = match (request.need, &claim.addresses[..]) {
        (Need::Dual { policy: Policy::Prefer, primary: _ }, [one]) => *one,
        _ => return Settled::kept(claim),
    };
    let added = choose::complement(ledger, config, request, &claim.pool, one);
    let both = added.and_then(|added| {
        let Some(added) = added else {
            return Ok(None);
        };
        let claim = ledger.adopt(config, request, &[one, added])?;
        Ok(Some((claim.clone(), added)))
    });
    match both {
        Ok(None) => Settled::kept(claim),
        Ok(Some((claim, added))) => Settled { news: News::Added(added), ..Settled::kept(claim) },
        Err(refusal) => Settled { refusal: Some(refusal), ..Settled::kept(claim) },
    }
}

fn as_set(addresses: &[IpAddr]) -> BTreeSet<IpAddr> {
    addresses.iter().copied().collect()
}

#[cfg(test)]
mod tests;
