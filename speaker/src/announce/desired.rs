//! What this node should answer, on which links, and what changed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crds::model::ids::{IfIndex, MacAddr};
use serde::{Deserialize, Serialize};

use super::burst::Target;
use super::table::Entry;

/// Every address this node answers for.
pub type Desired = BTreeMap<Ipv4Addr, Entry>;

/// A link that can carry announcements: where a port is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Its index.
    pub index: IfIndex,
    /// Its name, for people and for advertisements that name interfaces.
    pub name: String,
    /// Its MAC now.
    pub mac: MacAddr,
}

/// Where one address is present on the wire, and under which MAC: what clients have in their
/// caches. A change here, and nothing else, is announced.
pub type Presence = BTreeMap<IfIndex, MacAddr>;

/// The presence of an address that is to be answered as `entry` says, on `links`.
pub fn presence(entry: Option<&Entry>, links: &[PortSpec]) -> Presence {
    let Some(entry) = entry else {
        return Presence::new();
    };
    let links = links.iter().filter(|link| entry.links.includes(link.index));
    links.map(|link| (link.index, link.mac)).collect()
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
pub fn diff(address: Ipv4Addr, before: &Presence, after: &Presence) -> Changes {
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
    use super::*;
    use crate::announce::table::{Answer, Links};

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn link(index: u32, mac: u8) -> PortSpec {
        PortSpec { index: IfIndex(index), name: format!("eth{index}"), mac: MacAddr([mac; 6]) }
    }

    fn on(links: Links) -> Entry {
        Entry { links, answer: Answer::Own }
    }

    fn targets(links: &[u32]) -> Vec<Target> {
        links.iter().map(|link| Target { link: IfIndex(*link), address: ADDRESS }).collect()
    }

    #[test]
    fn nothing_differs_from_itself() {
        let here = presence(Some(&on(Links::All)), &[link(1, 2), link(2, 4)]);
        assert_eq!(diff(ADDRESS, &here, &here), Changes::default());
    }

    #[test]
    fn appears_and_vanishes_link_by_link() {
        let links = [link(1, 2), link(2, 4)];
        let (nowhere, everywhere) =
            (presence(None, &links), presence(Some(&on(Links::All)), &links));
        let second = presence(Some(&on(Links::Only([IfIndex(2)].into()))), &links);
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
            &presence(Some(&entry), &[link(1, 2)]),
            &presence(Some(&entry), &[link(1, 6)]),
        );
        assert_eq!(changes, Changes { appeared: targets(&[1]), vanished: vec![] });
    }
}
