//! ARP and neighbour discovery alike, as far as hosts and switches of the model understand them.

use std::net::IpAddr;

use crds::model::ids::MacAddr;
use speaker::wire::arp::{ArpFrame, ArpRepr, Operation};
use speaker::wire::ndp::{self, NdpFrame, NdpRepr};

/// What a frame says, or asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Talk {
    pub(crate) destination: MacAddr,
    pub(crate) source: MacAddr,
    /// It asks who has `target`; otherwise it says that `sender` is at `mac`.
    pub(crate) asks: bool,
    pub(crate) sender: IpAddr,
    pub(crate) mac: MacAddr,
    pub(crate) target: IpAddr,
    /// Whoever knows another MAC for `sender` takes this one at once.
    pub(crate) replaces: bool,
}

impl Talk {
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        if let Ok(ArpFrame { destination, source, arp }) = ArpFrame::parse(frame) {
            let is_request = arp.operation == Operation::Request;
            return Some(Self {
                destination,
                source,
                asks: is_request && arp.sender_ip != arp.target_ip,
                sender: arp.sender_ip.into(),
                mac: arp.sender_mac,
                target: arp.target_ip.into(),
                replaces: is_request || arp.target_mac == arp.sender_mac,
            });
        }
        let NdpFrame { destination, source, from, to, message } = NdpFrame::parse(frame).ok()?;
        Some(match message {
            NdpRepr::Solicitation { target, source_mac } => Self {
                destination,
                source,
                asks: true,
                sender: from.into(),
                mac: source_mac.unwrap_or(source),
                target: target.into(),
                // It goes to the group of another address: hosts that know the sender miss it.
                replaces: false,
            },
            NdpRepr::Advertisement { target, target_mac, overrides, .. } => Self {
                destination,
                source,
                asks: false,
                sender: target.into(),
                mac: target_mac.unwrap_or(source),
                target: to.into(),
                replaces: overrides,
            },
        })
    }

    /// The answer to a question, by the host at `mac`.
    pub(crate) fn answer(&self, mac: MacAddr) -> Vec<u8> {
        match (self.target, self.sender) {
            (IpAddr::V4(sender_ip), IpAddr::V4(target_ip)) => {
                let operation = Operation::Reply;
                let (sender_mac, target_mac) = (mac, self.mac);
                let arp = ArpRepr { operation, sender_mac, sender_ip, target_mac, target_ip };
                ArpFrame { destination: self.mac, source: mac, arp }.to_frame().to_vec()
            }
            (IpAddr::V6(target), IpAddr::V6(to)) => {
                let is_probe = to.is_unspecified();
                let all = (ndp::group_mac(ndp::ALL_NODES), ndp::ALL_NODES);
                let (destination, to) = if is_probe { all } else { (self.mac, to) };
                let message = NdpRepr::Advertisement {
                    target,
                    target_mac: Some(mac),
                    router: false,
                    solicited: !is_probe,
                    overrides: true,
                };
                let frame = NdpFrame { destination, source: mac, from: target, to, message };
                frame.to_frame().as_bytes().to_vec()
            }
            families => panic!("{families:?}"),
        }
    }
}
