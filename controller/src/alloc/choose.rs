//! Which pool, and which of its addresses: addresses asked for go before a pool asked for, and
//! that before the pools that give on their own: first those pinned to Services like this one, by
//! priority, then those open to all; equals by name. When one cannot give, the next is tried.

use std::net::IpAddr;

use crds::model::compile::Config;
use crds::model::ids::PoolName;
use crds::model::pool::{Pool, Rank};
use crds::model::range::Family;

use super::free;
use super::ledger::Ledger;
use super::refusal::Refusal;
use super::request::{Need, Policy, Request, Wanted, families};

/// What `request` gets, and from which pool.
///
/// # Errors
/// [`Refusal`] when it can get nothing.
pub fn choose(
    ledger: &Ledger,
    config: &Config,
    request: &Request,
) -> Result<(PoolName, Vec<IpAddr>), Refusal> {
    match &request.wanted {
        Wanted::Unreadable(refusal) => Err(refusal.clone()),
        Wanted::These(addresses) => {
            let pool = asked_for(ledger, config, request, addresses)?;
            Ok((pool, addresses.clone()))
        }
        Wanted::Any => match &request.wanted_pool {
            Some(name) => from_pool(ledger, config, request, name),
            None => from_any(ledger, config, request),
        },
    }
}

fn asked_for(
    ledger: &Ledger,
    config: &Config,
    request: &Request,
    addresses: &[IpAddr],
) -> Result<PoolName, Refusal> {
    if !request.need.allows_asking_for(&families(addresses)) {
        return Err(Refusal::FamilyMismatch(addresses.to_vec()));
    }
    let pool = ledger.permit(config, request, addresses)?;
    match &request.wanted_pool {
        Some(wanted) if *wanted != pool => {
            Err(Refusal::OtherPool { addresses: addresses.to_vec(), pool: wanted.clone() })
        }
        Some(_) | None => Ok(pool),
    }
}

fn from_pool(
    ledger: &Ledger,
    config: &Config,
    request: &Request,
    name: &PoolName,
) -> Result<(PoolName, Vec<IpAddr>), Refusal> {
    let unknown = || Refusal::UnknownPool(name.clone());
    let pool = config.pools.get(name).ok_or_else(unknown)?;
    if !pool.admits(&request.key.namespace, &request.labels) {
        return Err(Refusal::PoolNotCompatible(name.clone()));
    }
    first_that_can(ledger, &[pool], request).ok_or_else(|| match request.need {
        Need::Dual { policy: Policy::Require, primary: _ } => {
            Refusal::PoolExhaustedDual(name.clone())
        }
        Need::Dual { policy: Policy::Prefer, primary: _ } | Need::Single(_) => {
            Refusal::PoolExhausted(name.clone())
        }
    })
}

fn from_any(
    ledger: &Ledger,
    config: &Config,
    request: &Request,
) -> Result<(PoolName, Vec<IpAddr>), Refusal> {
    let (mut pinned, open): (Vec<&Pool>, Vec<&Pool>) = config
        .pools
        .values()
        .filter(|pool| pool.auto_assign)
        .filter(|pool| pool.admits(&request.key.namespace, &request.labels))
        .partition(|pool| pool.allocation.is_some());
    // A stable sort: equals stay in the order of their names.
    pinned.sort_by_key(|pool| {
        pool.allocation.as_ref().map_or(Rank::Last, |allocation| allocation.rank)
    });
    let none = pinned.is_empty() && open.is_empty();
    first_that_can(ledger, &pinned, request)
        .or_else(|| first_that_can(ledger, &open, request))
        .ok_or(if none { Refusal::NoPool } else { Refusal::Exhausted })
}

/// The first of `pools` that has what is needed. Two addresses always come from one pool, IPv4
/// first; where one will do, a later pool with both goes before an earlier one with one.
fn first_that_can(
    ledger: &Ledger,
    pools: &[&Pool],
    request: &Request,
) -> Option<(PoolName, Vec<IpAddr>)> {
    let first_with = |wanted: &[Family]| {
        pools.iter().find_map(|pool| {
            let next = |family: &Family| free::next(ledger, pool, *family, request);
            let addresses: Option<Vec<_>> = wanted.iter().map(next).collect();
            addresses.map(|addresses| (pool.name.clone(), addresses))
        })
    };
    match request.need {
        Need::Single(family) => first_with(&[family]),
        Need::Dual { policy, primary } => {
            let both = first_with(&[Family::V4, Family::V6]);
            match policy {
                Policy::Require => both,
                Policy::Prefer => both
                    .or_else(|| first_with(&[primary]))
                    .or_else(|| first_with(&[opposite(primary)])),
            }
        }
    }
}

/// The address that would complete `held`, from the same pool; for PreferDualStack. `None` when
/// the pool has none of the missing family, now or ever, and so nothing is lacking.
///
/// # Errors
/// [`Refusal`] when it has some, and they are all taken.
pub fn complement(
    ledger: &Ledger,
    config: &Config,
    request: &Request,
    pool: &PoolName,
    held: IpAddr,
) -> Result<Option<IpAddr>, Refusal> {
    let missing = opposite(Family::of(held));
    let Some(pool) = config.pools.get(pool).filter(|pool| pool.capacity(missing) > 0) else {
        return Ok(None);
    };
    match free::next(ledger, pool, missing, request) {
        Some(address) => Ok(Some(address)),
        None => Err(Refusal::PoolExhausted(pool.name.clone())),
    }
}

/// An address of `family` from `pool`, in place of one of that family and pool.
///
/// # Errors
/// [`Refusal`] when there is none left.
pub fn other(
    ledger: &Ledger,
    config: &Config,
    request: &Request,
    pool: &PoolName,
    family: Family,
) -> Result<IpAddr, Refusal> {
    let found = config.pools.get(pool).and_then(|pool| free::next(ledger, pool, family, request));
    found.ok_or_else(|| Refusal::PoolExhausted(pool.clone()))
}

const fn opposite(family: Family) -> Family {
    match family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    }
}
