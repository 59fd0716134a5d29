//! What a frame says about an address, in the words of neither ARP nor neighbour discovery.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

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
    /// A reply to one host; in IPv6, a solicited advertisement.
    Answer,
    /// ARP: a statement to all, made as a request for one's own address.
    GratuitousRequest,
    /// ARP: a statement to all, made as a reply.
    GratuitousReply,
    /// IPv6: an advertisement that answers no question. What a probe is answered with looks the
    /// same.
    Unsolicited,
    /// "Does anybody have this?", by a host that has no address yet (RFC 5227, RFC 4862).
    Probe,
    /// An ordinary question.
    Question,
}

impl Kind {
    /// Whether it tells hosts that did not ask where an address is.
    pub fn is_announcement(self) -> bool {
        match self {
            Self::GratuitousRequest | Self::GratuitousReply | Self::Unsolicited => true,
            Self::Answer | Self::Probe | Self::Question => false,
        }
    }
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub kind: Kind,
    /// The address it is about: stated, or asked for.
    pub ip: IpAddr,
    /// Where that is; the asker's MAC in a question or a probe.
    pub mac: Mac,
    /// Source of the Ethernet frame; by rights the same as `mac`.
    pub frame_source: Mac,
    /// The address of the one host that it is said to.
    pub to: Option<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_survive_writing() {
        let mac = Mac([2, 0xf1, 0xb0, 0, 0, 1]);
        assert_eq!(mac.to_string().parse::<Mac>().unwrap(), mac);
        assert!("02:f1".parse::<Mac>().is_err());
        assert!("02:f1:b0:00:00:01:02".parse::<Mac>().is_err());
    }
}
