//! From API objects to the configuration in force: `compile`, which controller and speaker (and
//! later webhook and CLI) all call, so that they cannot disagree about what an object means.
//!
//! It never fails as a whole. Each object is judged by itself; a broken one becomes a
//! [`Problem`] that names object and field, and leaves all others working. An object that *turns*
//! invalid keeps its last valid form, so that a typing mistake takes nobody's address away.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::advertisement::Advertisement;
use super::ids::PoolName;
use super::pool::Pool;
use super::range::AddressRange;
use super::selector::Labels;
use crate::api::v1beta1::{IPAddressPool, L2Advertisement};

mod newcomer;
mod object;
mod problem;

pub use newcomer::{advertisement_objections, missing_pools, pool_objections};
pub use problem::{Cause, Field, Kind, Problem};

/// The objects that the configuration is made of, in any order.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// All `IPAddressPool` objects of ferrolb's namespace.
    pub pools: Vec<IPAddressPool>,
    /// All `L2Advertisement` objects of ferrolb's namespace.
    pub advertisements: Vec<L2Advertisement>,
    /// The labels of all namespaces, by name, for namespace selectors.
    pub namespaces: BTreeMap<String, Labels>,
    /// Objects that exist and do not even fit their type. They are invalid, not gone.
    pub unreadable: Vec<Unreadable>,
}

/// An object that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unreadable {
    /// The object's kind.
    pub kind: Kind,
    /// The object's name.
    pub name: String,
    /// What does not fit.
    pub error: String,
}

/// The configuration in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The valid pools. No two ranges of any of them overlap.
    pub pools: BTreeMap<PoolName, Pool>,
    /// The valid advertisements, by name.
    pub advertisements: BTreeMap<String, Advertisement>,
    /// Pools that exist, are invalid, and have no last valid form. Addresses that came from them
    /// are kept as they are: nobody can tell yet whether they are still wanted.
    pub unreadable_pools: BTreeSet<PoolName>,
}

/// A configuration, and what had to be left out of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compiled {
    /// What is in force.
    pub config: Config,
    /// What is wrong, ordered by object.
    pub problems: Vec<Problem>,
}

impl Config {
    /// The pool that `address` may be given out from; unique, since valid pools do not overlap.
    pub fn pool_of(&self, address: std::net::IpAddr) -> Option<&Pool> {
        self.pools.values().find(|pool| pool.contains(address))
    }

    /// All ranges of all pools, by pool name and in the order written.
    pub fn ranges(&self) -> impl Iterator<Item = &AddressRange> {
        self.pools.values().flat_map(|pool| &pool.ranges)
    }

    /// The advertisements meant for a Service with `labels` and an address from `pool`.
    pub fn advertisements_for<'a>(
        &'a self,
        pool: &'a PoolName,
        labels: &'a Labels,
    ) -> impl Iterator<Item = &'a Advertisement> {
        self.advertisements
            .values()
            .filter(move |advertisement| advertisement.applies_to(pool, labels))
    }
}

/// Judges `resources`; `last` is the configuration in force until now.
///
/// Of two pools that overlap, the older keeps its addresses (by creation time, then name): a new
/// pool must never disturb one that serves.
pub fn compile(resources: &Resources, last: &Config) -> Compiled {
    let mut compiled = Compiled::default();
    let mut pools: Vec<&IPAddressPool> = resources.pools.iter().collect();
    pools
        .sort_by_key(|pool| (pool.metadata.creation_timestamp.clone(), pool.metadata.name.clone()));
    for pool in pools {
        compile_pool(pool, resources, last, &mut compiled);
    }
    for object in &resources.unreadable {
        compile_unreadable(object, last, &mut compiled);
    }
    let pools = pool_labels(resources, &compiled.config);
    let mut advertisements = BTreeMap::new();
    for object in &resources.advertisements {
        let name = object.metadata.name.clone().unwrap_or_default();
        match object::advertisement(object, &pools) {
            Ok(advertisement) => {
                advertisements.insert(name, advertisement);
            }
            Err(found) => {
                compiled.problems.extend(found);
                if let Some(kept) = last.advertisements.get(&name) {
                    advertisements.insert(name, kept.clone());
                }
            }
        }
    }
    for object in &resources.unreadable {
        if let (Kind::L2Advertisement, Some(kept)) =
            (object.kind, last.advertisements.get(&object.name))
        {
            advertisements.insert(object.name.clone(), kept.clone());
        }
    }
    compiled.config.advertisements = advertisements;
    compiled.problems.sort();
    compiled
}

fn compile_pool(
    object: &IPAddressPool,
    resources: &Resources,
    last: &Config,
    compiled: &mut Compiled,
) {
    let accepted = &mut compiled.config.pools;
    let judged = object::pool(object, &resources.namespaces)
        .and_then(|pool| object::check_overlap(&pool, accepted).map(|()| pool));
    match judged {
        Ok(pool) => {
            accepted.insert(pool.name.clone(), pool);
        }
        Err(found) => {
            compiled.problems.extend(found);
            let name = PoolName::from(object.metadata.name.clone().unwrap_or_default());
            keep_last_form(name, last, &mut compiled.config);
        }
    }
}

/// The invalid pool `name` stays what it was; if it never was anything, its addresses are kept as
/// they are.
fn keep_last_form(name: PoolName, last: &Config, config: &mut Config) {
    match last.pools.get(&name) {
        Some(kept) if object::check_overlap(kept, &config.pools).is_ok() => {
            config.pools.insert(name, kept.clone());
        }
        Some(_) | None => {
            config.unreadable_pools.insert(name);
        }
    }
}

/// The labels of every pool that exists, whether it can be read or not: an advertisement goes on
/// covering a pool that turned invalid.
fn pool_labels(resources: &Resources, config: &Config) -> BTreeMap<PoolName, Labels> {
    let unreadable = config.unreadable_pools.iter().map(|name| {
        let is_it = |pool: &&IPAddressPool| pool.metadata.name.as_deref() == Some(name.as_str());
        let object = resources.pools.iter().find(is_it);
        let labels = object.and_then(|pool| pool.metadata.labels.clone());
        (name.clone(), labels.unwrap_or_default())
    });
    let valid = config.pools.values().map(|pool| (pool.name.clone(), pool.labels.clone()));
    valid.chain(unreadable).collect()
}

fn compile_unreadable(object: &Unreadable, last: &Config, compiled: &mut Compiled) {
    let Unreadable { kind, name, error } = object;
    compiled.problems.push(Problem {
        kind: *kind,
        name: name.clone(),
        field: Field { path: "spec", index: None },
        cause: Cause::Unreadable(error.clone()),
    });
    match kind {
        Kind::IpAddressPool => {
            keep_last_form(PoolName::from(name.as_str()), last, &mut compiled.config);
        }
        // Kept once the advertisements are known.
        Kind::L2Advertisement => {}
    }
}

#[cfg(test)]
mod tests;
