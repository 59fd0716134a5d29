//! The filter for neighbour discovery: IPv6's ARP.
//!
//! Accepted, all else dropped: untagged solicitations and advertisements without extension headers,
//! from this very link (hop limit 255), to the link's MAC or to a group, that is
//! * whose target lies in a range, or is the address that nobody has,
//! * whose IPv6 source lies in a range (somebody speaks from it), or
//! * advertisements to the link's MAC (answers to questions of ours).
//!
//! An IPv6 address does not fit the accumulator, so a range is widened to the shortest prefix that
//! covers it, and a prefix compared word by word. Pools are mostly prefixes anyway.

use std::net::IpAddr;

use crds::model::ids::{IfIndex, MacAddr};
use crds::model::range::AddressRange;

use super::{
    ACCEPT, DROP, ETHERTYPE, IF_AT_LEAST, IF_EQUAL, INTERFACE, Instruction, LOAD_HALF, LOAD_LEN,
    LOAD_WORD, PACKET_TYPE, Program, accept_to, if_equal, plain, require, require_at_most,
};
use crate::wire::ndp;
use crate::wire::neighbour::NOBODYS;

/// More prefixes than this are joined, those with most in common first. Each costs up to nine
/// instructions in each of two searches.
pub(super) const MAX_PREFIXES: usize = 16;

const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
/// The highest packet type wanted: groups are `PACKET_MULTICAST`.
const PACKET_MULTICAST: u32 = 2;

// Offsets into the frame.
const NEXT_HEADER: u32 = 20;
const HOP_LIMIT: u32 = 21;
const SOURCE: u32 = 22;
const KIND: u32 = 54;
const TARGET: u32 = 62;
/// Ethernet and IPv6 headers, and a message without options.
const PACKET_LEN: u32 = 78;

/// The addresses whose first `len` bits are those of `bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Prefix {
    bits: u128,
    len: u32,
}

impl Prefix {
    /// The longest prefix of all addresses from `first` to `last`.
    fn covering(first: u128, last: u128) -> Self {
        let len = (first ^ last).leading_zeros();
        Self { bits: first & mask(len), len }
    }

    fn joined(self, other: Self) -> Self {
        let common = Self::covering(self.bits, other.bits);
        let len = common.len.min(self.len).min(other.len);
        Self { bits: self.bits & mask(len), len }
    }
}

const fn mask(len: u32) -> u128 {
    if len == 0 { 0 } else { u128::MAX << (128 - len) }
}

impl Program {
    /// The program for the neighbour discovery of the link with `index` and `mac`. IPv4 ranges are
    /// left out.
    pub fn neighbours(ranges: &[AddressRange], index: IfIndex, mac: MacAddr) -> Self {
        let mut prefixes = prefixes(ranges);
        if prefixes.is_empty() {
            return Self(vec![DROP]);
        }
        let nobodys = NOBODYS.iter().filter_map(|address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => Some(Prefix { bits: v6.to_bits(), len: 128 }),
        });
        prefixes.extend(nobodys);
        let mut program = vec![plain(LOAD_LEN, 0)];
        require(&mut program, IF_AT_LEAST, PACKET_LEN);
        for (code, at, value) in [
            (LOAD_HALF, ETHERTYPE, u32::from(ndp::ETHERTYPE)),
            (LOAD_WORD, INTERFACE, index.0),
            (LOAD_BYTE, NEXT_HEADER, u32::from(ndp::ICMPV6)),
            (LOAD_BYTE, HOP_LIMIT, u32::from(ndp::HOP_LIMIT)),
        ] {
            program.push(plain(code, at));
            require(&mut program, IF_EQUAL, value);
        }
        program.push(plain(LOAD_WORD, PACKET_TYPE));
        require_at_most(&mut program, PACKET_MULTICAST);

        program.extend([
            plain(LOAD_BYTE, KIND),
            // A solicitation skips the seven instructions about advertisements.
            if_equal(u32::from(ndp::SOLICITATION), 7, 0),
            if_equal(u32::from(ndp::ADVERTISEMENT), 1, 0),
            DROP,
        ]);
        program.extend(accept_to(mac));
        for at in [TARGET, SOURCE] {
            program.extend(prefixes.iter().flat_map(|prefix| matching(*prefix, at)));
        }
        program.push(DROP);
        Self(program)
    }
}

/// Accepts the frame if the address at offset `at` lies within `prefix`; else execution falls out at
/// the end.
fn matching(prefix: Prefix, at: u32) -> Vec<Instruction> {
    let mut code = Vec::new();
    for word in 0..prefix.len.div_ceil(32) {
        let shift = 96 - 32 * word;
        let low = |bits: u128| u32::try_from((bits >> shift) & 0xffff_ffff).unwrap_or(0);
        let (wanted, mask) = (low(prefix.bits), low(mask(prefix.len)));
        code.push(plain(LOAD_WORD, at + 4 * word));
        if mask != u32::MAX {
            code.push(plain(AND, mask));
        }
        // Where it leads is known when all words are there.
        code.push(if_equal(wanted, 0, 1));
    }
    code.push(ACCEPT);
    let end = code.len();
    for (position, instruction) in code.iter_mut().enumerate() {
        if instruction.code == IF_EQUAL {
            instruction.jf = u8::try_from(end - position - 1).unwrap_or(u8::MAX);
        }
    }
    code
}

/// The IPv6 ranges as prefixes, at most [`MAX_PREFIXES`].
fn prefixes(ranges: &[AddressRange]) -> Vec<Prefix> {
    let v6 = ranges.iter().filter_map(|range| match (range.first(), range.last()) {
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            Some(Prefix::covering(first.to_bits(), last.to_bits()))
        }
        _ => None,
    });
    let mut sorted: Vec<Prefix> = v6.collect();
    sorted.sort_unstable();
    // A prefix comes right before those it contains.
    sorted.dedup_by(|next, kept| next.joined(*kept) == *kept);
    while sorted.len() > MAX_PREFIXES {
        let joined = |pair: &[Prefix]| pair[0].joined(pair[1]).len;
        let closest = (0..sorted.len() - 1).rev().max_by_key(|at| joined(&sorted[*at..*at + 2]));
        let Some(at) = closest else { break };
        let next = sorted.remove(at + 1);
        sorted[at] = sorted[at].joined(next);
    }
    sorted
}

#[cfg(test)]
mod tests;
