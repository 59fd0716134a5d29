//! The objects the configuration is made of, and the configuration made of them.

use std::collections::{BTreeMap, BTreeSet};

use crds::api::v1beta1::{IPAddressPool, L2Advertisement};
use crds::model::compile::{Compiled, Config, Kind, Problem, Resources, Unreadable, compile};
use crds::model::ids::PoolName;
use crds::model::selector::Labels;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use kit::feed::{self, Change};
use kube::{Resource, ResourceExt as _};

use super::store::Store;

/// Pools, advertisements and namespaces as last seen, and what they mean.
#[derive(Debug, Default)]
pub struct Sources {
    pools: Store<String, IPAddressPool>,
    advertisements: Store<String, L2Advertisement>,
    namespaces: Store<String, Labels>,
    /// Objects that exist and cannot be read: what is wrong with them.
    unreadable: BTreeMap<(Kind, String), String>,
    config: Config,
    problems: Vec<Problem>,
    revision: u64,
    is_stale: bool,
}

/// What a change of the configuration concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Pools that came, went, or are not what they were, or are announced otherwise.
    pub pools: BTreeSet<PoolName>,
    /// Whether the list of problems is another one.
    pub problems: bool,
}

impl Sources {
    /// Whether all has been listed once.
    pub fn is_synced(&self) -> bool {
        self.pools.is_synced() && self.advertisements.is_synced() && self.namespaces.is_synced()
    }

    /// The kinds of which no list has arrived yet.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let kinds = [
            (self.pools.is_synced(), "IPAddressPools"),
            (self.advertisements.is_synced(), "L2Advertisements"),
            (self.namespaces.is_synced(), "Namespaces"),
        ];
        kinds.into_iter().filter(|(synced, _)| !synced).map(|(_, kind)| kind)
    }

    /// What is in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Counts the changes of what is in force.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What is wrong.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The pool objects, valid or not.
    pub fn pools(&self) -> &Store<String, IPAddressPool> {
        &self.pools
    }

    /// Takes in a change of pools.
    pub fn pool(&mut self, change: Change<IPAddressPool>) {
        let kind = Kind::IpAddressPool;
        let touched = take(&mut self.pools, &mut self.unreadable, kind, change);
        self.is_stale |= touched;
    }

    /// Takes in the answer to a write of ours.
    pub fn pool_written(&mut self, pool: IPAddressPool) {
        let name = pool.name_any();
        let known = self.pools.get(&name);
        if known.is_some_and(|known| known.metadata.uid == pool.metadata.uid) {
            let version = pool.resource_version();
            self.is_stale |= self.pools.put(name, version.as_deref(), pool);
        }
    }

    /// Takes in a change of advertisements.
    pub fn advertisement(&mut self, change: Change<L2Advertisement>) {
        let kind = Kind::L2Advertisement;
        let touched = take(&mut self.advertisements, &mut self.unreadable, kind, change);
        self.is_stale |= touched;
    }

    /// Takes in a change of namespaces.
    pub fn namespace(&mut self, change: Change<Namespace>) {
        self.is_stale |= match change {
            Change::Reset { objects, .. } => {
                let entry = |object: Namespace| {
                    let version = object.resource_version();
                    let name = object.name_any();
                    (name, version, object.metadata.labels.unwrap_or_default())
                };
                self.namespaces.reset(objects.into_iter().map(entry));
                true
            }
            Change::Put(object) => {
                let (name, version) = (object.name_any(), object.resource_version());
                let labels = object.metadata.labels.unwrap_or_default();
                let is_news = self.namespaces.get(&name) != Some(&labels);
                self.namespaces.put(name, version.as_deref(), labels);
                is_news
            }
            Change::Gone(metadata) => {
                let name = metadata.name.unwrap_or_default();
                self.namespaces.remove(&name).is_some()
            }
            // Nothing of a namespace but its labels is read; those it had still count.
            Change::Unreadable(_) => false,
        };
    }

    /// Judges the objects again if any of them changed.
    pub fn refresh(&mut self) -> Option<Changed> {
        if !self.is_stale || !self.is_synced() {
            return None;
        }
        self.is_stale = false;
        let Compiled { config, problems } = compile(&self.resources(), &self.config);
        let changed = Changed {
            pools: changed_pools(&self.config, &config),
            problems: problems != self.problems,
        };
        self.revision += u64::from(!changed.pools.is_empty());
        self.config = config;
        self.problems = problems;
        Some(changed)
    }

    fn resources(&self) -> Resources {
        let labels = |(name, labels): (&String, &Labels)| (name.clone(), labels.clone());
        let unreadable = self.unreadable.iter().map(|((kind, name), error)| Unreadable {
            kind: *kind,
            name: name.clone(),
            error: error.clone(),
        });
        Resources {
            pools: self.pools.iter().map(|(_, pool)| pool.clone()).collect(),
            advertisements: self.advertisements.iter().map(|(_, one)| one.clone()).collect(),
            namespaces: self.namespaces.iter().map(labels).collect(),
            unreadable: unreadable.collect(),
        }
    }

    /// The object that `problem` is about.
    pub fn about(&self, problem: &Problem) -> Option<ObjectReference> {
        match problem.kind {
            Kind::IpAddressPool => self.pools.get(&problem.name).map(kit::events::about),
            Kind::L2Advertisement => self.advertisements.get(&problem.name).map(kit::events::about),
        }
    }
}

/// Takes `change` into `store`, and says whether anything is different now.
fn take<K: Resource<DynamicType = ()>>(
    store: &mut Store<String, K>,
    unreadable: &mut BTreeMap<(Kind, String), String>,
    kind: Kind,
    change: Change<K>,
) -> bool {
    match change {
        Change::Reset { objects, unreadable: broken } => {
            unreadable.retain(|(other, _), _| *other != kind);
            for object in broken {
                note(unreadable, kind, object);
            }
            let entry = |object: K| (object.name_any(), object.resource_version(), object);
            store.reset(objects.into_iter().map(entry));
            true
        }
        Change::Put(object) => {
            let (name, version) = (object.name_any(), object.resource_version());
            let mended = unreadable.remove(&(kind, name.clone())).is_some();
            store.put(name, version.as_deref(), object) || mended
        }
        Change::Gone(metadata) => {
            let name = metadata.name.unwrap_or_default();
            let was_broken = unreadable.remove(&(kind, name.clone())).is_some();
            store.remove(&name).is_some() || was_broken
        }
        Change::Unreadable(object) => {
            store.remove(&object.metadata.name.clone().unwrap_or_default());
            note(unreadable, kind, object);
            true
        }
    }
}

fn note(unreadable: &mut BTreeMap<(Kind, String), String>, kind: Kind, object: feed::Unreadable) {
    let name = object.metadata.name.unwrap_or_default();
    unreadable.insert((kind, name), object.error);
}

/// The pools about which `new` says something else than `old`.
fn changed_pools(old: &Config, new: &Config) -> BTreeSet<PoolName> {
    let names = old.pools.keys().chain(new.pools.keys());
    let differs = |name: &&PoolName| old.pools.get(*name) != new.pools.get(*name);
    let mut changed: BTreeSet<PoolName> = names.filter(differs).cloned().collect();
    changed.extend(old.unreadable_pools.symmetric_difference(&new.unreadable_pools).cloned());
    let names = old.advertisements.keys().chain(new.advertisements.keys());
    for name in names.collect::<BTreeSet<_>>() {
        let (before, after) = (old.advertisements.get(name), new.advertisements.get(name));
        if before != after {
            let both = before.into_iter().chain(after);
            changed.extend(both.flat_map(|one| one.pools.iter().cloned()));
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use crds::api::v1beta1::L2AdvertisementSpec;

    use super::*;

    fn pool(name: &str, version: &str, addresses: &str) -> IPAddressPool {
        let spec = serde_json::json!({"addresses": [addresses]});
        let mut pool = IPAddressPool::new(name, serde_json::from_value(spec).unwrap());
        pool.metadata.resource_version = Some(version.to_owned());
        pool
    }

    fn listed<K>(objects: Vec<K>) -> Change<K> {
        Change::Reset { objects, unreadable: Vec::new() }
    }

    fn synced(pools: Vec<IPAddressPool>) -> Sources {
        let mut sources = Sources::default();
        sources.pool(listed(pools));
        sources.advertisement(listed(vec![L2Advertisement::with_spec(
            "a",
            L2AdvertisementSpec::default(),
        )]));
        sources.namespace(listed(Vec::new()));
        sources
    }

    #[test]
    fn nothing_is_judged_before_everything_is_listed() {
        let mut sources = Sources::default();
        sources.pool(listed(vec![pool("p", "1", "192.0.2.0/24")]));
        assert_eq!(sources.refresh(), None);
        assert_eq!(sources.missing().collect::<Vec<_>>(), ["L2Advertisements", "Namespaces"]);
    }

    #[test]
    fn a_change_names_the_pools_it_concerns() {
        let mut sources =
            synced(vec![pool("p", "1", "192.0.2.0/25"), pool("q", "1", "192.0.2.128/25")]);
        assert_eq!(sources.refresh().unwrap().pools.len(), 2);
        assert_eq!(sources.refresh(), None);
        sources.pool(Change::Put(pool("p", "2", "192.0.2.0/26")));
        let changed = sources.refresh().unwrap();
        assert_eq!(changed.pools, BTreeSet::from(["p".into()]));
        sources.pool(Change::Put(pool("p", "3", "192.0.2.0/26")));
        assert_eq!(sources.refresh(), Some(Changed::default()));
    }

    #[test]
    fn an_advertisement_concerns_the_pools_it_names() {
        let mut sources = synced(vec![pool("p", "1", "192.0.2.0/25")]);
        sources.refresh();
        let metadata = L2Advertisement::with_spec("a", L2AdvertisementSpec::default()).metadata;
        sources.advertisement(Change::Gone(Box::new(metadata)));
        assert_eq!(sources.refresh().unwrap().pools, BTreeSet::from(["p".into()]));
    }

    #[test]
    fn a_pool_that_turns_unreadable_is_not_gone() {
        let mut sources = synced(vec![pool("p", "1", "192.0.2.0/25")]);
        sources.refresh();
        let metadata = Box::new(pool("p", "2", "x").metadata);
        let error = "spec: expected a map".to_owned();
        sources.pool(Change::Unreadable(feed::Unreadable { metadata, error }));
        let changed = sources.refresh().unwrap();
        assert!(changed.pools.is_empty() && changed.problems);
        assert_eq!(sources.config().pools.len(), 1);
        sources.pool(Change::Put(pool("p", "3", "192.0.2.0/25")));
        assert!(sources.refresh().unwrap().problems);
        assert!(sources.problems().is_empty());
    }
}
