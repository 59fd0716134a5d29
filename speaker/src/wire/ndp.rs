//! Neighbour discovery for IPv6 (RFC 4861): solicitations, which ask who has an address, and
//! advertisements, which say so. A solicitation from the unspecified address is the probe of
//! duplicate address detection (RFC 4862 section 5.4).
//!
//! ```text
//! Ethernet (14) | IPv6 (40): next header 58, hop limit 255 |
//! +------+------+----------+-----------------+-------------+----------------------+
//! | type | code | checksum | flags, reserved | target (16) | options              |
//! +------+------+----------+-----------------+-------------+----------------------+
//!  135 solicitation, 136 advertisement: R S O in the top bits of the flags
//!  options: type (1) length in units of 8 bytes (1) ...; 1 source and 2 target link-layer address
//! ```

use std::net::Ipv6Addr;

use crds::model::ids::MacAddr;

use super::Malformed;
use super::checksum;
use super::ethernet::{EthernetHeader, HEADER_LEN};
use super::frame::{Frame, LONGEST};

/// The EtherType of IPv6, in host byte order.
pub const ETHERTYPE: u16 = 0x86dd;
/// The next header of ICMPv6.
pub const ICMPV6: u8 = 58;
/// The ICMPv6 type of a solicitation.
pub const SOLICITATION: u8 = 135;
/// The ICMPv6 type of an advertisement.
pub const ADVERTISEMENT: u8 = 136;
/// What every such packet carries: a router would have lowered it, so it comes from this very link.
pub const HOP_LIMIT: u8 = 255;
/// All hosts of the link (RFC 4291 section 2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const IPV6_LEN: usize = 40;
/// Type, code, checksum, flags and target.
const FIXED_LEN: usize = 24;
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// What is asked or said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NdpRepr {
    /// Who has `target`?
    Solicitation {
        /// The address asked for; never a multicast address.
        target: Ipv6Addr,
        /// The asker's MAC, from the source link-layer option. Always missing in a probe, and
        /// sometimes in a question to one host.
        source_mac: Option<MacAddr>,
    },
    /// `target` is here.
    Advertisement {
        /// The address spoken for; never a multicast address.
        target: Ipv6Addr,
        /// The MAC it is at, from the target link-layer option. May be missing in an answer to one
        /// host, which knows it then.
        target_mac: Option<MacAddr>,
        /// The sender is a router.
        router: bool,
        /// It answers a solicitation.
        solicited: bool,
        /// Who knows another MAC is to replace it.
        overrides: bool,
    },
}

/// A neighbour discovery message within its packet and frame. As with ARP, the Ethernet source may
/// differ from the MAC spoken of: that is how a deputy answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NdpFrame {
    /// Ethernet destination.
    pub destination: MacAddr,
    /// Ethernet source.
    pub source: MacAddr,
    /// IPv6 source; unspecified in a probe.
    pub from: Ipv6Addr,
    /// IPv6 destination.
    pub to: Ipv6Addr,
    /// The message.
    pub message: NdpRepr,
}

impl NdpFrame {
    /// Reads a whole frame, Ethernet header first, and checks all that RFC 4861 sections 7.1.1 and
    /// 7.1.2 ask for. Bytes past the packet are padding and ignored. An extension header between
    /// IPv6 and ICMPv6 is refused: no host sends one.
    ///
    /// # Errors
    /// [`Malformed`]: anything but a valid solicitation or advertisement over untagged Ethernet.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let (EthernetHeader { destination, source, ethertype }, packet) =
            EthernetHeader::parse(frame)?;
        if ethertype != ETHERTYPE {
            return Err(Malformed::EtherType(ethertype));
        }
        let short = || Malformed::Truncated(frame.len());
        let (header, rest) = packet.split_first_chunk::<IPV6_LEN>().ok_or_else(short)?;
        let [vtf, _, _, _, l0, l1, next, hops, addresses @ ..] = header;
        if vtf >> 4 != 6 {
            return Err(Malformed::IpVersion(vtf >> 4));
        }
        if *next != ICMPV6 {
            return Err(Malformed::NextHeader(*next));
        }
        if *hops != HOP_LIMIT {
            return Err(Malformed::HopLimit(*hops));
        }
        let [from, to] = addresses.as_chunks::<16>().0 else { return Err(short()) };
        let (from, to) = (Ipv6Addr::from(*from), Ipv6Addr::from(*to));
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let body = rest.get(..len).ok_or_else(short)?;
        if checksum::icmpv6(&from, &to, body) != 0 {
            return Err(Malformed::Checksum);
        }
        let message = NdpRepr::read(body).ok_or_else(short)??;
        let frame = Self { destination, source, from, to, message };
        if frame.is_valid() { Ok(frame) } else { Err(Malformed::Forbidden) }
    }

    /// Rules about several fields at once.
    fn is_valid(&self) -> bool {
        let from_nobody = self.from.is_unspecified();
        match self.message {
            NdpRepr::Solicitation { target, source_mac } => {
                let is_probe = self.to == solicited_node(target) && source_mac.is_none();
                !target.is_multicast() && !self.from.is_multicast() && (!from_nobody || is_probe)
            }
            NdpRepr::Advertisement { target, solicited, .. } => {
                let to_many = solicited && self.to.is_multicast();
                !target.is_multicast() && !self.from.is_multicast() && !from_nobody && !to_many
            }
        }
    }

    /// The frame as bytes: 86 with a link-layer option, 78 without.
    pub fn to_frame(&self) -> Frame {
        let mut bytes = [0; LONGEST];
        let mut total = HEADER_LEN + IPV6_LEN;
        let Self { destination, source, from, to, message } = *self;
        if let Some((header, packet)) = bytes.split_first_chunk_mut::<HEADER_LEN>()
            && let Some((ip, body)) = packet.split_first_chunk_mut::<IPV6_LEN>()
        {
            EthernetHeader { destination, source, ethertype: ETHERTYPE }.emit(header);
            let len = message.write(body);
            total += usize::from(len);
            let body = body.get_mut(..usize::from(len)).unwrap_or_default();
            let sum = checksum::icmpv6(&from, &to, body);
            if let Some(field) = body.get_mut(2..4) {
                field.copy_from_slice(&sum.to_be_bytes());
            }
            let [vtf, _, _, _, l0, l1, next, hops, addresses @ ..] = ip;
            *vtf = 6 << 4;
            [*l0, *l1] = len.to_be_bytes();
            (*next, *hops) = (ICMPV6, HOP_LIMIT);
            if let [at_from, at_to] = addresses.as_chunks_mut::<16>().0 {
                (*at_from, *at_to) = (from.octets(), to.octets());
            }
        }
        Frame::new(bytes, total)
    }

    /// The probe of duplicate address detection (RFC 4862 section 5.4.2): asks whether anybody has
    /// `target` without claiming anything.
    pub fn probe(mac: MacAddr, target: Ipv6Addr) -> Self {
        let to = solicited_node(target);
        let message = NdpRepr::Solicitation { target, source_mac: None };
        Self { destination: group_mac(to), source: mac, from: Ipv6Addr::UNSPECIFIED, to, message }
    }

    /// Asks who has `target`: the host at `to`, or everybody; from `sender`, an address of our own,
    /// as any host asks.
    pub fn question(mac: MacAddr, sender: Ipv6Addr, target: Ipv6Addr, to: Option<MacAddr>) -> Self {
        let group = solicited_node(target);
        let (destination, ip) = to.map_or((group_mac(group), group), |mac| (mac, target));
        let message = NdpRepr::Solicitation { target, source_mac: Some(mac) };
        Self { destination, source: mac, from: sender, to: ip, message }
    }

    /// Tells all hosts that `address` is at `mac` (RFC 4861 section 7.2.6), with Override, so that
    /// those who know another MAC replace it.
    pub fn announcement(mac: MacAddr, address: Ipv6Addr) -> Self {
        Self {
            destination: group_mac(ALL_NODES),
            source: mac,
            from: address,
            to: ALL_NODES,
            message: NdpRepr::Advertisement {
                target: address,
                target_mac: Some(mac),
                router: false,
                solicited: false,
                overrides: true,
            },
        }
    }
}

impl NdpRepr {
    /// `None` where bytes are missing.
    fn read(body: &[u8]) -> Option<Result<Self, Malformed>> {
        let (fixed, options) = body.split_first_chunk::<FIXED_LEN>()?;
        let [kind, code, _, _, flags, _, _, _, target @ ..] = fixed;
        let target = Ipv6Addr::from(*target);
        if *code != 0 || (*kind != SOLICITATION && *kind != ADVERTISEMENT) {
            return Some(Err(Malformed::Icmp { kind: *kind, code: *code }));
        }
        let wanted = if *kind == SOLICITATION { SOURCE_LINK_LAYER } else { TARGET_LINK_LAYER };
        let mac = match link_layer_option(options, wanted) {
            Ok(mac) => mac,
            Err(malformed) => return Some(Err(malformed)),
        };
        Some(Ok(if *kind == SOLICITATION {
            Self::Solicitation { target, source_mac: mac }
        } else {
            Self::Advertisement {
                target,
                target_mac: mac,
                router: flags & ROUTER != 0,
                solicited: flags & SOLICITED != 0,
                overrides: flags & OVERRIDE != 0,
            }
        }))
    }

    /// Writes all but the checksum into zeroes; how many bytes.
    fn write(&self, body: &mut [u8]) -> u16 {
        let (kind, all_flags, target, option, mac) = match *self {
            Self::Solicitation { target, source_mac } => {
                (SOLICITATION, 0, target, SOURCE_LINK_LAYER, source_mac)
            }
            Self::Advertisement { target, target_mac, router, solicited, overrides } => {
                let flag = |set: bool, bit| if set { bit } else { 0 };
                let flags =
                    flag(router, ROUTER) | flag(solicited, SOLICITED) | flag(overrides, OVERRIDE);
                (ADVERTISEMENT, flags, target, TARGET_LINK_LAYER, target_mac)
            }
        };
        let Some((fixed, options)) = body.split_first_chunk_mut::<FIXED_LEN>() else { return 0 };
        let [at_kind, _, _, _, flags, _, _, _, at_target @ ..] = fixed;
        (*at_kind, *flags, *at_target) = (kind, all_flags, target.octets());
        match (mac, options.first_chunk_mut::<8>()) {
            (Some(MacAddr(mac)), Some([kind, units, at @ ..])) => {
                (*kind, *units, *at) = (option, 1, mac);
                32
            }
            _ => 24,
        }
    }
}

/// The MAC in the first option of type `wanted`. Options of other types are passed over.
fn link_layer_option(mut options: &[u8], wanted: u8) -> Result<Option<MacAddr>, Malformed> {
    while let [kind, units, ..] = options {
        let len = usize::from(*units) * 8;
        let Some((option, rest)) = options.split_at_checked(len).filter(|_| len > 0) else {
            return Err(Malformed::Option(*kind));
        };
        if let (true, [_, 1, mac @ ..]) = (*kind == wanted, option) {
            return Ok(mac.first_chunk().copied().map(MacAddr));
        }
        options = rest;
    }
    Ok(None)
}

/// The multicast group that hosts which have `address` listen to (RFC 4291 section 2.7.1).
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

/// The MAC of a multicast group (RFC 2464 section 7).
pub const fn group_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

#[cfg(test)]
mod tests;
