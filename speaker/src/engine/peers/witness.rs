//! The wire as a witness: what is asked about a member, and what the answers say.
//!
//! The kernel of a node answers for the node's own address whatever became of the agent, so its
//! silence is the node's. Questions and testimonies speak of addresses and MACs: whether they are
//! asked by ARP or by neighbour discovery is for [`neighbour`] to know.

use std::net::IpAddr;

use crds::model::ids::{IfIndex, MacAddr, NodeName};

use super::super::effect::Effect;
use super::Peers;
use crate::moment::Moment;
use crate::respond::{Heard, HeardKind};
use crate::wire::neighbour;

impl Peers {
    /// Asks the kernel of `node` for the node's own addresses, unicast to where it was last heard,
    /// and everybody for one of the addresses that it holds.
    pub(super) fn question(&self, node: &NodeName, effects: &mut Vec<Effect>) {
        let Some(head) = self.book.head(node) else { return };
        for (link, to) in self.paths_to(node) {
            let own = head.links.iter().filter(|word| word.mac == to);
            for address in own.flat_map(|word| &word.addresses).take(2) {
                effects.extend(self.ask(link, *address, Some(to)));
            }
        }
        let claimed = self.book.of(node).and_then(|statement| statement.holdings.first_key_value());
        if let Some((address, _)) = claimed {
            for port in &self.ports {
                effects.extend(self.ask(port.index, *address, None));
            }
        }
    }

    /// Asks everybody for the own addresses of `node` on the links where its MAC is not known.
    pub(in crate::engine) fn seek(&self, node: &NodeName, effects: &mut Vec<Effect>) {
        let known = self.macs_of(node);
        let links = self.book.head(node).into_iter().flat_map(|head| &head.links);
        for address in links.flat_map(|word| &word.addresses) {
            for port in self.ports.iter().filter(|port| !known.contains_key(&port.index)) {
                effects.extend(self.ask(port.index, *address, None));
            }
        }
    }

    /// Asks on `link` who has `address`: the host at `to`, or everybody.
    pub(in crate::engine) fn ask(
        &self,
        link: IfIndex,
        address: IpAddr,
        to: Option<MacAddr>,
    ) -> Option<Effect> {
        let port = self.ports.iter().find(|port| port.index == link)?;
        let own = self.book.mine().head.links.iter().find(|word| word.mac == port.mac);
        let own = own.map_or(&[][..], |word| &word.addresses);
        let frame = neighbour::question(port.mac, own, address, to)?;
        Some(Effect::Question { link, frame: frame.as_bytes().to_vec() })
    }

    /// Takes what a port overheard, where it says something about a member.
    pub(in crate::engine) fn heard(&mut self, heard: &Heard, now: Moment) {
        let address = heard.address;
        let speaker = self.member_at(heard.mac);
        let Some(node) = speaker else { return };
        let holds = |node| self.book.of(node).is_some_and(|it| it.holdings.contains_key(&address));
        if heard.kind == HeardKind::Claim && heard.source == heard.mac && !holds(&node) {
            self.sync.miss(&node, now);
        }
        if heard.kind != HeardKind::Answer {
            return;
        }
        let is_own = self
            .book
            .head(&node)
            .is_some_and(|head| head.links.iter().any(|word| word.addresses.contains(&address)));
        if is_own {
            self.watch.testify(&node, now);
            if self.paths.note_kernel(&node, (heard.link, heard.mac)) {
                // Whoever deputises for it can answer on that link, too.
                self.touched.members.insert(node);
            }
            if self.health.heard(heard.link, now) {
                self.tell_links();
            }
            // A question of ours came back: the wire works, and so do we.
            self.touch.prove(now);
        } else if heard.source == heard.mac && holds(&node) {
            self.watch.seen_answering(&node, now);
        }
    }

    /// Whose MAC this is.
    pub(in crate::engine) fn member_at(&self, mac: MacAddr) -> Option<NodeName> {
        let mut heads = self.book.heads();
        let owner = heads.find(|head| head.links.iter().any(|word| word.mac == mac))?;
        Some(owner.node.clone())
    }
}
