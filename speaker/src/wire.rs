//! Bytes of Ethernet frames to plain values and back.
//!
//! It decides only whether bytes are a frame we understand, never what to do about it. Input comes
//! from the network, so nothing here may panic, allocate or trust a length. All numbers are in
//! network byte order on the wire and in host order in the values.
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

pub mod arp;
mod checksum;
pub mod ethernet;
pub mod frame;
pub mod ndp;
pub mod neighbour;

/// Why bytes are not a frame we understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than the headers it should hold.
    #[error("frame of {0} bytes is too short")]
    Truncated(usize),
    /// Carries an 802.1Q or 802.1ad tag: it belongs to a VLAN, not to this link.
    #[error("frame carries VLAN tag {0:#06x}")]
    Tagged(u16),
    /// Neither tagged nor of the EtherType asked for.
    #[error("EtherType {0:#06x} is not expected here")]
    EtherType(u16),
    /// ARP hardware type other than 1, Ethernet.
    #[error("ARP hardware type {0}")]
    HardwareType(u16),
    /// ARP protocol type other than 0x0800, IPv4.
    #[error("ARP protocol type {0:#06x}")]
    ProtocolType(u16),
    /// ARP address lengths other than 6 and 4.
    #[error("ARP address lengths {hardware} and {protocol}")]
    AddressLengths {
        /// The hardware address length, of which 6 is right.
        hardware: u8,
        /// The protocol address length, of which 4 is right.
        protocol: u8,
    },
    /// ARP operation other than request and reply, for instance RARP's.
    #[error("ARP operation {0}")]
    Operation(u16),
    /// An IP version other than 6 under IPv6's EtherType.
    #[error("IP version {0}")]
    IpVersion(u8),
    /// An IPv6 packet that carries something other than ICMPv6.
    #[error("IPv6 next header {0}")]
    NextHeader(u8),
    /// A hop limit other than 255: a router has passed it on.
    #[error("hop limit {0}")]
    HopLimit(u8),
    /// An ICMPv6 message other than a neighbour solicitation or advertisement.
    #[error("ICMPv6 type {kind} code {code}")]
    Icmp {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
    },
    /// The ICMPv6 checksum is wrong.
    #[error("wrong checksum")]
    Checksum,
    /// An option of this type without a length, or longer than the message.
    #[error("option {0} does not fit")]
    Option(u8),
    /// Fields that must not occur together (RFC 4861 sections 7.1.1 and 7.1.2).
    #[error("a combination of fields that RFC 4861 forbids")]
    Forbidden,
}
