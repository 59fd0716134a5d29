//! Groups with an owner, and the nodes that may have them: worked out as the speakers do it; and why
//! nobody can have the others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::advertisement::Advertisement;
use crds::model::compile::Config;
use crds::model::electorate::{Ballot, Electorate};
use crds::model::group::Group;
use crds::model::ids::{NodeName, PoolName, ServiceKey};

use super::cluster::{Cluster, Owner};
use super::facts::ServiceFacts;
use super::roster::Roster;
use super::unserved::Unserved;
use crate::placement::Candidate;

/// A group that somebody announces.
#[derive(Debug)]
pub(super) struct Ward<'a> {
    /// Its lowest address.
    pub(super) id: IpAddr,
    pub(super) group: Group,
    pub(super) owner: Owner,
    pub(super) candidates: Vec<Candidate<'a>>,
}

impl Ward<'_> {
    /// Whether `node` may announce it.
    pub(super) fn may(&self, node: &NodeName) -> bool {
        self.candidates.iter().any(|candidate| candidate.node == node)
    }
}

/// All groups that have an owner, by address, and of the others the Services that nobody may announce.
pub(super) fn wards<'a>(
    cluster: &Cluster,
    roster: &Roster,
    config: &Config,
    electorate: &'a Electorate,
) -> (Vec<Ward<'a>>, BTreeMap<ServiceKey, Unserved>) {
    let mut wards = Vec::new();
    let mut unserved = BTreeMap::new();
    for group in cluster.groups() {
        let Some(&id) = group.addresses.first() else { continue };
        let candidates = candidates(cluster, roster, config, electorate, &group);
        if let Some(owner) = cluster.owner(&group) {
            wards.push(Ward { id, group, owner, candidates });
        } else if candidates.is_empty() {
            let why = why_unserved(cluster, roster, &group);
            unserved.extend(group.services.into_iter().map(|key| (key, why)));
        }
    }
    wards.sort_by_key(|ward| ward.id);
    (wards, unserved)
}

fn why_unserved(cluster: &Cluster, roster: &Roster, group: &Group) -> Unserved {
    let services = || group.services.iter();
    let is_local = |key: &ServiceKey| cluster.facts(key).is_some_and(|facts| facts.is_local);
    if !services().any(|key| cluster.has_endpoint(key)) {
        Unserved::NoEndpoints
    } else if roster.fit().next().is_none() {
        Unserved::NoSpeaker
    } else if services().any(is_local) {
        Unserved::NoLocalEndpoint
    } else {
        Unserved::NoNode
    }
}

fn candidates<'a>(
    cluster: &Cluster,
    roster: &Roster,
    config: &Config,
    electorate: &'a Electorate,
    group: &Group,
) -> Vec<Candidate<'a>> {
    let local: Vec<(&ServiceKey, &ServiceFacts, BTreeSet<NodeName>)> = group
        .services
        .iter()
        .filter_map(|key| {
            let facts = cluster.facts(key)?;
            let nodes = facts.is_local.then(|| cluster.endpoint_nodes(key));
            Some((key, facts, nodes.unwrap_or_default()))
        })
        .collect();
    let ballots: Vec<Ballot<'_>> = local
        .iter()
        .filter(|(key, _, _)| cluster.has_endpoint(key))
        .filter_map(|(_, facts, nodes)| {
            let pool = pool_of(facts, config)?;
            let advertisements: Vec<&Advertisement> =
                config.advertisements_for(pool, &facts.labels).collect();
            let only = facts.is_local.then_some(nodes);
            (!advertisements.is_empty()).then_some(Ballot { advertisements, only })
        })
        .collect();
    let ballots: Vec<&Ballot<'_>> = ballots.iter().collect();
    let named = ballots.iter().flat_map(|ballot| &ballot.advertisements);
    let are_links_named = named.clone().any(|one| !one.interfaces.is_empty());
    electorate
        .candidates(group.hash, &ballots)
        .filter(|candidate| !are_links_named || has_link(roster, candidate.node, named.clone()))
        .map(|candidate| Candidate {
            node: candidate.node,
            served: candidate.served,
            weight: candidate.weight,
        })
        .collect()
}

/// Whether `node` has a link that one of `advertisements` allows.
fn has_link<'a>(
    roster: &Roster,
    node: &NodeName,
    advertisements: impl Iterator<Item = &'a &'a Advertisement>,
) -> bool {
    let Some(labels) = roster.labels(node) else {
        return false;
    };
    let mut selecting = advertisements.filter(|one| one.selects_node(labels));
    selecting.any(|one| one.interfaces.is_empty() || roster.has_link(node, &one.interfaces))
}

/// The pool that the addresses of a Service are from; as in the speakers.
fn pool_of<'a>(facts: &'a ServiceFacts, config: &'a Config) -> Option<&'a PoolName> {
    let first = facts.addresses.first()?;
    match config.pool_of(*first) {
        Some(pool) => {
            facts.addresses.iter().all(|address| pool.contains(*address)).then_some(&pool.name)
        }
        None => facts.pool.as_ref().filter(|pool| config.unreadable_pools.contains(*pool)),
    }
}
