//! What this node should answer, on which links, and what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use crds::model::ids::{IfIndex, MacAddr};
use serde::{Deserialize, Serialize};

use super::burst::Target;
use super::table::Entry;
use crate::wire::ndp::solicited_node;

/// Every address this node answers for.
pub type Desired = BTreeMap<IpAddr, Entry>;

/// A link that can carry announcements: where a port is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Its index.
    pub index: IfIndex,
    /// Its name, for people and for advertisements that name interfaces.
    pub name: String,
    /// Its MAC now.
    pub mac: MacAddr,
    /// Whether it has an IPv6 address of its own, without which there is no neighbour discovery.
    pub v6: bool,
}

impl PortSpec {
    /// Whether `address` can be announced on it: IPv4 needs nothing.
    pub const fn carries(&self, address: IpAddr) -> bool {
        self.v6 || address.is_ipv4()
    }
}

/// Where one address is present on the wire, and under which MAC: what clients have in their
/// caches. A change here, and nothing else, is announced.
pub type Presence = BTreeMap<IfIndex, MacAddr>;

/// The presence of `address`, which is to be answered as `entry` says, on `links`.
pub fn presence(address: IpAddr, entry: Option<&Entry>, links: &[PortSpec]) -> Presence {
    let Some(entry) = entry else {
        return Presence::new();
    };
    let carry = |link: &&PortSpec| entry.links.includes(link.index) && link.carries(address);
    let links = links.iter().filter(carry);
    links.map(|link| (link.index, link.mac)).collect()
}

/// The multicast groups to listen to, by link: where solicitations for the IPv6 addresses of
/// `desired` arrive (RFC 4861 section 7.2.1).
pub fn groups(desired: &Desired, links: &[PortSpec]) -> BTreeSet<(IfIndex, Ipv6Addr)> {
    let v6 = desired.iter().filter_map(|(address, entry)| match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some((solicited_node(*v6), entry)),
    });
    let able = links.iter().filter(|link| link.v6);
    v6.flat_map(|(group, entry)| {
        let there = able.clone().filter(|link| entry.links.includes(link.index));
        there.map(move |link| (link.index, group))
    })
    .collect()
}

/// What must be done to come from one presence to another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// New on a link, or there under another MAC: to be announced.
    pub appeared: Vec<Target>,
    /// No longer there.
    pub vanished: Vec<Target>,
}

/// What happens to `address` between two presences; nothing where they are equal.
pub fn diff(address: IpAddr, before: &Presence, after: &Presence) -> Changes {
    let target = |link: &IfIndex| Target { link: *link, address };
    let appeared = after.iter().filter(|(link, mac)| before.get(link) != Some(mac));
    let vanished = before.keys().filter(|link| !after.contains_key(link));
    Changes {
        appeared: appeared.map(|(link, _)| target(link)).collect(),
        vanished: vanished.map(target).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::announce::table::{Answer, Links};

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn link(index: u32, mac: u8) -> PortSpec {
        let (index, name) = (IfIndex(index), format!("eth{index}"));
        PortSpec { index, name, mac: MacAddr([mac; 6]), v6: false }
    }

    fn on(links: Links) -> Entry {
        Entry { links, answer: Answer::Own }
    }

    fn targets(links: &[u32]) -> Vec<Target> {
        links.iter().map(|link| Target { link: IfIndex(*link), address: ADDRESS }).collect()
    }

    #[test]
    fn nothing_differs_from_itself() {
        let here = presence(ADDRESS, Some(&on(Links::All)), &[link(1, 2), link(2, 4)]);
        assert_eq!(diff(ADDRESS, &here, &here), Changes::default());
    }

    #[test]
    fn appears_and_vanishes_link_by_link() {
        let links = [link(1, 2), link(2, 4)];
        let (nowhere, everywhere) =
            (presence(ADDRESS, None, &links), presence(ADDRESS, Some(&on(Links::All)), &links));
        let second = presence(ADDRESS, Some(&on(Links::Only([IfIndex(2)].into()))), &links);
        assert_eq!(diff(ADDRESS, &nowhere, &everywhere).appeared, targets(&[1, 2]));
        assert_eq!(diff(ADDRESS, &everywhere, &nowhere).vanished, targets(&[1, 2]));
        assert_eq!(diff(ADDRESS, &everywhere, &second).vanished, targets(&[1]));
        assert_eq!(diff(ADDRESS, &second, &everywhere).appeared, targets(&[1]));
    }

    #[test]
    fn a_new_mac_is_announced() {
        let entry = on(Links::All);
        let changes = diff(
            ADDRESS,
            &presence(ADDRESS, Some(&entry), &[link(1, 2)]),
            &presence(ADDRESS, Some(&entry), &[link(1, 6)]),
        );
        assert_eq!(changes, Changes { appeared: targets(&[1]), vanished: vec![] });
    }

    #[test]
    fn ipv6_is_present_only_where_a_link_has_it() {
        let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
        let with = PortSpec { v6: true, ..link(2, 4) };
        let there = presence(address, Some(&on(Links::All)), &[link(1, 2), with]);
        assert_eq!(there.into_keys().collect::<Vec<_>>(), [IfIndex(2)]);
        let desired = Desired::from([(address, on(Links::All)), (ADDRESS, on(Links::All))]);
        let group: Ipv6Addr = "ff02::1:ff00:1".parse().unwrap();
        let with = PortSpec { v6: true, ..link(2, 4) };
        assert_eq!(groups(&desired, &[link(1, 2), with]), [(IfIndex(2), group)].into());
    }
}
