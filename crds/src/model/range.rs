//! Address ranges: the user's `addresses` entries, and the arithmetic on them.
//!
//! An address is handled as a position on a number line: IPv4 as its 32 bits, IPv6 as its 128.
//! The two families never mix within one range, so a [`Family`] and two numbers say everything.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

/// IPv4 or IPv6; IPv4 sorts first, as in every list a user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    const fn bits(self) -> u32 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// The position of `address` within its family.
pub fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address at `number` of `family`; for IPv4 the low 32 bits count.
pub fn from_number(family: Family, number: u128) -> IpAddr {
    match family {
        #[expect(clippy::cast_possible_truncation, reason = "IPv4 numbers are made from 32 bits")]
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

/// All addresses from `first` to `last`, both included; never empty, never of two families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AddressRange {
    family: Family,
    first: u128,
    last: u128,
}

/// Why an `addresses` entry is not a range. The texts are MetalLB's where it has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum InvalidRange {
    /// Neither `a-b` nor a CIDR; a bare address is refused too, as MetalLB does.
    #[error("invalid CIDR \"{0}\"")]
    Cidr(String),
    /// The part before the dash is no address.
    #[error("invalid IP range \"{text}\": invalid start IP \"{start}\"")]
    Start {
        /// The whole entry.
        text: String,
        /// Its first half, trimmed.
        start: String,
    },
    /// The part after the dash is no address.
    #[error("invalid IP range \"{text}\": invalid end IP \"{end}\"")]
    End {
        /// The whole entry.
        text: String,
        /// Its second half, trimmed.
        end: String,
    },
    /// The range runs backwards.
    #[error("invalid IP range \"{text}\": start IP \"{start}\" is after the end IP \"{end}\"")]
    Backwards {
        /// The whole entry.
        text: String,
        /// Its first address.
        start: IpAddr,
        /// Its second address.
        end: IpAddr,
    },
    /// One end is IPv4 and the other IPv6. MetalLB accepts this and hands out nothing, silently.
    #[error(
        "invalid IP range \"{text}\": start IP \"{start}\" and end IP \"{end}\" are of different families"
    )]
    MixedFamilies {
        /// The whole entry.
        text: String,
        /// Its first address.
        start: IpAddr,
        /// Its second address.
        end: IpAddr,
    },
}

impl AddressRange {
    /// The range from `first` to `last`; `None` when they are of different families or backwards.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let family = Family::of(first);
        let (from, to) = (to_number(first), to_number(last));
        (family == Family::of(last) && from <= to).then_some(Self { family, first: from, last: to })
    }

    /// Reads one `addresses` entry: `first-last` (blanks around both ends are ignored) or a CIDR,
    /// whose host bits are ignored (`192.0.2.9/24` is the whole /24).
    ///
    /// # Errors
    /// [`InvalidRange`], with the entry in its text.
    pub fn parse(text: &str) -> Result<Self, InvalidRange> {
        if let Some((start, end)) = text.split_once('-') {
            return Self::parse_ends(text, start.trim(), end.trim());
        }
        let invalid = || InvalidRange::Cidr(text.to_owned());
        // IpNetwork would read a bare address as a /32, and a netmask or a sign after the slash.
        // MetalLB takes only a prefix length, and could not read such a pool back.
        let length = text.split_once('/').map(|(_, length)| length);
        if length.is_none_or(|length| !length.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(invalid());
        }
        let net: IpNetwork = text.parse().map_err(|_| invalid())?;
        let family = Family::of(net.ip());
        let host_bits = family.bits() - u32::from(net.prefix());
        let span = if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 };
        let first = to_number(net.ip()) & !span;
        Ok(Self { family, first, last: first | span })
    }

    fn parse_ends(text: &str, start: &str, end: &str) -> Result<Self, InvalidRange> {
        let text = text.to_owned();
        let Ok(first) = start.parse::<IpAddr>() else {
            return Err(InvalidRange::Start { text, start: start.to_owned() });
        };
        let Ok(last) = end.parse::<IpAddr>() else {
            return Err(InvalidRange::End { text, end: end.to_owned() });
        };
        if Family::of(first) != Family::of(last) {
            return Err(InvalidRange::MixedFamilies { text, start: first, end: last });
        }
        Self::new(first, last).ok_or(InvalidRange::Backwards { text, start: first, end: last })
    }

    /// IPv4 or IPv6.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        from_number(self.family, self.first)
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        from_number(self.family, self.last)
    }

    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family && (self.first..=self.last).contains(&to_number(address))
    }

    /// Whether the two ranges have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.family == other.family && self.first <= other.last && other.first <= self.last
    }

    /// How many addresses the range holds; `u128::MAX` stands for all of IPv6, one too few.
    pub fn count(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    /// The numbers of the first and last address, for arithmetic within one family.
    pub const fn numbers(&self) -> (u128, u128) {
        (self.first, self.last)
    }
}

/// A CIDR where the range is exactly one, `first-last` otherwise.
impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.last - self.first;
        if span & span.wrapping_add(1) == 0 && self.first & span == 0 {
            let host_bits = u128::BITS - span.leading_zeros();
            return write!(f, "{}/{}", self.first(), self.family.bits() - host_bits);
        }
        write!(f, "{}-{}", self.first(), self.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        AddressRange::parse(text).unwrap()
    }

    #[test]
    fn reads_every_way_of_writing_a_range() {
        for (text, shown, count) in [
            ("192.0.2.0/24", "192.0.2.0/24", 256),
            ("192.0.2.77/24", "192.0.2.0/24", 256),
            ("192.0.2.1/32", "192.0.2.1/32", 1),
            (" 192.0.2.1 - 192.0.2.3 ", "192.0.2.1-192.0.2.3", 3),
            ("192.0.2.0-192.0.2.255", "192.0.2.0/24", 256),
            ("0.0.0.0/0", "0.0.0.0/0", 1 << 32),
            ("2001:db8::/64", "2001:db8::/64", 1 << 64),
            ("fc00::1-fc00::2", "fc00::1-fc00::2", 2),
        ] {
            assert_eq!(range(text).to_string(), shown, "{text}");
            assert_eq!(range(text).count(), count, "{text}");
        }
    }

    #[test]
    fn all_of_ipv6_does_not_overflow() {
        assert_eq!(range("::/0").count(), u128::MAX);
        assert_eq!(range("::/0").to_string(), "::/0");
    }

    #[test]
    fn says_what_is_wrong_with_a_bad_entry() {
        for (text, message) in [
            ("192.0.2.1", "invalid CIDR \"192.0.2.1\""),
            ("", "invalid CIDR \"\""),
            ("192.0.2.0/33", "invalid CIDR \"192.0.2.0/33\""),
            ("192.0.2.0/255.255.255.0", "invalid CIDR \"192.0.2.0/255.255.255.0\""),
            ("192.0.2.0/+24", "invalid CIDR \"192.0.2.0/+24\""),
            ("192.0.2.0/", "invalid CIDR \"192.0.2.0/\""),
            (" 192.0.2.0/24", "invalid CIDR \" 192.0.2.0/24\""),
            ("foo-192.0.2.1", "invalid IP range \"foo-192.0.2.1\": invalid start IP \"foo\""),
            ("192.0.2.1-", "invalid IP range \"192.0.2.1-\": invalid end IP \"\""),
            (
                "192.0.2.9-192.0.2.1",
                "invalid IP range \"192.0.2.9-192.0.2.1\": start IP \"192.0.2.9\" is after the end IP \"192.0.2.1\"",
            ),
            (
                "10.0.0.1-fc00::1",
                "invalid IP range \"10.0.0.1-fc00::1\": start IP \"10.0.0.1\" and end IP \"fc00::1\" are of different families",
            ),
        ] {
            assert_eq!(AddressRange::parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn overlap_is_symmetric_and_needs_one_family() {
        let (a, b, c) =
            (range("192.0.2.0/25"), range("192.0.2.127-192.0.2.130"), range("192.0.2.128/25"));
        assert!(a.overlaps(&b) && b.overlaps(&a) && b.overlaps(&c));
        assert!(!a.overlaps(&c));
        assert!(!range("0.0.0.0/0").overlaps(&range("::/0")));
    }

    proptest::proptest! {
        #[test]
        fn shown_text_reads_back_as_the_same_range(a: u32, b: u32) {
            let (first, last) = (Ipv4Addr::from_bits(a.min(b)), Ipv4Addr::from_bits(a.max(b)));
            let made = AddressRange::new(first.into(), last.into()).unwrap();
            proptest::prop_assert_eq!(range(&made.to_string()), made);
        }
    }
}
