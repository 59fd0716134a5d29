//! What the programs would say about the pools: the same judgement as in the cluster.

use std::collections::BTreeMap;

use crds::api::v1beta1::{IPAddressPool, IPAddressPoolSpec};
use crds::model::compile::{Config, Resources, compile};

use super::convert::Objects;
use super::finding::{Fault, Findings, Place};
use super::legacy::Pool;

/// Notes everything that `compile` has against `pools`. One that got no object is judged all the
/// same, under a name of its own, so that a user mends all of it in one go.
pub(super) fn judge(pools: &[Pool], objects: &Objects<'_>, findings: &mut Findings) {
    let named = |pool: &Pool| {
        let object = objects.pools.iter().find(|object| object.from == pool);
        object.map_or_else(|| pool.place.to_string(), |object| object.name.clone())
    };
    let judged: BTreeMap<String, &Pool> = pools.iter().map(|pool| (named(pool), pool)).collect();
    let object = |(name, pool): (&String, &&Pool)| {
        let spec = IPAddressPoolSpec {
            addresses: pool.addresses.clone()?,
            auto_assign: pool.auto_assign.unwrap_or(true),
            avoid_buggy_ips: pool.avoid_buggy_ips,
            service_allocation: None,
        };
        Some(IPAddressPool::new(name, spec))
    };
    let pools = judged.iter().filter_map(object).collect();
    let resources = Resources { pools, ..Resources::default() };
    for problem in compile(&resources, &Config::default()).problems {
        let key = problem.field.to_string();
        let key = key.strip_prefix("spec.").unwrap_or(&key);
        let place = match judged.get(&problem.name) {
            Some(pool) => Place::of(&pool.place, key),
            None => Place::key(key),
        };
        findings.reject(place, Fault::Rejected(problem.cause));
    }
}
