//! ARP frames (RFC 826) for Ethernet and IPv4: asks, and reads what comes back. Pure, and written
//! apart from the speaker's own code on purpose: a test that parses with the code under test
//! shares its mistakes.
//!
//! ```text
//!  0 destination (6)   6 source (6)   12 0x0806
//! 14 hardware 1   16 protocol 0x0800   18 lengths 6, 4   20 operation
//! 22 sender MAC (6)   28 sender IP (4)   32 target MAC (6)   38 target IP (4)
//! ```

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

pub const ETHERTYPE: u16 = 0x0806;
pub const LENGTH: usize = 42;

const FIXED: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    pub const BROADCAST: Self = Self([0xff; 6]);
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

impl FromStr for Mac {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.trim().split(':');
        let mut mac = [0; 6];
        for byte in &mut mac {
            let part = parts.next().with_context(|| format!("{text} is no MAC"))?;
            *byte = u8::from_str_radix(part, 16).with_context(|| format!("{text} is no MAC"))?;
        }
        ensure!(parts.next().is_none(), "{text} is no MAC");
        Ok(Self(mac))
    }
}

/// Which question or statement a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A reply to one host.
    Answer,
    /// A statement to all, made as a request for one's own address.
    GratuitousRequest,
    /// A statement to all, made as a reply.
    GratuitousReply,
    /// "Does anybody have this?", by a host that has no address yet (RFC 5227).
    Probe,
    /// An ordinary question.
    Question,
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    pub kind: Kind,
    /// Source of the Ethernet frame; by rights the same as `sender_mac`.
    pub frame_source: Mac,
    pub sender_mac: Mac,
    pub sender_ip: Ipv4Addr,
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// `None` for whatever is no ARP for IPv4 on Ethernet.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let frame = frame.first_chunk::<LENGTH>()?;
        let bytes = |from: usize| Some([*frame.get(from)?, *frame.get(from + 1)?]);
        if u16::from_be_bytes(bytes(12)?) != ETHERTYPE || frame[14..20] != FIXED {
            return None;
        }
        let destination = Mac(frame[0..6].try_into().ok()?);
        let sender_ip = Ipv4Addr::from(<[u8; 4]>::try_from(&frame[28..32]).ok()?);
        let target_ip = Ipv4Addr::from(<[u8; 4]>::try_from(&frame[38..42]).ok()?);
        let kind = match u16::from_be_bytes(bytes(20)?) {
            REQUEST if sender_ip == target_ip => Kind::GratuitousRequest,
            REQUEST if sender_ip.is_unspecified() => Kind::Probe,
            REQUEST => Kind::Question,
            REPLY if destination == Mac::BROADCAST => Kind::GratuitousReply,
            REPLY => Kind::Answer,
            _ => return None,
        };
        Some(Self {
            kind,
            frame_source: Mac(frame[6..12].try_into().ok()?),
            sender_mac: Mac(frame[22..28].try_into().ok()?),
            sender_ip,
            target_ip,
        })
    }

    /// "Who has `target`? Tell `sender`", to all.
    pub fn request(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> [u8; LENGTH] {
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
        let arp = Arp::parse(&Arp::request(MAC, A, B)).unwrap();
        let want = Arp {
            kind: Kind::Question,
            frame_source: MAC,
            sender_mac: MAC,
            sender_ip: A,
            target_ip: B,
        };
        assert_eq!(arp, want);
    }

    #[test]
    fn tells_the_kinds_apart() {
        let kind = |frame: &[u8]| Arp::parse(frame).unwrap().kind;
        assert_eq!(kind(&Arp::request(MAC, B, B)), Kind::GratuitousRequest);
        assert_eq!(kind(&Arp::request(MAC, Ipv4Addr::UNSPECIFIED, B)), Kind::Probe);
        assert_eq!(kind(&reply(Arp::request(MAC, B, B))), Kind::GratuitousReply);
        let mut unicast = reply(Arp::request(MAC, B, A));
        unicast[0..6].copy_from_slice(&MAC.0);
        assert_eq!(kind(&unicast), Kind::Answer);
    }

    #[test]
    fn refuses_what_is_no_arp() {
        let frame = Arp::request(MAC, A, B);
        assert_eq!(Arp::parse(&frame[..41]), None);
        for (place, value) in [(12, 0x86), (15, 6), (17, 1), (19, 16), (21, 9)] {
            let mut other = frame;
            other[place] = value;
            assert_eq!(Arp::parse(&other), None, "byte {place}");
        }
    }

    #[test]
    fn reads_padded_frames() {
        let mut padded = [0; 60];
        padded[..LENGTH].copy_from_slice(&Arp::request(MAC, A, B));
        assert!(Arp::parse(&padded).is_some());
    }

    #[test]
    fn macs_survive_writing() {
        assert_eq!(MAC.to_string().parse::<Mac>().unwrap(), MAC);
        assert!("02:f1".parse::<Mac>().is_err());
        assert!("02:f1:b0:00:00:01:02".parse::<Mac>().is_err());
    }
}
