//! What speaks against an object that is not there yet, or is there in another form. By the rules of
//! `compile`, with one difference: whoever comes is the younger, whatever its time of creation says.

use std::collections::BTreeMap;

use super::problem::Problem;
use super::{Config, Resources, compile, object};
use crate::api::v1beta1::{IPAddressPool, L2Advertisement};
use crate::model::ids::PoolName;

/// What is wrong with `new` if it is made, or takes the place of the pool of its name among those
/// that `exist`: what it says itself, and addresses that a pool in force has. Pools that are not in
/// force, for faults of their own, keep nobody out; and a pool that changes is not told of those
/// that lost to it before.
pub fn pool_objections(new: &IPAddressPool, exist: &Resources) -> Vec<Problem> {
    let pool = match object::pool(new, &exist.namespaces) {
        Ok(pool) => pool,
        Err(problems) => return problems,
    };
    let mut in_force = compile(exist, &Config::default()).config.pools;
    in_force.remove(&pool.name);
    object::check_overlap(&pool, &in_force).err().unwrap_or_default()
}

/// What is wrong with `new` by itself: nothing else can be wrong with an advertisement.
pub fn advertisement_objections(new: &L2Advertisement) -> Vec<Problem> {
    object::advertisement(new, &BTreeMap::new()).err().unwrap_or_default()
}

/// The pools that `new` names and that are not among those that `exist`. It may: they may come.
pub fn missing_pools(new: &L2Advertisement, exist: &Resources) -> Vec<PoolName> {
    let read = exist.pools.iter().filter_map(|pool| pool.metadata.name.as_deref());
    let known: Vec<_> = read.chain(exist.unreadable.iter().map(|one| one.name.as_str())).collect();
    let named = new.spec.spec.ip_address_pools.iter();
    named.filter(|name| !known.contains(&name.as_str())).map(|name| name.as_str().into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made in the second after the one before it.
    fn pools(all: &[(&str, &str)]) -> Resources {
        let pool = |(second, (name, addresses)): (usize, &(&str, &str))| {
            let created = format!("2026-01-01T00:00:{second:02}Z");
            serde_json::from_value(serde_json::json!({
                "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
                "metadata": {"name": name, "creationTimestamp": created},
                "spec": {"addresses": [addresses]},
            }))
            .unwrap()
        };
        Resources { pools: all.iter().enumerate().map(pool).collect(), ..Resources::default() }
    }

    fn said(new: (&str, &str), exist: &[(&str, &str)]) -> Vec<String> {
        let new = &pools(&[new]).pools[0];
        pool_objections(new, &pools(exist)).iter().map(ToString::to_string).collect()
    }

    fn overlap(new: &str, range: &str, old: &str, other: &str) -> Vec<String> {
        vec![format!(
            "IPAddressPool \"{new}\": spec.addresses[0]: CIDR \"{range}\" in pool \"{new}\" \
             overlaps with already defined CIDR \"{other}\" of pool \"{old}\""
        )]
    }

    #[test]
    fn who_comes_is_the_younger_even_if_its_time_and_name_say_otherwise() {
        let taken = overlap("a", "192.0.2.128/25", "b", "192.0.2.0/24");
        assert_eq!(said(("a", "192.0.2.128/25"), &[("b", "192.0.2.0/24")]), taken);
    }

    #[test]
    fn the_older_cannot_take_from_the_younger_by_growing() {
        let exist = [("old", "192.0.2.0/25"), ("young", "192.0.2.128/25")];
        let taken = overlap("old", "192.0.2.0/24", "young", "192.0.2.128/25");
        assert_eq!(said(("old", "192.0.2.0/24"), &exist), taken);
        assert_eq!(said(("old", "192.0.2.0/26"), &exist), [""; 0]);
    }

    #[test]
    fn a_pool_that_lost_to_another_does_not_hold_up_the_winner_and_stays_at_fault() {
        let exist = [("old", "192.0.2.0/24"), ("young", "192.0.2.128/25")];
        assert_eq!(said(("old", "192.0.2.0-192.0.2.200"), &exist), [""; 0]);
        let taken = overlap("young", "192.0.2.192/26", "old", "192.0.2.0/24");
        assert_eq!(said(("young", "192.0.2.192/26"), &exist), taken);
        assert_eq!(said(("young", "198.51.100.0/24"), &exist), [""; 0]);
    }

    #[test]
    fn a_broken_pool_keeps_nobody_out() {
        assert_eq!(said(("new", "192.0.2.0/24"), &[("broken", "192.0.2.0/40")]), [""; 0]);
    }
}
