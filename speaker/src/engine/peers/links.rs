//! What this member says of its own links: those that can carry announcements, and work.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::ids::IfIndex;

use super::Peers;
use super::linkhealth::LinkHealth;
use crate::announce::desired::PortSpec;
use crate::limits;
use crate::link::LinkFacts;
use crate::ownership::statement::LinkWord;

/// The links, in the words that others are told of them.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// All that can carry announcements.
    words: BTreeMap<IfIndex, LinkWord>,
    /// The names of all that ever could and are still there: one that was removed, or is called otherwise
    /// now, is missed by nobody.
    had: BTreeSet<String>,
}

impl Links {
    fn set(&mut self, ports: &[PortSpec], links: &[LinkFacts]) {
        let word = |port: &PortSpec| {
            let facts = links.iter().find(|link| link.index == port.index);
            let addresses = facts.iter().flat_map(|link| &link.addresses);
            let addresses = addresses.map(ipnetwork::IpNetwork::ip);
            let (v4, v6): (Vec<_>, Vec<_>) = addresses.partition(IpAddr::is_ipv4);
            let some = [v4, v6]
                .into_iter()
                .flat_map(|all| all.into_iter().take(limits::ADDRESSES_PER_LINK));
            LinkWord { name: port.name.clone(), mac: port.mac, addresses: some.collect() }
        };
        self.words = ports.iter().map(|port| (port.index, word(port))).collect();
        self.had.retain(|name| links.iter().any(|link| link.name == *name));
        self.had.extend(ports.iter().map(|port| port.name.clone()));
    }

    /// Those that work, and whether these are all that ever did.
    fn working(&self, health: &LinkHealth) -> (Vec<LinkWord>, bool) {
        let works = |(link, _): &(&IfIndex, &LinkWord)| !health.is_dead(**link);
        let links: Vec<LinkWord> =
            self.words.iter().filter(works).map(|(_, word)| word.clone()).collect();
        let whole = links.len() >= self.had.len();
        (links, whole)
    }
}

impl Peers {
    /// These links can carry announcements now.
    pub(in crate::engine) fn set_links(&mut self, ports: &[PortSpec], links: &[LinkFacts]) {
        // A node has a link for each of its pods: that one comes or goes concerns nobody.
        if self.ports != ports {
            self.ports = ports.to_vec();
            self.repeats.hello_now();
        }
        self.links.set(ports, links);
        self.tell_links();
    }

    /// Says which links work.
    pub(super) fn tell_links(&mut self) {
        let (links, whole) = self.links.working(&self.health);
        self.touched.links |= self.book.mine().head.links != links;
        self.book.set_head(|head| {
            head.links = links;
            head.whole = whole;
        });
    }
}

#[cfg(test)]
mod tests {
    use crds::model::ids::MacAddr;

    use super::*;

    fn link(index: u32, name: &str) -> LinkFacts {
        let mac = MacAddr([2, 0, 0, 0, 0, u8::try_from(index).unwrap()]);
        LinkFacts::ethernet(IfIndex(index), name, mac)
    }

    /// Whether a node that has these links misses one, those called so being unable to announce.
    fn is_whole(links: &mut Links, facts: &[LinkFacts], unable: &[&str]) -> bool {
        let able = facts.iter().filter(|link| !unable.contains(&link.name.as_str()));
        let port = |link: &LinkFacts| {
            let mac = MacAddr([2, 0, 0, 0, 0, 9]);
            PortSpec { index: link.index, name: link.name.clone(), mac, v6: false }
        };
        links.set(&able.map(port).collect::<Vec<_>>(), facts);
        links.working(&LinkHealth::default()).1
    }

    #[test]
    fn a_link_without_carrier_is_missed_and_one_that_is_removed_or_renamed_is_not() {
        let mut links = Links::default();
        let both = [link(1, "eth0"), link(2, "eth1")];
        assert!(is_whole(&mut links, &both, &[]));
        assert!(!is_whole(&mut links, &both, &["eth1"]), "no carrier");
        assert!(is_whole(&mut links, &both, &[]));
        assert!(is_whole(&mut links, &[link(1, "eth0"), link(2, "lan1")], &[]), "renamed");
        assert!(is_whole(&mut links, &[link(1, "eth0")], &[]), "removed");
    }

    #[test]
    fn of_very_many_addresses_some_of_each_family_are_told() {
        let mut many = link(1, "eth0");
        let nets = (1..=50).map(|n| format!("192.0.2.{n}/24"));
        let nets = nets.chain((1..=50).map(|n| format!("2001:db8::{n}/64")));
        many.addresses = nets.map(|net| net.parse().unwrap()).collect();
        let mut links = Links::default();
        is_whole(&mut links, &[many], &[]);
        let told = &links.working(&LinkHealth::default()).0[0].addresses;
        let v4 = told.iter().filter(|ip| ip.is_ipv4()).count();
        assert_eq!((v4, told.len()), (limits::ADDRESSES_PER_LINK, 2 * limits::ADDRESSES_PER_LINK));
    }
}
