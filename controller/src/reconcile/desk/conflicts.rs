//! Addresses that somebody else on the network answers for, by the word of the speakers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crds::api::v1alpha1::{Conflict, ConflictKind, Speaker};
use crds::model::ids::{NodeName, PoolName, ServiceKey};
use kit::feed::Change;
use kube::ResourceExt as _;

/// How long an address stays set aside after nobody was seen to answer for it any more.
pub(super) const ASIDE: Duration = Duration::from_mins(10);

/// How often one Service may get another address. A router that answers for everything would
/// otherwise take it through the whole pool.
pub(super) const PER_SERVICE: u32 = 3;

/// How many addresses of one pool may be exchanged within [`MINUTE`].
pub(super) const PER_POOL: usize = 10;

/// The time that [`PER_POOL`] is about.
pub(super) const MINUTE: Duration = Duration::from_mins(1);

/// What one speaker says.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported {
    /// Its node.
    pub node: NodeName,
    /// Whom it heard.
    pub conflicts: Vec<Conflict>,
    /// The MAC addresses of its own links, in lower case.
    pub macs: BTreeSet<String>,
}

impl Reported {
    /// What the object of a speaker says.
    pub fn of(object: &Speaker) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let macs = status.links.into_iter().map(|link| link.mac.to_lowercase());
        Self { node: object.name_any().into(), conflicts: status.conflicts, macs: macs.collect() }
    }
}

/// Somebody else who answers for an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Duplicate {
    /// Foreign hosts go before members: where both were seen, the foreign one is the news.
    pub(super) whose: Whose,
    pub(super) mac: String,
    /// The node that heard it, and on which interface.
    pub(super) seen_by: NodeName,
    pub(super) interface: String,
    /// Whether the address had been announced before that.
    pub(super) has_served: bool,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// A host that is no node of the cluster.
    Foreign,
    /// A node of the cluster; which one, if that is known.
    Member(Option<NodeName>),
}

/// All that is known of conflicts.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    reports: BTreeMap<NodeName, Reported>,
    is_stale: bool,
    /// One for each address: of several the first in order.
    found: BTreeMap<IpAddr, Duplicate>,
    /// Set aside, though nobody reports them any more; until when.
    leaving: BTreeMap<IpAddr, Duration>,
    /// How many addresses Services were given in exchange.
    exchanged: BTreeMap<ServiceKey, u32>,
    /// How many exchanges nobody has asked for yet.
    exchanges: u64,
    /// When addresses of pools were exchanged lately.
    lately: BTreeMap<PoolName, VecDeque<Duration>>,
    /// What users of Services have been told.
    told: BTreeMap<ServiceKey, BTreeSet<String>>,
}

/// What follows from new reports.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Addresses about which something else is known now.
    pub(super) touched: BTreeSet<IpAddr>,
    /// To be set aside.
    pub(super) aside: BTreeSet<IpAddr>,
    /// To be given out again.
    pub(super) restored: Vec<IpAddr>,
}

impl Conflicts {
    pub(super) fn take(&mut self, change: Change<Reported>) {
        self.is_stale = true;
        match change {
            Change::Reset { objects, unreadable } => {
                let named = |node: &NodeName| {
                    let mut names = unreadable.iter().map(|one| one.metadata.name.as_deref());
                    names.any(|name| name == Some(node.as_str()))
                };
                // What cannot be read any more still counts.
                self.reports.retain(|node, _| named(node));
                self.reports.extend(objects.into_iter().map(|one| (one.node.clone(), one)));
            }
            Change::Put(reported) => {
                self.reports.insert(reported.node.clone(), reported);
            }
            Change::Gone(metadata) => {
                self.reports.remove(&metadata.name.unwrap_or_default().into());
            }
            Change::Unreadable(_) => {}
        }
    }

    /// Works out what is known now.
    pub(super) fn refresh(&mut self, now: Duration) -> Changes {
        let mut changes = Changes::default();
        if std::mem::take(&mut self.is_stale) {
            let found = self.judge();
            let all: BTreeSet<IpAddr> = self.found.keys().chain(found.keys()).copied().collect();
            let differs = |address: &IpAddr| self.found.get(address) != found.get(address);
            changes.touched = all.into_iter().filter(differs).collect();
            let before = std::mem::replace(&mut self.found, found);
            for address in &changes.touched {
                if is_foreign(self.found.get(address)) {
                    self.leaving.remove(address);
                    changes.aside.insert(*address);
                } else if is_foreign(before.get(address)) {
                    self.leaving.insert(*address, now + ASIDE);
                }
            }
        }
        let over = self.leaving.iter().filter(|(_, until)| **until <= now);
        changes.restored = over.map(|(address, _)| *address).collect();
        self.leaving.retain(|_, until| *until > now);
        changes
    }

    fn judge(&self) -> BTreeMap<IpAddr, Duplicate> {
        let owner = |mac: &str| {
            let mut reports = self.reports.values();
            reports.find(|one| one.macs.contains(mac)).map(|one| one.node.clone())
        };
        let mut found: BTreeMap<IpAddr, Duplicate> = BTreeMap::new();
        for reported in self.reports.values() {
            for conflict in &reported.conflicts {
                let Ok(address) = conflict.address.parse::<IpAddr>() else {
                    continue;
                };
                let mac = conflict.mac.to_lowercase();
                // A speaker may not know yet that this is one of us.
                let whose = match (conflict.kind, owner(&mac)) {
                    (ConflictKind::Foreign, None) => Whose::Foreign,
                    (ConflictKind::Foreign | ConflictKind::Member, member) => Whose::Member(member),
                };
                let duplicate = Duplicate {
                    whose,
                    mac,
                    seen_by: reported.node.clone(),
                    interface: conflict.interface.clone(),
                    has_served: conflict.served,
                };
                let known = found.entry(address.to_canonical()).or_insert(duplicate.clone());
                let has_served = known.has_served || duplicate.has_served;
                if duplicate < *known {
                    *known = duplicate;
                }
                known.has_served = has_served;
            }
        }
        found
    }

    /// Who else answers for `address`.
    pub(super) fn of(&self, address: IpAddr) -> Option<&Duplicate> {
        self.found.get(&address)
    }

    /// All who answer for addresses that are not theirs.
    pub(super) fn found(&self) -> impl Iterator<Item = &Duplicate> {
        self.found.values()
    }

    /// How many addresses were exchanged since this was asked last.
    pub(super) fn take_exchanges(&mut self) -> u64 {
        std::mem::take(&mut self.exchanges)
    }

    /// When an address may be given out again.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.leaving.values().min().copied()
    }

    /// Whether an address of `service`, from `pool`, may be exchanged now.
    pub(super) fn permit(
        &mut self,
        service: &ServiceKey,
        pool: &PoolName,
        now: Duration,
    ) -> Result<(), Enough> {
        if self.exchanged.get(service).is_some_and(|count| *count >= PER_SERVICE) {
            return Err(Enough::ForService);
        }
        let lately = self.lately.entry(pool.clone()).or_default();
        lately.retain(|at| *at + MINUTE > now);
        match lately.front() {
            Some(first) if lately.len() >= PER_POOL => Err(Enough::ForPool(*first + MINUTE)),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes note of an exchange.
    pub(super) fn count(&mut self, service: &ServiceKey, pool: &PoolName, now: Duration) {
        *self.exchanged.entry(service.clone()).or_default() += 1;
        self.exchanges += 1;
        self.lately.entry(pool.clone()).or_default().push_back(now);
    }

    /// Whether `service` has not been told `news` yet. It has, from now on.
    pub(super) fn is_news(&mut self, service: &ServiceKey, news: String) -> bool {
        self.told.entry(service.clone()).or_default().insert(news)
    }

    /// `service` has no conflict any more.
    pub(super) fn settled(&mut self, service: &ServiceKey) {
        self.told.remove(service);
    }

    /// `service` is gone.
    pub(super) fn forget(&mut self, service: &ServiceKey) {
        self.told.remove(service);
        self.exchanged.remove(service);
    }
}

/// Why no address is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enough {
    /// The Service had enough of them.
    ForService,
    /// The pool gave enough of them; when it may give one again.
    ForPool(Duration),
}

fn is_foreign(duplicate: Option<&Duplicate>) -> bool {
    duplicate.is_some_and(|duplicate| duplicate.whose == Whose::Foreign)
}
