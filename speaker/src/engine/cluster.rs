//! What the engine knows of the cluster, and which of it changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crds::model::compile::Config;
use crds::model::electorate::Electorate;
use crds::model::group::{Group, Sharing};
use crds::model::ids::{NodeName, ServiceKey};
use crds::model::selector::Labels;
use crds::names::EXCLUDE_FROM_LOAD_BALANCERS;

use super::event::{Change, Kind};
use crate::facts::{NodeFacts, ServiceFacts, SliceFacts};

mod share;

pub(super) use share::Share;

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
    /// `None` when nodes or configuration changed since it was made.
    electorate: Option<Arc<Electorate>>,
    dirty: Dirty,
    /// Services that went and were not decided about since: [`Dirty::All`] means those that there are,
    /// and what is answered for these must end, too.
    gone: BTreeSet<ServiceKey>,
}

/// What must be decided anew.
#[derive(Debug, PartialEq, Eq)]
enum Dirty {
    All,
    Some(BTreeSet<ServiceKey>),
}

/// What users want of a node as a host of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// That it takes them.
    Serving,
    /// That it leaves them to others, and keeps those that nobody else can have.
    Draining,
    /// That it has none.
    Excluded,
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
            gone: BTreeSet::new(),
        }
    }

    /// The labels of `node`, if there is such a node.
    pub(super) fn labels(&self, node: &NodeName) -> Option<&Labels> {
        self.nodes.get(node).map(|facts| &facts.labels)
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
        if let Some(facts) = facts {
            self.services.insert(key.clone(), facts);
        } else {
            self.services.remove(key);
            self.gone.insert(key.clone());
        }
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

    /// The groups that may stand differently, each once; none of them is dirty afterwards.
    pub(super) fn take_dirty(&mut self) -> Vec<Group> {
        let gone = std::mem::take(&mut self.gone);
        let dirty = match std::mem::replace(&mut self.dirty, Dirty::Some(BTreeSet::new())) {
            Dirty::All => self.services.keys().cloned().chain(gone).collect(),
            Dirty::Some(dirty) => dirty,
        };
        let mut done: BTreeSet<ServiceKey> = BTreeSet::new();
        let mut groups = Vec::new();
        for service in dirty {
            if !done.contains(&service) {
                let group = self.sharing.group_of(&service);
                done.extend(group.services.iter().cloned());
                groups.push(group);
            }
        }
        groups
    }

    /// The group of `address`, if a Service has it.
    pub(super) fn group_at(&self, address: &IpAddr) -> Option<Group> {
        let service = self.sharing.services_at(address).next()?;
        Some(self.sharing.group_of(service))
    }

    /// The Services that have `address`.
    pub(super) fn services_at(&self, address: &IpAddr) -> impl Iterator<Item = &ServiceKey> {
        self.sharing.services_at(address)
    }

    /// The groups of these addresses must be decided anew.
    pub(super) fn mark_addresses<'a>(&mut self, addresses: impl IntoIterator<Item = &'a IpAddr>) {
        for address in addresses {
            let service = self.sharing.services_at(address).next().cloned();
            if let Some(service) = service {
                self.mark(&service);
            }
        }
    }

    /// The nodes that no label or condition bars.
    pub(super) fn electorate(&mut self) -> Arc<Electorate> {
        if let Some(electorate) = &self.electorate {
            return Arc::clone(electorate);
        }
        let nodes = self.nodes.iter().filter(|(_, facts)| !self.is_barred(facts));
        let nodes = nodes.map(|(name, facts)| (name.clone(), facts.labels.clone()));
        let electorate = Arc::new(Electorate::new(nodes));
        self.electorate = Some(Arc::clone(&electorate));
        electorate
    }

    fn is_barred(&self, facts: &NodeFacts) -> bool {
        facts.network_unavailable || facts.draining || self.is_excluded(facts)
    }

    fn is_excluded(&self, facts: &NodeFacts) -> bool {
        !self.ignore_exclude_label && facts.labels.contains_key(EXCLUDE_FROM_LOAD_BALANCERS)
    }

    /// The interfaces that advertisements for `node` name.
    pub(super) fn interfaces_named<'a>(
        &self,
        node: &NodeName,
        config: &'a Config,
    ) -> BTreeSet<&'a str> {
        let no_labels = Labels::new();
        let labels = self.nodes.get(node).map_or(&no_labels, |facts| &facts.labels);
        let selecting = config.advertisements.values().filter(|one| one.selects_node(labels));
        selecting.flat_map(|one| &one.interfaces).map(String::as_str).collect()
    }

    /// The addresses that `service` has.
    pub(super) fn addresses_of(&self, service: &ServiceKey) -> &[IpAddr] {
        self.services.get(service).map_or(&[], |facts| &facts.addresses)
    }

    /// Whether there is such a node.
    pub(super) fn has_node(&self, node: &NodeName) -> bool {
        self.nodes.contains_key(node)
    }

    /// Whether nothing bars `node`.
    pub(super) fn serves(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|facts| !self.is_barred(facts))
    }

    /// What the objects say of `node` as a host of addresses.
    pub(super) fn intent(&self, node: &NodeName) -> Intent {
        match self.nodes.get(node) {
            Some(facts) if self.is_excluded(facts) => Intent::Excluded,
            Some(facts) if facts.draining => Intent::Draining,
            Some(_) | None => Intent::Serving,
        }
    }
}
