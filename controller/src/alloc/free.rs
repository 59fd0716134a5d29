//! The next address of one pool.

use std::net::IpAddr;

use crds::model::pool::{Pool, is_buggy};
use crds::model::range::{AddressRange, Family, to_number};

use super::ledger::Ledger;
use super::request::Request;

/// The address of `family` that `request` gets from `pool`: in the order the ranges are written,
/// each upward, the first that nobody holds, or that its holders share with it. An address
/// released lately is taken only if there is no other, one set aside not at all.
///
/// The cost does not depend on how many addresses the pool has or how many of them are held, only
/// on how many are held under the same sharing value.
pub fn next(ledger: &Ledger, pool: &Pool, family: Family, request: &Request) -> Option<IpAddr> {
    let mut ranges = pool.ranges.iter().filter(|range| range.family() == family);
    ranges
        .find_map(|range| {
            let unused = unused(ledger, pool, range);
            let shareable = shareable(ledger, pool, range, request);
            // `None` sorts before `Some`, so the two cannot simply be compared.
            unused.into_iter().chain(shareable).min()
        })
        .or_else(|| {
            let mut released = ledger.cooling();
            released.find(|address| Family::of(*address) == family && pool.contains(*address))
        })
}

fn unused(ledger: &Ledger, pool: &Pool, range: &AddressRange) -> Option<IpAddr> {
    let (mut from, to) = range.numbers();
    loop {
        let address = ledger.busy().next_free(range.family(), from, to)?;
        if !(pool.avoid_buggy_ips && is_buggy(address)) {
            return Some(address);
        }
        from = to_number(address).checked_add(1).filter(|next| *next <= to)?;
    }
}

fn shareable(
    ledger: &Ledger,
    pool: &Pool,
    range: &AddressRange,
    request: &Request,
) -> Option<IpAddr> {
    let sharing = request.sharing.as_ref()?;
    ledger
        .shared_between(sharing, range.first(), range.last())
        .filter(|address| pool.contains(*address) && !ledger.is_aside(*address))
        .find(|address| ledger.permit_beside(request, *address).is_ok())
}
