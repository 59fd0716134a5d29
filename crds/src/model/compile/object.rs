//! The judgement of single objects. Every problem of an object is found at once, so that a user
//! mends it in one go.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::problem::{Cause, Field, Kind, Problem};
use crate::api::v1beta1::{IPAddressPool, L2Advertisement, ServiceAllocation};
use crate::model::advertisement::{Advertisement, Preference};
use crate::model::ids::PoolName;
use crate::model::pool::{Allocation, Pool, Rank};
use crate::model::range::AddressRange;
use crate::model::selector::{Labels, Selector, any_matches};

/// Gathers the problems of one object.
struct Judge {
    kind: Kind,
    name: String,
    problems: Vec<Problem>,
}

impl Judge {
    fn new(kind: Kind, name: Option<&String>) -> Self {
        Self { kind, name: name.cloned().unwrap_or_default(), problems: Vec::new() }
    }

    fn reject(&mut self, path: &'static str, index: Option<usize>, cause: Cause) {
        let (kind, name) = (self.kind, self.name.clone());
        self.problems.push(Problem { kind, name, field: Field { path, index }, cause });
    }

    /// `valid` if nothing was rejected.
    fn verdict<T>(self, valid: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() { Ok(valid) } else { Err(self.problems) }
    }

    /// Reads a list of selectors at `path`, whose last part is the name users know it by.
    fn selectors(&mut self, path: &'static str, list: &[LabelSelector]) -> Vec<Selector> {
        let mut selectors = Vec::with_capacity(list.len());
        for (index, object) in list.iter().enumerate() {
            match Selector::parse(object) {
                Ok(selector) if selectors.contains(&selector) => {
                    let field = path.rsplit('.').next().unwrap_or(path);
                    self.reject(path, Some(index), Cause::RepeatedSelector(field));
                }
                Ok(selector) => selectors.push(selector),
                Err(why) => self.reject(path, Some(index), Cause::InvalidSelector(why)),
            }
        }
        selectors
    }

    /// Reads a list of names at `path`, none of which may stand there twice.
    fn names(
        &mut self,
        path: &'static str,
        list: &[String],
        repeated: fn(String) -> Cause,
    ) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (index, name) in list.iter().enumerate() {
            if !names.insert(name.clone()) {
                self.reject(path, Some(index), repeated(name.clone()));
            }
        }
        names
    }
}

/// Judges a pool by itself; `namespaces` resolves its namespace selectors.
pub(super) fn pool(
    object: &IPAddressPool,
    namespaces: &BTreeMap<String, Labels>,
) -> Result<Pool, Vec<Problem>> {
    let mut judge = Judge::new(Kind::IpAddressPool, object.metadata.name.as_ref());
    let spec = &object.spec;
    if spec.addresses.is_empty() {
        judge.reject(ADDRESSES, None, Cause::NoPrefixes);
    }
    let mut ranges: Vec<AddressRange> = Vec::with_capacity(spec.addresses.len());
    for (index, entry) in spec.addresses.iter().enumerate() {
        let pool = judge.name.clone();
        match AddressRange::parse(entry) {
            Ok(range) => match ranges.iter().find(|other| other.overlaps(&range)) {
                Some(&other) => {
                    let owner = pool.clone();
                    judge.reject(
                        ADDRESSES,
                        Some(index),
                        Cause::Overlap { range, pool, other, owner },
                    );
                }
                None => ranges.push(range),
            },
            Err(why) => {
                let entry = entry.clone();
                judge.reject(ADDRESSES, Some(index), Cause::InvalidRange { entry, pool, why });
            }
        }
    }
    let allocation = spec
        .service_allocation
        .as_ref()
        .map(|allocation| self::allocation(&mut judge, allocation, namespaces));
    let valid = Pool {
        name: judge.name.as_str().into(),
        labels: object.metadata.labels.clone().unwrap_or_default(),
        ranges,
        auto_assign: spec.auto_assign,
        avoid_buggy_ips: spec.avoid_buggy_ips,
        allocation,
    };
    judge.verdict(valid)
}

const ADDRESSES: &str = "spec.addresses";

fn allocation(
    judge: &mut Judge,
    object: &ServiceAllocation,
    all_namespaces: &BTreeMap<String, Labels>,
) -> Allocation {
    let ServiceAllocation { priority, namespaces, namespace_selectors, service_selectors } = object;
    let mut names =
        judge.names("spec.serviceAllocation.namespaces", namespaces, Cause::RepeatedNamespace);
    let selectors =
        judge.selectors("spec.serviceAllocation.namespaceSelectors", namespace_selectors);
    let selected = all_namespaces.iter().filter(|(_, labels)| any_matches(&selectors, labels));
    names.extend(selected.map(|(name, _)| name.clone()));
    let restricted = !namespaces.is_empty() || !namespace_selectors.is_empty();
    Allocation {
        rank: Rank::of(*priority),
        namespaces: restricted.then_some(names),
        service_selectors: judge
            .selectors("spec.serviceAllocation.serviceSelectors", service_selectors),
    }
}

/// Whether `pool` shares addresses with one of those `accepted` before it.
pub(super) fn check_overlap(
    pool: &Pool,
    accepted: &BTreeMap<PoolName, Pool>,
) -> Result<(), Vec<Problem>> {
    let mut judge = Judge::new(Kind::IpAddressPool, Some(&pool.name.to_string()));
    for (index, range) in pool.ranges.iter().enumerate() {
        for owner in accepted.values() {
            let Some(other) = owner.ranges.iter().find(|other| other.overlaps(range)) else {
                continue;
            };
            let cause = Cause::Overlap {
                range: *range,
                pool: pool.name.to_string(),
                other: *other,
                owner: owner.name.to_string(),
            };
            judge.reject(ADDRESSES, Some(index), cause);
        }
    }
    judge.verdict(())
}

/// Judges an advertisement; `pools` are those that exist, with their labels, which its pool selectors
/// resolve to. Names of pools that do not exist (yet) are accepted, as in MetalLB.
pub(super) fn advertisement(
    object: &L2Advertisement,
    pools: &BTreeMap<PoolName, Labels>,
) -> Result<Advertisement, Vec<Problem>> {
    let mut judge = Judge::new(Kind::L2Advertisement, object.metadata.name.as_ref());
    let spec = &object.spec.spec;
    let named = judge.names("spec.ipAddressPools", &spec.ip_address_pools, Cause::RepeatedPool);
    let by_label = judge.selectors("spec.ipAddressPoolSelectors", &spec.ip_address_pool_selectors);
    let all = spec.ip_address_pools.is_empty() && spec.ip_address_pool_selectors.is_empty();
    let chosen = pools.iter().filter(|(name, labels)| {
        all || named.contains(name.as_str()) || any_matches(&by_label, labels)
    });
    let mut preferences = Vec::with_capacity(spec.preferred_node_selectors.len());
    for (index, preferred) in spec.preferred_node_selectors.iter().enumerate() {
        let path = "spec.preferredNodeSelectors";
        let weight =
            u32::try_from(preferred.weight).ok().filter(|weight| (1..=100).contains(weight));
        match (weight, Selector::parse(&preferred.preference)) {
            (Some(weight), Ok(selector)) => preferences.push(Preference { weight, selector }),
            (None, _) => judge.reject(path, Some(index), Cause::Weight(preferred.weight)),
            (_, Err(why)) => judge.reject(path, Some(index), Cause::InvalidSelector(why)),
        }
    }
    let valid = Advertisement {
        name: judge.name.clone(),
        pools: chosen.map(|(name, _)| name.clone()).collect(),
        node_selectors: judge.selectors("spec.nodeSelectors", &spec.node_selectors),
        interfaces: spec.interfaces.iter().cloned().collect(),
        service_selectors: judge.selectors("spec.serviceSelectors", &spec.service_selectors),
        preferences,
    };
    judge.verdict(valid)
}
