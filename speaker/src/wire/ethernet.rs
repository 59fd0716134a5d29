//! The Ethernet II header.
//!
//! ```text
//!  0                   6                   12          14
//! +-------------------+-------------------+-----------+---------
//! | destination (6)   | source (6)        | type (2)  | payload
//! +-------------------+-------------------+-----------+---------
//! ```

use crds::model::ids::MacAddr;
use pnet_packet::ethernet::{EtherType, EtherTypes, EthernetPacket, MutableEthernetPacket};

use super::Malformed;

/// Bytes of an Ethernet II header.
pub const HEADER_LEN: usize = 14;

/// The EtherType of the speakers' own frames: the first of the two that IEEE Std 802 sets aside for
/// experiments within a network. No switch or router knows it, and none passes it on beyond the
/// segment.
pub const LINK_FRAME: u16 = 0x88b5;

/// Bytes of the shortest frame on the wire, without the checksum that the hardware adds. Shorter
/// frames are padded by the sender; a veth pair would deliver 42 bytes just as well, but some
/// switches and capture tools complain about runts.
pub const FRAME_LEN: usize = 60;

/// Bytes of the longest untagged frame of an ordinary Ethernet, again without the checksum.
pub const LONGEST_FRAME: usize = 1514;

/// Destination, source and EtherType of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Whom the frame is for.
    pub destination: MacAddr,
    /// Who sent it; switches learn from this field.
    pub source: MacAddr,
    /// What the payload is, in host byte order.
    pub ethertype: u16,
}

impl EthernetHeader {
    /// Splits `frame` into its header and payload. A frame with a VLAN tag still in place (802.1Q
    /// or 802.1ad) is refused; most kernels strip the tag before a packet socket sees the frame,
    /// which the kernel filter has to deal with (see [`crate::filter`]).
    ///
    /// # Errors
    /// [`Malformed::Truncated`] or [`Malformed::Tagged`].
    pub fn parse(frame: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (Some(packet), Some(payload)) = (EthernetPacket::new(frame), frame.get(HEADER_LEN..))
        else {
            return Err(Malformed::Truncated(frame.len()));
        };
        let EtherType(ethertype) = packet.get_ethertype();
        if let EtherTypes::Vlan | EtherTypes::PBridge = packet.get_ethertype() {
            return Err(Malformed::Tagged(ethertype));
        }
        let destination = MacAddr(packet.get_destination().octets());
        let source = MacAddr(packet.get_source().octets());
        Ok((Self { destination, source, ethertype }, payload))
    }

    /// Writes all bytes of the header.
    pub fn emit(&self, header: &mut [u8; HEADER_LEN]) {
        if let Some(mut packet) = MutableEthernetPacket::new(header) {
            packet.set_destination(self.destination.0.into());
            packet.set_source(self.source.0.into());
            packet.set_ethertype(EtherType(self.ethertype));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tagged_frames_are_told_apart_from_truncated_ones() {
        let mut frame = [0; FRAME_LEN];
        for tag in [0x8100_u16, 0x88a8] {
            frame[12..14].copy_from_slice(&tag.to_be_bytes());
            assert_eq!(EthernetHeader::parse(&frame), Err(Malformed::Tagged(tag)));
        }
        assert_eq!(EthernetHeader::parse(&frame[..13]), Err(Malformed::Truncated(13)));
    }

    #[test]
    fn header_fields_sit_where_the_diagram_says() {
        let header = EthernetHeader {
            destination: MacAddr([1, 2, 3, 4, 5, 6]),
            source: MacAddr([7, 8, 9, 10, 11, 12]),
            ethertype: 0x0806,
        };
        let mut frame = [0xa5; HEADER_LEN];
        header.emit(&mut frame);
        assert_eq!(frame, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x06]);
        assert_eq!(EthernetHeader::parse(&frame), Ok((header, &[][..])));
    }
}
