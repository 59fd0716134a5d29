//! How each family asks who has an address, and says so: IPv4 by ARP, IPv6 by neighbour discovery.
//! The rest of the program speaks of addresses and MACs, and need not know.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crds::model::ids::MacAddr;

use super::arp::ArpFrame;
use super::frame::Frame;
use super::ndp::NdpFrame;

/// An address of each family that no host has, though a proxy would answer for it: both are for
/// documentation (TEST-NET-3 of RFC 5737, and RFC 3849).
pub const NOBODYS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 253)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xfe77, 0, 0, 0, 0xb0d1, 0xe5fd)),
];

/// Asks whether anybody has `target`, claiming nothing (RFC 5227 section 2.1.1; RFC 4862 section
/// 5.4.2), from the link with `mac`.
pub fn probe(mac: MacAddr, target: IpAddr) -> Frame {
    match target {
        IpAddr::V4(target) => ArpFrame::probe(mac, target).to_frame().into(),
        IpAddr::V6(target) => NdpFrame::probe(mac, target).to_frame(),
    }
}

/// Asks who has `target`, the host at `to` or everybody, as any host would that has the addresses
/// `own` on the link with `mac`. `None` where that link has no address to ask from: in IPv4 it is
/// not needed.
pub fn question(
    mac: MacAddr,
    own: &[IpAddr],
    target: IpAddr,
    to: Option<MacAddr>,
) -> Option<Frame> {
    match target {
        IpAddr::V4(target) => {
            let mut own = own.iter().filter_map(|address| match address {
                IpAddr::V4(v4) => Some(*v4),
                IpAddr::V6(_) => None,
            });
            let sender = own.next().unwrap_or(Ipv4Addr::UNSPECIFIED);
            Some(ArpFrame::question(mac, sender, target, to).to_frame().into())
        }
        IpAddr::V6(target) => {
            let own = own.iter().filter_map(|address| match address {
                IpAddr::V4(_) => None,
                IpAddr::V6(v6) => Some(*v6),
            });
            // The answer to a link-local address comes back over this link, whatever the routes.
            let sender = own.min_by_key(|address| !address.is_unicast_link_local())?;
            Some(NdpFrame::question(mac, sender, target, to).to_frame())
        }
    }
}

/// Announces to all hosts that `address` is at `mac`, the link's own: ARP as a request, which every
/// Linux client takes at once, and as a reply, which some other systems want.
pub fn announcement(mac: MacAddr, address: IpAddr) -> impl Iterator<Item = Frame> {
    let frames: [Option<Frame>; 2] = match address {
        IpAddr::V4(address) => [
            Some(ArpFrame::gratuitous_request(mac, address).to_frame().into()),
            Some(ArpFrame::gratuitous_reply(mac, address).to_frame().into()),
        ],
        IpAddr::V6(address) => [Some(NdpFrame::announcement(mac, address).to_frame()), None],
    };
    frames.into_iter().flatten()
}

/// Announces, from the link with MAC `source`, that `address` is at another node's `mac`.
pub fn announcement_for(source: MacAddr, mac: MacAddr, address: IpAddr) -> Frame {
    match address {
        IpAddr::V4(address) => {
            let frame = ArpFrame { source, ..ArpFrame::gratuitous_request(mac, address) };
            frame.to_frame().into()
        }
        IpAddr::V6(address) => {
            NdpFrame { source, ..NdpFrame::announcement(mac, address) }.to_frame()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_question_comes_from_an_address_of_its_own_family() {
        let own = [ip("192.0.2.1"), ip("2001:db8::1"), ip("fe80::1")];
        let asked = |own: &[IpAddr], target| question(MAC, own, ip(target), None);
        let arp = ArpFrame::parse(asked(&own, "192.0.2.9").unwrap().as_bytes()).unwrap();
        assert_eq!(IpAddr::V4(arp.arp.sender_ip), own[0]);
        let ndp = NdpFrame::parse(asked(&own, "2001:db8::9").unwrap().as_bytes()).unwrap();
        assert_eq!(IpAddr::V6(ndp.from), ip("fe80::1"));
        assert_eq!(asked(&own[..1], "2001:db8::9"), None);
        assert!(asked(&own[1..], "192.0.2.9").is_some());
    }

    #[test]
    fn announcing_takes_two_frames_of_arp_and_one_of_ndp() {
        assert_eq!(announcement(MAC, ip("192.0.2.9")).count(), 2);
        assert_eq!(announcement(MAC, ip("2001:db8::9")).count(), 1);
    }
}
