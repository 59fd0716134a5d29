//! What each Service of a group asks of its election, and how it would be answered here.

use std::collections::BTreeSet;

use crds::model::advertisement::Advertisement;
use crds::model::compile::Config;
use crds::model::electorate::Ballot;
use crds::model::group::Group;
use crds::model::ids::{NodeName, PoolName, ServiceKey};
use crds::model::selector::Labels;

use super::Cluster;
use crate::announce::desired::PortSpec;
use crate::engine::standing::Announcement;
use crate::facts::{ServiceFacts, SliceFacts, Traffic};
use crate::ownership::Why;

/// One Service's part in the election of its group.
pub(in crate::engine) struct Share<'a> {
    pub(in crate::engine) facts: &'a ServiceFacts,
    pub(in crate::engine) pool: &'a PoolName,
    pub(in crate::engine) ballot: Ballot<'a>,
}

impl Cluster {
    /// What each Service of `group` asks of an election, or why it takes no part; `None` for those
    /// that are gone. `local` is from [`local`](Self::local), in their order.
    pub(in crate::engine) fn parts<'a>(
        &'a self,
        group: &'a Group,
        config: &'a Config,
        local: &'a [BTreeSet<NodeName>],
    ) -> Vec<(&'a ServiceKey, Option<Result<Share<'a>, Why>>)> {
        let part = |(service, local)| {
            let facts = self.services.get(service);
            (service, facts.map(|facts| self.part(service, facts, config, local)))
        };
        group.services.iter().zip(local).map(part).collect()
    }

    /// For each Service of `group`, the nodes with a usable endpoint, where that matters.
    pub(in crate::engine) fn local(&self, group: &Group) -> Vec<BTreeSet<NodeName>> {
        group.services.iter().map(|service| self.endpoint_nodes(service)).collect()
    }

    fn part<'a>(
        &self,
        service: &ServiceKey,
        facts: &'a ServiceFacts,
        config: &'a Config,
        local: &'a BTreeSet<NodeName>,
    ) -> Result<Share<'a>, Why> {
        let pool = pool_of(facts, config)?;
        let advertisements: Vec<&Advertisement> =
            config.advertisements_for(pool, &facts.labels).collect();
        if advertisements.is_empty() {
            return Err(Why::NoAdvertisement);
        }
        if !self.has_endpoint(service) {
            return Err(Why::NoEndpoints);
        }
        let only = match facts.traffic {
            Traffic::Cluster => None,
            Traffic::Local => Some(local),
        };
        Ok(Share { facts, pool, ballot: Ballot { advertisements, only } })
    }

    /// How node `me`, with the links `ports`, answers for the Service of `share`.
    pub(in crate::engine) fn announcement(
        &self,
        share: &Share<'_>,
        me: &NodeName,
        ports: &[PortSpec],
    ) -> Result<Announcement, Why> {
        let facts = share.facts;
        let no_labels = Labels::new();
        let labels = self.nodes.get(me).map_or(&no_labels, |node| &node.labels);
        let selecting: Vec<_> =
            share.ballot.advertisements.iter().filter(|a| a.selects_node(labels)).collect();
        let everywhere = selecting.iter().any(|advertisement| advertisement.interfaces.is_empty());
        let named = selecting.iter().flat_map(|advertisement| &advertisement.interfaces).cloned();
        let interfaces: BTreeSet<String> =
            if everywhere { BTreeSet::new() } else { named.collect() };
        let links = ports.iter().filter(|link| interfaces.contains(&link.name));
        let links: BTreeSet<_> = links.map(|link| link.index).collect();
        if let Some(first) = facts.addresses.first().filter(|_| !everywhere && links.is_empty()) {
            return Err(Why::NoInterface(*first));
        }
        let (addresses, pool) = (facts.addresses.clone(), share.pool.clone());
        let uid = facts.uid.clone();
        Ok(Announcement { uid, addresses, pool, interfaces, links, claim: 0 })
    }

    fn own_slices(&self, service: &ServiceKey) -> impl Iterator<Item = &SliceFacts> {
        self.slices_of.get(service).into_iter().flatten().filter_map(|key| self.slices.get(key))
    }

    fn has_endpoint(&self, service: &ServiceKey) -> bool {
        self.own_slices(service).any(|slice| slice.usable)
    }

    /// The nodes with a usable endpoint; only worked out where it matters.
    fn endpoint_nodes(&self, service: &ServiceKey) -> BTreeSet<NodeName> {
        let local = |facts: &ServiceFacts| facts.traffic == Traffic::Local;
        if !self.services.get(service).is_some_and(local) {
            return BTreeSet::new();
        }
        self.own_slices(service).flat_map(|slice| slice.nodes.iter().cloned()).collect()
    }
}

/// The pool that the addresses of a Service are from. One that exists and cannot be read, which a
/// restarted speaker may find, says nothing of its addresses: then the controller's word counts.
fn pool_of<'a>(facts: &'a ServiceFacts, config: &'a Config) -> Result<&'a PoolName, Why> {
    let first = facts.addresses.first().ok_or(Why::NoAddress)?;
    match config.pool_of(*first) {
        Some(pool) if facts.addresses.iter().all(|address| pool.contains(*address)) => {
            Ok(&pool.name)
        }
        Some(_) => Err(Why::NotInPool),
        None => {
            let named = facts.pool.as_ref();
            named.filter(|pool| config.unreadable_pools.contains(*pool)).ok_or(Why::NotInPool)
        }
    }
}
