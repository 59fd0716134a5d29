//! Groups: the Services that must be announced from one node because they share addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::ids::ServiceKey;

/// Services tied together by shared addresses, and all their addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// All addresses of all its Services.
    pub addresses: BTreeSet<IpAddr>,
    /// Its Services.
    pub services: BTreeSet<ServiceKey>,
    /// A number that stands for the group in elections: a stable hash of its lowest address. Zero
    /// for a group without addresses, which has no elections.
    pub hash: u64,
}

/// A hash that is the same in every process and in every release.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

/// Which Services have which addresses; answers what a Service is tied to without a look at the
/// others.
#[derive(Debug, Default)]
pub struct Sharing {
    by_address: BTreeMap<IpAddr, Holders>,
    by_service: BTreeMap<ServiceKey, BTreeSet<IpAddr>>,
}

/// The Services that have an address, and the address's hash, which would cost most of an election
/// if it were worked out each time.
#[derive(Debug)]
struct Holders {
    services: BTreeSet<ServiceKey>,
    hash: u64,
}

impl Holders {
    fn of(address: IpAddr) -> Self {
        Self { services: BTreeSet::new(), hash: stable_hash(address.to_string().as_bytes()) }
    }
}

impl Sharing {
    /// Records that `service` now has `addresses`, and no others.
    pub fn set(&mut self, service: &ServiceKey, addresses: BTreeSet<IpAddr>) {
        let before = self.by_service.remove(service).unwrap_or_default();
        for gone in before.difference(&addresses) {
            if let Some(holders) = self.by_address.get_mut(gone) {
                holders.services.remove(service);
                if holders.services.is_empty() {
                    self.by_address.remove(gone);
                }
            }
        }
        for new in addresses.difference(&before) {
            let holders = self.by_address.entry(*new).or_insert_with(|| Holders::of(*new));
            holders.services.insert(service.clone());
        }
        if !addresses.is_empty() {
            self.by_service.insert(service.clone(), addresses);
        }
    }

    /// The Services that have `address`.
    pub fn services_at(&self, address: &IpAddr) -> impl Iterator<Item = &ServiceKey> {
        self.by_address.get(address).into_iter().flat_map(|holders| &holders.services)
    }

    /// The group of `service`; without an address, a group of its own.
    pub fn group_of(&self, service: &ServiceKey) -> Group {
        let mut group = Group::default();
        let mut reached = vec![service];
        while let Some(service) = reached.pop() {
            if !group.services.insert(service.clone()) {
                continue;
            }
            for address in self.by_service.get(service).into_iter().flatten() {
                if group.addresses.insert(*address) {
                    let holders = self.by_address.get(address);
                    reached.extend(holders.iter().flat_map(|holders| &holders.services));
                }
            }
        }
        let lowest = group.addresses.first().and_then(|address| self.by_address.get(address));
        group.hash = lowest.map_or(0, |holders| holders.hash);
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ServiceKey {
        ServiceKey::new("default", name)
    }

    fn addresses(list: &[&str]) -> BTreeSet<IpAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn names(group: &Group) -> Vec<&str> {
        group.services.iter().map(|service| service.name.as_str()).collect()
    }

    #[test]
    fn services_are_tied_through_any_chain_of_shared_addresses() {
        let mut sharing = Sharing::default();
        sharing.set(&key("a"), addresses(&["192.0.2.1"]));
        sharing.set(&key("b"), addresses(&["192.0.2.1", "fc00::1"]));
        sharing.set(&key("c"), addresses(&["fc00::1"]));
        sharing.set(&key("d"), addresses(&["192.0.2.9"]));
        for name in ["a", "b", "c"] {
            assert_eq!(names(&sharing.group_of(&key(name))), ["a", "b", "c"]);
        }
        assert_eq!(names(&sharing.group_of(&key("d"))), ["d"]);
        sharing.set(&key("b"), addresses(&["192.0.2.1"]));
        assert_eq!(names(&sharing.group_of(&key("a"))), ["a", "b"]);
        sharing.set(&key("b"), BTreeSet::new());
        assert_eq!(names(&sharing.group_of(&key("a"))), ["a"]);
        assert_eq!(names(&sharing.group_of(&key("b"))), ["b"]);
    }

    #[test]
    fn every_member_of_a_group_has_the_same_hash() {
        let mut sharing = Sharing::default();
        sharing.set(&key("a"), addresses(&["192.0.2.1"]));
        sharing.set(&key("b"), addresses(&["192.0.2.2", "192.0.2.1"]));
        assert_eq!(sharing.group_of(&key("a")).hash, sharing.group_of(&key("b")).hash);
        // Fixed for ever: members of different releases must elect alike.
        assert_eq!(stable_hash(b"192.0.2.1"), 0x37fc_ff24_bf62_035b);
    }
}
