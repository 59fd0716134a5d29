//! The Internet checksum (RFC 1071), as ICMPv6 uses it (RFC 4443 section 2.3).

use std::net::Ipv6Addr;

use super::ndp::ICMPV6;

/// The checksum of the ICMPv6 message `body` between two addresses: over a message whose checksum
/// field is zero, what belongs there; over a received one, zero if it is intact.
pub(super) fn icmpv6(from: &Ipv6Addr, to: &Ipv6Addr, body: &[u8]) -> u16 {
    // The pseudo header of RFC 8200 section 8.1; its zeroes do not count.
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut sum = words(&from.octets()) + words(&to.octets()) + u64::from(len) + u64::from(ICMPV6);
    sum += words(body);
    while let Some(carry @ 1..) = Some(sum >> 16) {
        sum = (sum & 0xffff) + carry;
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// The sum of the 16-bit words in network byte order; an odd byte at the end counts as a high one.
fn words(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let sum: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
    sum + rest.first().map_or(0, |last| u64::from(*last) << 8)
}
