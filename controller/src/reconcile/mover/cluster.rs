//! Services, their endpoints and their announcers: which groups there are, and who has them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crds::model::group::{Group, Sharing};
use crds::model::ids::{NodeName, ServiceKey};
use kit::feed::Change;

use super::facts::{self, ServiceFacts, SliceFacts, StatusFacts, key_of};
use crate::view::Facts;

/// Who has a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) node: NodeName,
    /// The number of its claim; `None` if it does not say, or if its Services have several owners:
    /// then no order could name what it is about.
    pub(super) claim: Option<u64>,
}

/// All Services that have addresses, and what is known of them.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    services: BTreeMap<ServiceKey, ServiceFacts>,
    sharing: Sharing,
    slices: Related<ServiceKey, SliceFacts>,
    statuses: Related<String, StatusFacts>,
    has_services: bool,
    has_slices: bool,
    has_statuses: bool,
    /// When anything about Services changed last; those that were not touched for long are left out.
    changed: BTreeMap<ServiceKey, Duration>,
}

impl Cluster {
    pub(super) fn missing(&self) -> impl Iterator<Item = &'static str> {
        let kinds = [
            (self.has_services, "Services"),
            (self.has_slices, "EndpointSlices"),
            (self.has_statuses, "ServiceL2Statuses"),
        ];
        kinds.into_iter().filter(|(synced, _)| !synced).map(|(_, kind)| kind)
    }

    pub(super) fn service(&mut self, change: &Change<Facts>, now: Duration) {
        match change {
            Change::Reset { objects, unreadable } => {
                self.has_services = true;
                let broken = unreadable.iter().map(|one| key_of(&one.metadata));
                let there: BTreeSet<ServiceKey> =
                    objects.iter().map(|facts| facts.key.clone()).chain(broken).collect();
                let known = self.services.keys().cloned();
                for gone in known.filter(|key| !there.contains(key)).collect::<Vec<_>>() {
                    self.set_service(&gone, None, now);
                }
                for facts in objects {
                    self.set_service(&facts.key, facts::service(facts), now);
                }
            }
            Change::Put(facts) => self.set_service(&facts.key, facts::service(facts), now),
            Change::Gone(metadata) => self.set_service(&key_of(metadata), None, now),
            Change::Unreadable(_) => {}
        }
    }

    fn set_service(&mut self, key: &ServiceKey, facts: Option<ServiceFacts>, now: Duration) {
        if self.services.get(key) == facts.as_ref() {
            return;
        }
        let addresses = facts.as_ref().map(|facts| facts.addresses.clone()).unwrap_or_default();
        self.sharing.set(key, addresses);
        self.changed.insert(key.clone(), now);
        match facts {
            Some(facts) => self.services.insert(key.clone(), facts),
            None => self.services.remove(key),
        };
    }

    pub(super) fn slice(&mut self, change: Change<SliceFacts>, now: Duration) {
        self.has_slices |= matches!(change, Change::Reset { .. });
        let touched =
            self.slices.take(change, |facts| (facts.key.clone(), facts.service.clone()), key_of);
        // Elsewhere endpoints come and go all day, and it makes no difference where they are.
        let is_local = |key: &ServiceKey| self.services.get(key).is_some_and(|one| one.is_local);
        let touched = touched.into_iter().filter(is_local).collect();
        self.touch(touched, now);
    }

    pub(super) fn status(&mut self, change: Change<StatusFacts>, now: Duration) {
        self.has_statuses |= matches!(change, Change::Reset { .. });
        let service = |facts: &StatusFacts| facts.says.as_ref().map(|(service, _)| service.clone());
        let touched = self.statuses.take(
            change,
            |facts| (facts.name.clone(), service(facts)),
            |metadata| metadata.name.clone().unwrap_or_default(),
        );
        self.touch(touched, now);
    }

    fn touch(&mut self, services: BTreeSet<ServiceKey>, now: Duration) {
        let ours = services.into_iter().filter(|key| self.services.contains_key(key));
        self.changed.extend(ours.map(|key| (key, now)));
    }

    /// When anything about the Services of `group` changed last; `None`: long ago.
    pub(super) fn changed(&self, group: &Group) -> Option<Duration> {
        group.services.iter().filter_map(|key| self.changed.get(key)).max().copied()
    }

    /// Forgets what changed before `then`, and says when the oldest change that is left was.
    pub(super) fn forget(&mut self, then: Duration) -> Option<Duration> {
        self.changed.retain(|_, changed| *changed > then);
        self.changed.values().min().copied()
    }

    /// All groups, each once.
    pub(super) fn groups(&self) -> Vec<Group> {
        let mut seen: BTreeSet<&ServiceKey> = BTreeSet::new();
        let mut groups = Vec::new();
        for key in self.services.keys() {
            if seen.contains(key) {
                continue;
            }
            let group = self.sharing.group_of(key);
            if group.services.len() > 1 {
                seen.extend(
                    group
                        .services
                        .iter()
                        .filter_map(|key| self.services.get_key_value(key).map(|(key, _)| key)),
                );
            }
            groups.push(group);
        }
        groups
    }

    /// Whether any Service has `address`.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.sharing.services_at(&address).next().is_some()
    }

    pub(super) fn facts(&self, service: &ServiceKey) -> Option<&ServiceFacts> {
        self.services.get(service)
    }

    /// Who has `group`: of all who say they announce one of its Services, the one with the highest
    /// claim.
    pub(super) fn owner(&self, group: &Group) -> Option<Owner> {
        let announcers: Vec<(&NodeName, Option<u64>)> =
            group.services.iter().filter_map(|service| self.announcer(service)).collect();
        // The lower name of two with one claim: any fixed order will do.
        let (node, claim) = announcers
            .iter()
            .max_by(|(a, claim), (b, other)| claim.cmp(other).then_with(|| b.cmp(a)))?;
        let agree = announcers.iter().all(|one| one == &(*node, *claim));
        Some(Owner { node: (*node).clone(), claim: claim.filter(|_| agree) })
    }

    fn announcer(&self, service: &ServiceKey) -> Option<(&NodeName, Option<u64>)> {
        let said = self.statuses.of(service).filter_map(|facts| {
            let (_, node) = facts.says.as_ref()?;
            Some((node, facts.claim))
        });
        said.max_by(|(a, claim), (b, other)| claim.cmp(other).then_with(|| b.cmp(a)))
    }

    pub(super) fn has_endpoint(&self, service: &ServiceKey) -> bool {
        self.slices.of(service).any(|slice| slice.is_usable)
    }

    /// The nodes with a usable endpoint.
    pub(super) fn endpoint_nodes(&self, service: &ServiceKey) -> BTreeSet<NodeName> {
        self.slices.of(service).flat_map(|slice| slice.nodes.iter().cloned()).collect()
    }
}

/// Objects that each belong to a Service.
#[derive(Debug)]
struct Related<K, T> {
    objects: BTreeMap<K, (Option<ServiceKey>, T)>,
    by_service: BTreeMap<ServiceKey, BTreeSet<K>>,
}

impl<K, T> Default for Related<K, T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), by_service: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, T: PartialEq> Related<K, T> {
    /// The objects of `service`.
    fn of(&self, service: &ServiceKey) -> impl Iterator<Item = &T> {
        let keys = self.by_service.get(service).into_iter().flatten();
        keys.filter_map(|key| self.objects.get(key).map(|(_, object)| object))
    }

    /// Takes in `change`, and says which Services it concerns. `place` says under which key an
    /// object goes and whose it is. One that cannot be read stays what it was.
    fn take(
        &mut self,
        change: Change<T>,
        place: impl Fn(&T) -> (K, Option<ServiceKey>),
        key_of: impl Fn(&k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> K,
    ) -> BTreeSet<ServiceKey> {
        let mut touched = BTreeSet::new();
        match change {
            Change::Reset { objects, unreadable } => {
                let broken = unreadable.iter().map(|one| key_of(&one.metadata));
                let there: BTreeSet<K> =
                    objects.iter().map(|object| place(object).0).chain(broken).collect();
                let known = self.objects.keys().cloned();
                for gone in known.filter(|key| !there.contains(key)).collect::<Vec<_>>() {
                    self.set(gone, None, &mut touched);
                }
                for object in objects {
                    let (key, service) = place(&object);
                    self.set(key, Some((service, object)), &mut touched);
                }
            }
            Change::Put(object) => {
                let (key, service) = place(&object);
                self.set(key, Some((service, object)), &mut touched);
            }
            Change::Gone(metadata) => self.set(key_of(&metadata), None, &mut touched),
            Change::Unreadable(_) => {}
        }
        touched
    }

    fn set(
        &mut self,
        key: K,
        object: Option<(Option<ServiceKey>, T)>,
        touched: &mut BTreeSet<ServiceKey>,
    ) {
        if self.objects.get(&key) == object.as_ref() {
            return;
        }
        if let Some((Some(service), _)) = self.objects.remove(&key) {
            if let Some(keys) = self.by_service.get_mut(&service) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.by_service.remove(&service);
                }
            }
            touched.insert(service);
        }
        if let Some((service, object)) = object {
            if let Some(service) = &service {
                self.by_service.entry(service.clone()).or_default().insert(key.clone());
                touched.insert(service.clone());
            }
            self.objects.insert(key, (service, object));
        }
    }
}
