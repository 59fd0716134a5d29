//! Neighbour discovery (RFC 4861): asks by solicitations, and reads what comes back as strictly as a
//! kernel does. Pure, and written apart from the speaker's own code on purpose, checksum included:
//! see [`super::arp`].
//!
//! ```text
//!  0 destination (6)   6 source (6)   12 0x86dd
//! 14 version 6   18 length (2)   20 next header 58   21 hop limit 255   22 source (16)   38 destination (16)
//! 54 type   55 code 0   56 checksum (2)   58 flags (4)   62 target (16)
//! 78 options: type, length in units of 8 bytes, ...
//! ```

use std::net::{IpAddr, Ipv6Addr};

use super::said::{Kind, Mac, Said};

pub(super) const ETHERTYPE: u16 = 0x86dd;
const HEADERS: usize = 54;
/// Of a message without options.
const FIXED: usize = 24;
const OPTION: usize = 8;
const LENGTH: usize = HEADERS + FIXED + OPTION;

const ICMPV6: u8 = 58;
/// A router would have lowered it: it comes from this very segment.
const HOP_LIMIT: u8 = 255;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Flag of an advertisement that answers a question.
const SOLICITED: u8 = 0x40;
/// Options that hold a MAC: the sender's, and the target's.
const SOURCE_MAC: u8 = 1;
const TARGET_MAC: u8 = 2;

/// `None` for whatever a host would not heed: anything but a valid solicitation, or an
/// advertisement that says at which MAC its target is.
pub(super) fn parse(frame: &[u8]) -> Option<Said> {
    let head = frame.first_chunk::<HEADERS>()?;
    let ours = head[12..14] == ETHERTYPE.to_be_bytes() && head[14] >> 4 == 6;
    if !ours || head[20] != ICMPV6 || head[21] != HOP_LIMIT {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([head[18], head[19]]));
    // What follows is padding.
    let message = frame.get(HEADERS..HEADERS + length)?;
    let (from, to) = (address(&head[22..38])?, address(&head[38..54])?);
    if checksum(from, to, message) != 0 {
        return None;
    }
    let (fixed, rest) = message.split_first_chunk::<FIXED>()?;
    let target = address(&fixed[8..24])?;
    if fixed[1] != 0 || target.is_multicast() {
        return None;
    }
    let frame_source = Mac(head[6..12].try_into().ok()?);
    let options = options(rest)?;
    let named = |kind: u8| options.iter().find(|it| it.0 == kind).map(|it| it.1);
    let (kind, mac) = match fixed[0] {
        SOLICITATION if from.is_unspecified() && to == group(target) => (Kind::Probe, frame_source),
        SOLICITATION if from.is_unspecified() => return None,
        SOLICITATION => (Kind::Question, named(SOURCE_MAC).unwrap_or(frame_source)),
        ADVERTISEMENT if fixed[4] & SOLICITED == 0 => (Kind::Unsolicited, named(TARGET_MAC)?),
        ADVERTISEMENT if to.is_multicast() => return None,
        ADVERTISEMENT => (Kind::Answer, named(TARGET_MAC)?),
        _ => return None,
    };
    let to = (kind == Kind::Answer).then_some(IpAddr::V6(to));
    Some(Said { kind, ip: target.into(), mac, frame_source, to })
}

/// "Who has `target`? Tell `sender`", to the hosts whose addresses end like it.
pub(super) fn question(mac: Mac, sender: Ipv6Addr, target: Ipv6Addr) -> [u8; LENGTH] {
    let to = group(target);
    let mut frame = [0; LENGTH];
    let [.., a, b, c, d] = to.octets();
    // RFC 2464 section 7.
    frame[0..6].copy_from_slice(&[0x33, 0x33, a, b, c, d]);
    frame[6..12].copy_from_slice(&mac.0);
    frame[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
    frame[14] = 6 << 4;
    // Less than 256: the upper byte stays zero.
    frame[19] = 32;
    frame[20] = ICMPV6;
    frame[21] = HOP_LIMIT;
    frame[22..38].copy_from_slice(&sender.octets());
    frame[38..54].copy_from_slice(&to.octets());
    frame[54] = SOLICITATION;
    frame[62..78].copy_from_slice(&target.octets());
    frame[78..80].copy_from_slice(&[SOURCE_MAC, 1]);
    frame[80..86].copy_from_slice(&mac.0);
    let sum = checksum(sender, to, &frame[HEADERS..]);
    frame[56..58].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// Where questions for an address go (RFC 4291 section 2.7.1).
fn group(target: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = target.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

fn address(bytes: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from)
}

/// The options long enough for a MAC, with what is in its place. One of length zero spoils the
/// whole message.
fn options(mut bytes: &[u8]) -> Option<Vec<(u8, Mac)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(*bytes.get(1)?) * OPTION;
        let option = bytes.get(..length)?.first_chunk::<OPTION>()?;
        found.push((option[0], Mac(option[2..8].try_into().ok()?)));
        bytes = &bytes[length..];
    }
    Some(found)
}

/// Of ICMPv6 (RFC 4443 section 2.3): zero if the message has its own in place.
fn checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let words = |bytes: &[u8]| {
        let words = bytes.chunks(2).map(|pair| {
            u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default())
        });
        words.sum::<u32>()
    };
    let length = u32::try_from(message.len()).unwrap_or_default();
    let pseudo = words(&from.octets()) + words(&to.octets()) + length + u32::from(ICMPV6);
    let mut sum = pseudo + words(message);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // It fits now.
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER_MAC: Mac = Mac([2, 0xf1, 0xb0, 0, 0, 1]);
    const OWNER_MAC: Mac = Mac([2, 0xf1, 0xb0, 0, 0, 0x0b]);
    const ASKER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xb5e0, 0, 0, 0xc8);
    const TARGET: Ipv6Addr = Ipv6Addr::new(0xfd17, 0x255, 0, 0, 0, 0, 0, 1);
    const OWNER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xf1, 0xb0ff, 0xfe00, 0xb);

    // Two hosts with Linux 6.18, seen by tcpdump. A question, made by other code than this:
    const QUESTION: &str = "3333 ff00 0001 02f1 b000 0001 86dd 6000 0000 0020 3aff \
        fe80 0000 0000 0000 b5e0 0000 0000 00c8 ff02 0000 0000 0000 0000 0001 ff00 0001 \
        8700 1214 0000 0000 fd17 0255 0000 0000 0000 0000 0000 0001 0101 02f1 b000 0001";
    // The kernel's answer to it, with the flags of a router;
    const ANSWER: &str = "02f1 b000 0001 02f1 b000 000b 86dd 6000 0000 0020 3aff \
        fd17 0255 0000 0000 0000 0000 0000 0001 fe80 0000 0000 0000 b5e0 0000 0000 00c8 \
        8800 2ea1 e000 0000 fd17 0255 0000 0000 0000 0000 0000 0001 0201 02f1 b000 000b";
    // what it says when its link comes up (`ndisc_notify`);
    const UNASKED: &str = "3333 0000 0001 02f1 b000 000b 86dd 6000 0000 0020 3aff \
        fe80 0000 0000 0000 00f1 b0ff fe00 000b ff02 0000 0000 0000 0000 0000 0000 0001 \
        8800 c6a7 a000 0000 fe80 0000 0000 0000 00f1 b0ff fe00 000b 0201 02f1 b000 000b";
    // a probe of duplicate address detection, which carries a nonce (RFC 7527).
    const PROBE: &str = "3333 ff00 0001 02f1 b000 0001 86dd 6000 0000 0020 3aff \
        0000 0000 0000 0000 0000 0000 0000 0000 ff02 0000 0000 0000 0000 0001 ff00 0001 \
        8700 2991 0000 0000 fd17 0255 0000 0000 0000 0000 0000 0001 0e01 acb3 c453 d297";

    fn bytes(hex: &str) -> Vec<u8> {
        let words = hex.split_whitespace().map(|word| u16::from_str_radix(word, 16).unwrap());
        words.flat_map(u16::to_be_bytes).collect()
    }

    /// Changes one byte of a valid frame, and makes the checksum right again.
    fn with(frame: &str, place: usize, value: u8) -> Vec<u8> {
        let mut frame = bytes(frame);
        frame[place] = value;
        frame[56..58].copy_from_slice(&[0, 0]);
        let (from, to) = (address(&frame[22..38]).unwrap(), address(&frame[38..54]).unwrap());
        let sum = checksum(from, to, &frame[HEADERS..]);
        frame[56..58].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    #[test]
    fn asks_as_a_host_does() {
        assert_eq!(question(ASKER_MAC, ASKER, TARGET), *bytes(QUESTION));
    }

    #[test]
    fn reads_what_hosts_say() {
        let said = |kind, ip: Ipv6Addr, mac, to: Option<Ipv6Addr>| Said {
            kind,
            ip: ip.into(),
            mac,
            frame_source: mac,
            to: to.map(IpAddr::V6),
        };
        for (frame, want) in [
            (QUESTION, said(Kind::Question, TARGET, ASKER_MAC, None)),
            (ANSWER, said(Kind::Answer, TARGET, OWNER_MAC, Some(ASKER))),
            (UNASKED, said(Kind::Unsolicited, OWNER, OWNER_MAC, None)),
            (PROBE, said(Kind::Probe, TARGET, ASKER_MAC, None)),
        ] {
            assert_eq!(parse(&bytes(frame)), Some(want));
        }
    }

    #[test]
    fn tells_who_sends_from_who_is_spoken_of() {
        let said = parse(&with(ANSWER, 85, 0x0c)).unwrap();
        assert_eq!(said.mac, Mac([2, 0xf1, 0xb0, 0, 0, 0x0c]));
        assert_eq!(said.frame_source, OWNER_MAC);
    }

    #[test]
    fn refuses_what_no_host_would_heed() {
        for (what, frame) in [
            ("another protocol", with(ANSWER, 13, 0xdc)),
            ("IPv4", with(ANSWER, 14, 0x40)),
            ("no ICMP", with(ANSWER, 20, 17)),
            ("from beyond a router", with(ANSWER, 21, 254)),
            ("another message", with(ANSWER, 54, 134)),
            ("code 1", with(ANSWER, 55, 1)),
            ("a group as its target", with(ANSWER, 62, 0xff)),
            ("without the option", with(ANSWER, 78, 14)),
            ("an option of no length", with(ANSWER, 79, 0)),
            ("an option longer than the rest", with(ANSWER, 79, 2)),
            ("an answer to all", with(UNASKED, 58, 0x60)),
            ("a probe to all", with(PROBE, 53, 2)),
        ] {
            assert_eq!(parse(&frame), None, "{what}");
        }
        let mut spoilt = bytes(ANSWER);
        spoilt[57] ^= 1;
        assert_eq!(parse(&spoilt), None, "checksum");
        for length in 0..LENGTH {
            assert_eq!(parse(&bytes(ANSWER)[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn what_follows_the_packet_is_padding() {
        let mut padded = bytes(ANSWER);
        padded.extend([0xee; 10]);
        assert!(parse(&padded).is_some());
    }
}
