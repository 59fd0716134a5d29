//! What this member says of its own links: those that can carry announcements, and work.

use std::collections::{BTreeMap, BTreeSet};

use crds::model::ids::IfIndex;

use super::Peers;
use super::linkhealth::LinkHealth;
use crate::announce::desired::PortSpec;
use crate::link::LinkFacts;
use crate::ownership::statement::LinkWord;

/// The links, in the words that others are told of them.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// All that can carry announcements.
    words: BTreeMap<IfIndex, LinkWord>,
    /// The names of all that ever could.
    had: BTreeSet<String>,
}

impl Links {
    fn set(&mut self, ports: &[PortSpec], links: &[LinkFacts]) {
        let word = |port: &PortSpec| {
            let facts = links.iter().find(|link| link.index == port.index);
            let addresses = facts.iter().flat_map(|link| &link.addresses);
            LinkWord {
                name: port.name.clone(),
                mac: port.mac,
                addresses: addresses.map(ipnetwork::IpNetwork::ip).collect(),
            }
        };
        self.words = ports.iter().map(|port| (port.index, word(port))).collect();
        self.had.extend(ports.iter().map(|port| port.name.clone()));
    }

    /// Those that work, and whether these are all there ever were.
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
        self.ports = ports.to_vec();
        self.links.set(ports, links);
        self.repeats.hello_now();
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
