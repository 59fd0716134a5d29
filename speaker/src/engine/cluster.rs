//! What the engine knows of the cluster, which of it changed, and the standings that follow.

use std::collections::{BTreeMap, BTreeSet};

use crds::model::advertisement::Advertisement;
use crds::model::compile::Config;
use crds::model::electorate::{Ballot, Electorate};
use crds::model::group::{Group, Sharing};
use crds::model::ids::{NodeName, PoolName, ServiceKey};
use crds::model::selector::Labels;
use crds::names::EXCLUDE_FROM_LOAD_BALANCERS;

use super::event::{Change, Kind};
use super::standing::{Announcement, Standing};
use crate::announce::desired::PortSpec;
use crate::facts::{NodeFacts, ServiceFacts, SliceFacts, Traffic};
use crate::ownership::Why;

/// The cluster's objects, as facts, and what must be decided anew.
#[derive(Debug)]
pub(super) struct Cluster {
    ignore_exclude_label: bool,
    services: BTreeMap<ServiceKey, ServiceFacts>,
    sharing: Sharing,
    /// Slices by their own key, and which of them belong to a Service.
    slices: BTreeMap<ServiceKey, SliceFacts>,
    slices_of: BTreeMap<ServiceKey, BTreeSet<ServiceKey>>,
    nodes: BTreeMap<NodeName, NodeFacts>,
    missing: BTreeSet<Kind>,
    /// `None` when nodes, members or configuration changed since it was made.
    electorate: Option<Electorate>,
    dirty: Dirty,
}

/// What must be decided anew.
#[derive(Debug, PartialEq, Eq)]
enum Dirty {
    All,
    Some(BTreeSet<ServiceKey>),
}

/// One Service's part in the election of its group.
struct Claim<'a> {
    facts: &'a ServiceFacts,
    pool: &'a PoolName,
    ballot: Ballot<'a>,
}

impl Cluster {
    pub(super) fn new(ignore_exclude_label: bool) -> Self {
        Self {
            ignore_exclude_label,
            services: BTreeMap::new(),
            sharing: Sharing::default(),
            slices: BTreeMap::new(),
            slices_of: BTreeMap::new(),
            nodes: BTreeMap::new(),
            missing: Kind::ALL.into(),
            electorate: None,
            dirty: Dirty::All,
        }
    }

    /// The kinds that have not been delivered yet.
    pub(super) fn missing(&self) -> impl Iterator<Item = &'static str> {
        self.missing.iter().map(|kind| kind.name())
    }

    pub(super) fn delivered(&mut self, kind: Kind) {
        self.missing.remove(&kind);
    }

    /// Everything must be decided anew, with another electorate.
    pub(super) fn mark_all(&mut self) {
        self.dirty = Dirty::All;
        self.electorate = None;
    }

    /// The group of `service` must be decided anew.
    fn mark(&mut self, service: &ServiceKey) {
        if let Dirty::Some(dirty) = &mut self.dirty {
            dirty.extend(self.sharing.group_of(service).services);
        }
    }

    pub(super) fn services(&mut self, change: Change<ServiceKey, ServiceFacts>) {
        match change {
            Change::Replace(all) => {
                self.delivered(Kind::Services);
                let gone: Vec<_> =
                    self.services.keys().filter(|key| !all.contains_key(key)).cloned().collect();
                for key in gone {
                    self.set_service(&key, None);
                }
                for (key, facts) in all {
                    self.set_service(&key, Some(facts));
                }
            }
            Change::Set(key, facts) => self.set_service(&key, Some(facts)),
            Change::Remove(key) => self.set_service(&key, None),
        }
    }

    fn set_service(&mut self, key: &ServiceKey, facts: Option<ServiceFacts>) {
        if self.services.get(key) == facts.as_ref() {
            return;
        }
        // Both the group it leaves and the one it joins may stand differently now.
        self.mark(key);
        let addresses = facts.iter().flat_map(|facts| facts.addresses.iter().copied()).collect();
        self.sharing.set(key, addresses);
        self.mark(key);
        match facts {
            Some(facts) => self.services.insert(key.clone(), facts),
            None => self.services.remove(key),
        };
    }

    pub(super) fn slices(&mut self, change: Change<ServiceKey, SliceFacts>) {
        match change {
            Change::Replace(all) => {
                self.delivered(Kind::Slices);
                let gone: Vec<_> =
                    self.slices.keys().filter(|key| !all.contains_key(key)).cloned().collect();
                for key in gone {
                    self.set_slice(&key, None);
                }
                for (key, facts) in all {
                    self.set_slice(&key, Some(&facts));
                }
            }
            Change::Set(key, facts) => self.set_slice(&key, Some(&facts)),
            Change::Remove(key) => self.set_slice(&key, None),
        }
    }

    fn set_slice(&mut self, key: &ServiceKey, facts: Option<&SliceFacts>) {
        if self.slices.get(key) == facts {
            return;
        }
        let old = match facts {
            Some(facts) => self.slices.insert(key.clone(), facts.clone()),
            None => self.slices.remove(key),
        };
        for service in old.iter().chain(facts).map(|slice| slice.service.clone()) {
            self.mark(&service);
            let slices = self.slices_of.entry(service.clone()).or_default();
            if facts.is_some_and(|facts| facts.service == service) {
                slices.insert(key.clone());
            } else {
                slices.remove(key);
                if slices.is_empty() {
                    self.slices_of.remove(&service);
                }
            }
        }
    }

    pub(super) fn nodes(&mut self, change: Change<NodeName, NodeFacts>) {
        let changed = match change {
            Change::Replace(all) => {
                self.delivered(Kind::Nodes);
                let changed = self.nodes != all;
                self.nodes = all;
                changed
            }
            Change::Set(name, facts) => {
                let changed = self.nodes.get(&name) != Some(&facts);
                self.nodes.insert(name, facts);
                changed
            }
            Change::Remove(name) => self.nodes.remove(&name).is_some(),
        };
        if changed {
            self.mark_all();
        }
    }

    /// The UID of `service`; empty if it is not known.
    pub(super) fn uid(&self, service: &ServiceKey) -> String {
        self.services.get(service).map(|facts| facts.uid.clone()).unwrap_or_default()
    }

    /// The standings, on node `me` with the links `ports`, of every Service that may have
    /// changed; `None` for those that are gone. Nothing is dirty afterwards.
    pub(super) fn decide(
        &mut self,
        config: &Config,
        me: &NodeName,
        ports: &[PortSpec],
        alive: impl Fn(&NodeName) -> bool,
    ) -> BTreeMap<ServiceKey, Option<Standing>> {
        let dirty = match std::mem::replace(&mut self.dirty, Dirty::Some(BTreeSet::new())) {
            Dirty::All => self.services.keys().cloned().collect(),
            Dirty::Some(dirty) => dirty,
        };
        let mut standings = BTreeMap::new();
        if dirty.is_empty() {
            return standings;
        }
        let electorate = self.electorate.take().unwrap_or_else(|| self.electorate(alive));
        for service in &dirty {
            if !standings.contains_key(service) {
                let group = self.sharing.group_of(service);
                standings.extend(self.judge(&group, config, &electorate, me, ports));
            }
        }
        self.electorate = Some(electorate);
        standings
    }

    fn electorate(&self, alive: impl Fn(&NodeName) -> bool) -> Electorate {
        let barred = |facts: &NodeFacts| {
            facts.network_unavailable
                || (!self.ignore_exclude_label
                    && facts.labels.contains_key(EXCLUDE_FROM_LOAD_BALANCERS))
        };
        let nodes = self.nodes.iter().filter(|(name, facts)| alive(name) && !barred(facts));
        Electorate::new(nodes.map(|(name, facts)| (name.clone(), facts.labels.clone())))
    }

    /// The standings of all Services of `group`.
    fn judge(
        &self,
        group: &Group,
        config: &Config,
        electorate: &Electorate,
        me: &NodeName,
        ports: &[PortSpec],
    ) -> Vec<(ServiceKey, Option<Standing>)> {
        let services = group.services.iter();
        let local: Vec<BTreeSet<NodeName>> =
            services.clone().map(|service| self.endpoint_nodes(service)).collect();
        let claims: Vec<(&ServiceKey, Option<Result<Claim<'_>, Why>>)> = services
            .zip(&local)
            .map(|(service, local)| {
                let facts = self.services.get(service);
                (service, facts.map(|facts| self.claim(service, facts, config, local)))
            })
            .collect();
        let valid = claims.iter().filter_map(|(_, claim)| claim.as_ref()?.as_ref().ok());
        let ballots: Vec<&Ballot<'_>> = valid.map(|claim| &claim.ballot).collect();
        let owner = electorate.elect(group.hash, &ballots, |_| true).ok_or(Why::NoCandidate);
        let standing = |claim: Result<Claim<'_>, Why>| match (claim, &owner) {
            (Err(why), _) => Standing::Silent(why),
            (Ok(_), Err(why)) => Standing::Silent(why.clone()),
            (Ok(_), Ok(owner)) if *owner != me => {
                Standing::Silent(Why::OtherNode((*owner).clone()))
            }
            (Ok(claim), Ok(_)) => self.announce(&claim, me, ports),
        };
        claims.into_iter().map(|(service, claim)| (service.clone(), claim.map(standing))).collect()
    }

    /// What `service` asks of the election, or why it takes no part.
    fn claim<'a>(
        &self,
        service: &ServiceKey,
        facts: &'a ServiceFacts,
        config: &'a Config,
        local: &'a BTreeSet<NodeName>,
    ) -> Result<Claim<'a>, Why> {
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
        Ok(Claim { facts, pool, ballot: Ballot { advertisements, only } })
    }

    /// The announcement of a Service by its owner, this node.
    fn announce(&self, claim: &Claim<'_>, me: &NodeName, ports: &[PortSpec]) -> Standing {
        let facts = claim.facts;
        let no_labels = Labels::new();
        let labels = self.nodes.get(me).map_or(&no_labels, |node| &node.labels);
        let selecting: Vec<_> =
            claim.ballot.advertisements.iter().filter(|a| a.selects_node(labels)).collect();
        let everywhere = selecting.iter().any(|advertisement| advertisement.interfaces.is_empty());
        let named = selecting.iter().flat_map(|advertisement| &advertisement.interfaces).cloned();
        let interfaces: BTreeSet<String> =
            if everywhere { BTreeSet::new() } else { named.collect() };
        let links = ports.iter().filter(|link| interfaces.contains(&link.name));
        let links: BTreeSet<_> = links.map(|link| link.index).collect();
        if let Some(first) = facts.addresses.first().filter(|_| !everywhere && links.is_empty()) {
            return Standing::Silent(Why::NoInterface(*first));
        }
        let (addresses, pool) = (facts.addresses.clone(), claim.pool.clone());
        let uid = facts.uid.clone();
        Standing::Announced(Announcement { uid, addresses, pool, interfaces, links })
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
