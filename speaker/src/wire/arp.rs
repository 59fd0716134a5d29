//! ARP for IPv4 over Ethernet (RFC 826), and the packets of address conflict detection (RFC 5227).
//!
//! ```text
//!  0         2         4     5     6           8
//! +---------+---------+-----+-----+-----------+
//! | hw type | proto   | hw  | pro | operation |     hw type 1, proto 0x0800, lengths 6 and 4
//! +---------+---------+-----+-----+-----------+     operation 1 request, 2 reply
//! | sender MAC (6)          | sender IP (4)   |
//! +-------------------------+-----------------+
//! | target MAC (6)          | target IP (4)   |     28 bytes, then zeroes up to 46
//! +-------------------------+-----------------+
//! ```

use std::net::Ipv4Addr;

use crds::model::ids::MacAddr;
use pnet_packet::arp::{
    ArpHardwareType, ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket,
};
use pnet_packet::ethernet::{EtherType, EtherTypes};

use super::Malformed;
use super::ethernet::{EthernetHeader, FRAME_LEN};

/// The EtherType of ARP, in host byte order.
pub const ETHERTYPE: u16 = 0x0806;

/// What an ARP packet does. Other operations (RARP, InARP) are not parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Asks who has the target address.
    Request,
    /// Says who has the sender address.
    Reply,
}

/// The payload: what is asked or said. Receivers learn "sender IP is at sender MAC" from either
/// operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArpRepr {
    /// Request or reply.
    pub operation: Operation,
    /// The MAC that `sender_ip` is said to be at.
    pub sender_mac: MacAddr,
    /// The address spoken for; unspecified in a probe (RFC 5227 section 1.1).
    pub sender_ip: Ipv4Addr,
    /// In a reply, who asked. In a request it has no meaning (RFC 826).
    pub target_mac: MacAddr,
    /// The address asked for; in a reply, the asker's.
    pub target_ip: Ipv4Addr,
}

/// An ARP packet within its Ethernet frame. The Ethernet source may differ from the sender MAC: a
/// deputy puts another node's MAC into the payload but sends from its own, so that switches keep
/// sending that node's traffic to that node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArpFrame {
    /// Ethernet destination.
    pub destination: MacAddr,
    /// Ethernet source.
    pub source: MacAddr,
    /// The payload.
    pub arp: ArpRepr,
}

impl ArpFrame {
    /// Reads a whole frame, Ethernet header first. Bytes past the packet are padding and ignored;
    /// padding may be missing altogether (veth pairs do not pad).
    ///
    /// # Errors
    /// [`Malformed`]: anything but ARP for IPv4 over untagged Ethernet, request or reply.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let (header, payload) = EthernetHeader::parse(frame)?;
        let EthernetHeader { destination, source, ethertype } = header;
        if ethertype != ETHERTYPE {
            return Err(Malformed::EtherType(ethertype));
        }
        let Some(packet) = ArpPacket::new(payload) else {
            return Err(Malformed::Truncated(frame.len()));
        };
        Ok(Self { destination, source, arp: ArpRepr::read(&packet)? })
    }

    /// Writes all bytes of `frame`, padding included, whatever was in it before.
    pub fn emit(&self, frame: &mut [u8; FRAME_LEN]) {
        frame.fill(0);
        let Self { destination, source, arp } = *self;
        if let Some((header, payload)) = frame.split_first_chunk_mut() {
            EthernetHeader { destination, source, ethertype: ETHERTYPE }.emit(header);
            arp.write(payload);
        }
    }

    /// The frame as bytes, zero-padded to the 60 bytes that Ethernet asks for.
    pub fn to_frame(&self) -> [u8; FRAME_LEN] {
        let mut frame = [0; FRAME_LEN];
        self.emit(&mut frame);
        frame
    }

    /// An ARP probe (RFC 5227 section 2.1.1): asks whether anybody has `target` without claiming
    /// anything, so that no cache changes. Both the sender IP and the target MAC are zero.
    pub fn probe(mac: MacAddr, target: Ipv4Addr) -> Self {
        Self {
            destination: MacAddr::BROADCAST,
            source: mac,
            arp: ArpRepr {
                operation: Operation::Request,
                sender_mac: mac,
                sender_ip: Ipv4Addr::UNSPECIFIED,
                target_mac: MacAddr::ZERO,
                target_ip: target,
            },
        }
    }

    /// Asks who has `target`: the host at `to`, or everybody. From `sender`, an address of our own,
    /// as any host asks; unspecified where the link has none, which makes it a probe.
    pub fn question(mac: MacAddr, sender: Ipv4Addr, target: Ipv4Addr, to: Option<MacAddr>) -> Self {
        let mut frame = Self::probe(mac, target);
        frame.destination = to.unwrap_or(MacAddr::BROADCAST);
        frame.arp.sender_ip = sender;
        frame
    }

    /// The announcement that every Linux neighbour believes at once: a broadcast request for
    /// `address` from `address` itself (RFC 5227 section 2.3), target MAC zero.
    ///
    /// Tried on Linux 6.18 (veth, default sysctls: `arp_accept` 0, `locktime` 1 s) against an entry
    /// in state REACHABLE, 50 ms and 1.3 s old:
    ///
    /// | operation | target MAC | entry 50 ms old | entry 1.3 s old |
    /// | --- | --- | --- | --- |
    /// | request | broadcast, zero or the sender's | replaced | replaced |
    /// | reply | broadcast or zero | **ignored** | replaced |
    /// | reply | the sender's | replaced | replaced |
    ///
    /// A replaced entry is STALE after a broadcast; without an entry none is made, by either. In a
    /// request the target MAC makes no difference, so it is zero as the RFC says; MetalLB sends
    /// broadcast in both forms, so its reply form fails for the second in which it matters most.
    pub fn gratuitous_request(mac: MacAddr, address: Ipv4Addr) -> Self {
        Self::gratuitous(Operation::Request, mac, address, MacAddr::ZERO)
    }

    /// The second form of announcement, for neighbours that only listen to replies: a broadcast
    /// reply whose target MAC is the sender's own (RFC 5944 section 4.6 asks for exactly that, and
    /// Linux honours no other within `locktime`: see [`Self::gratuitous_request`]).
    ///
    /// A switch that compares the target MAC of replies with the Ethernet destination (dynamic ARP
    /// inspection, `validate dst-mac`) drops this form, as it drops everybody's gratuitous reply
    /// but MetalLB's; the request form is not compared and passes.
    pub fn gratuitous_reply(mac: MacAddr, address: Ipv4Addr) -> Self {
        Self::gratuitous(Operation::Reply, mac, address, mac)
    }

    fn gratuitous(op: Operation, mac: MacAddr, address: Ipv4Addr, target_mac: MacAddr) -> Self {
        Self {
            destination: MacAddr::BROADCAST,
            source: mac,
            arp: ArpRepr {
                operation: op,
                sender_mac: mac,
                sender_ip: address,
                target_mac,
                target_ip: address,
            },
        }
    }
}

impl ArpRepr {
    /// `ArpPacket` has checked that 28 bytes are there and nothing else, hence all the rest here:
    /// it would read addresses of a fixed size whatever the length fields say.
    fn read(packet: &ArpPacket<'_>) -> Result<Self, Malformed> {
        let ArpHardwareType(hardware_type) = packet.get_hardware_type();
        if packet.get_hardware_type() != ArpHardwareTypes::Ethernet {
            return Err(Malformed::HardwareType(hardware_type));
        }
        let EtherType(protocol_type) = packet.get_protocol_type();
        if packet.get_protocol_type() != EtherTypes::Ipv4 {
            return Err(Malformed::ProtocolType(protocol_type));
        }
        let (hardware, protocol) = (packet.get_hw_addr_len(), packet.get_proto_addr_len());
        if (hardware, protocol) != (6, 4) {
            return Err(Malformed::AddressLengths { hardware, protocol });
        }
        let operation = match packet.get_operation() {
            ArpOperations::Request => Operation::Request,
            ArpOperations::Reply => Operation::Reply,
            ArpOperation(other) => return Err(Malformed::Operation(other)),
        };
        Ok(Self {
            operation,
            sender_mac: MacAddr(packet.get_sender_hw_addr().octets()),
            sender_ip: packet.get_sender_proto_addr(),
            target_mac: MacAddr(packet.get_target_hw_addr().octets()),
            target_ip: packet.get_target_proto_addr(),
        })
    }

    fn write(&self, payload: &mut [u8]) {
        let Some(mut packet) = MutableArpPacket::new(payload) else {
            return;
        };
        packet.set_hardware_type(ArpHardwareTypes::Ethernet);
        packet.set_protocol_type(EtherTypes::Ipv4);
        packet.set_hw_addr_len(6);
        packet.set_proto_addr_len(4);
        packet.set_operation(match self.operation {
            Operation::Request => ArpOperations::Request,
            Operation::Reply => ArpOperations::Reply,
        });
        packet.set_sender_hw_addr(self.sender_mac.0.into());
        packet.set_sender_proto_addr(self.sender_ip);
        packet.set_target_hw_addr(self.target_mac.0.into());
        packet.set_target_proto_addr(self.target_ip);
    }
}

#[cfg(test)]
mod tests;
