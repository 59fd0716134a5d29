//! Bytes of Ethernet frames to plain values and back.
//!
//! It decides only whether bytes are a frame we understand, never what to do about it. Input comes
//! from the network, so nothing here may panic, allocate or trust a length. All numbers are in
//! network byte order on the wire and in host order in the values.
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

pub mod arp;
pub mod ethernet;

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
}
