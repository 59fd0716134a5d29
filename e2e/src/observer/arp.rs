//! ARP frames (RFC 826) for Ethernet and IPv4: asks, and reads what comes back. Pure, and written
//! apart from the speaker's own code on purpose: a test that parses with the code under test
//! shares its mistakes.
//!
//! ```text
//!  0 destination (6)   6 source (6)   12 0x0806
//! 14 hardware 1   16 protocol 0x0800   18 lengths 6, 4   20 operation
//! 22 sender MAC (6)   28 sender IP (4)   32 target MAC (6)   38 target IP (4)
//! ```

use std::net::Ipv4Addr;

use super::said::{Kind, Mac, Said};

pub(super) const ETHERTYPE: u16 = 0x0806;
const LENGTH: usize = 42;

const FIXED: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// `None` for whatever is no ARP for IPv4 on Ethernet.
pub(super) fn parse(frame: &[u8]) -> Option<Said> {
    let frame = frame.first_chunk::<LENGTH>()?;
    let bytes = |from: usize| Some([*frame.get(from)?, *frame.get(from + 1)?]);
    if u16::from_be_bytes(bytes(12)?) != ETHERTYPE || frame[14..20] != FIXED {
        return None;
    }
    let destination = Mac(frame[0..6].try_into().ok()?);
    let sender = Ipv4Addr::from(<[u8; 4]>::try_from(&frame[28..32]).ok()?);
    let target = Ipv4Addr::from(<[u8; 4]>::try_from(&frame[38..42]).ok()?);
    let (kind, ip) = match u16::from_be_bytes(bytes(20)?) {
        REQUEST if sender == target => (Kind::GratuitousRequest, sender),
        REQUEST if sender.is_unspecified() => (Kind::Probe, target),
        REQUEST => (Kind::Question, target),
        REPLY if destination == Mac::BROADCAST => (Kind::GratuitousReply, sender),
        REPLY => (Kind::Answer, sender),
        _ => return None,
    };
    Some(Said {
        kind,
        ip: ip.into(),
        mac: Mac(frame[22..28].try_into().ok()?),
        frame_source: Mac(frame[6..12].try_into().ok()?),
        to: (kind == Kind::Answer).then_some(target.into()),
    })
}

/// "`address` is at `mac`", to all: a gratuitous request.
pub(super) fn claim(mac: Mac, address: Ipv4Addr) -> [u8; LENGTH] {
    question(mac, address, address)
}

/// "Who has `target`? Tell `sender`", to all.
pub(super) fn question(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> [u8; LENGTH] {
    let mut frame = [0; LENGTH];
    frame[0..6].copy_from_slice(&Mac::BROADCAST.0);
    frame[6..12].copy_from_slice(&mac.0);
    frame[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
    frame[14..20].copy_from_slice(&FIXED);
    frame[20..22].copy_from_slice(&REQUEST.to_be_bytes());
    frame[22..28].copy_from_slice(&mac.0);
    frame[28..32].copy_from_slice(&sender.octets());
    frame[38..42].copy_from_slice(&target.octets());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0xf1, 0xb0, 0, 0, 1]);
    const A: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 200);
    const B: Ipv4Addr = Ipv4Addr::new(172, 17, 255, 1);

    fn reply(mut frame: [u8; LENGTH]) -> [u8; LENGTH] {
        frame[21] = 2;
        frame
    }

    #[test]
    fn reads_back_its_own_question() {
        let said = parse(&question(MAC, A, B)).unwrap();
        let want =
            Said { kind: Kind::Question, ip: B.into(), mac: MAC, frame_source: MAC, to: None };
        assert_eq!(said, want);
    }

    #[test]
    fn tells_the_kinds_apart() {
        let said = |frame: &[u8]| parse(frame).map(|it| (it.kind, it.ip, it.to)).unwrap();
        let (a, b) = (A.into(), B.into());
        assert_eq!(said(&question(MAC, B, B)), (Kind::GratuitousRequest, b, None));
        assert_eq!(said(&question(MAC, Ipv4Addr::UNSPECIFIED, B)), (Kind::Probe, b, None));
        assert_eq!(said(&reply(question(MAC, B, B))), (Kind::GratuitousReply, b, None));
        let mut unicast = reply(question(MAC, B, A));
        unicast[0..6].copy_from_slice(&MAC.0);
        assert_eq!(said(&unicast), (Kind::Answer, b, Some(a)));
    }

    #[test]
    fn refuses_what_is_no_arp() {
        let frame = question(MAC, A, B);
        assert_eq!(parse(&frame[..41]), None);
        for (place, value) in [(12, 0x86), (15, 6), (17, 1), (19, 16), (21, 9)] {
            let mut other = frame;
            other[place] = value;
            assert_eq!(parse(&other), None, "byte {place}");
        }
    }

    #[test]
    fn reads_padded_frames() {
        let mut padded = [0; 60];
        padded[..LENGTH].copy_from_slice(&question(MAC, A, B));
        assert!(parse(&padded).is_some());
    }
}
