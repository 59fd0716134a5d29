//! The kernel's share of the work: a classic BPF program that lets only ARP about our pools wake
//! the process.
//!
//! It decides what is *looked at*, never what is answered: every frame that passes is judged again
//! by [`crate::respond`]. So a filter may always be wider than needed, and frames still queued when
//! it is replaced do no harm. Input is the pool ranges in force and the link.
//!
//! Accepted, all else dropped: untagged ARP for IPv4 over Ethernet, arrived on this very link, to
//! broadcast or to the link's MAC, that is
//! * a request whose target address lies in a range,
//! * a request or reply whose *sender* address lies in a range (somebody speaks for it), or
//! * a reply addressed to the link's MAC (an answer to a question of ours).
//!
//! No range, nothing accepted.
//!
//! Two of these need explaining (Linux 6.18, veth, socket bound to a link and ETH_P_ARP; tried with
//! frames tagged 802.1Q and 802.1ad, and with a macvlan):
//! * The kernel strips a VLAN tag before such a socket sees the frame, and clears it from the
//!   metadata as well: `PACKET_AUXDATA` says *no VLAN*, so does `SKF_AD_VLAN_TAG_PRESENT`. What
//!   remains is the packet type OTHERHOST, as the kernel marks a frame for a VLAN that it has no
//!   device for. A tag with VLAN number 0 carries priority only and counts as untagged, rightly.
//! * A frame for an upper device (macvlan, and by the source a VLAN device too) is also given to
//!   sockets of the lower link, again without any trace of the tag, but with the upper device's
//!   interface index.
//!
//! So the program asks for packet type HOST or BROADCAST, as the kernel's own ARP does, and for the
//! link's index. Hosts in other VLANs are thus never answered.
//!
//! The speakers' own frames ([`Program::link_frames`]) and neighbour discovery
//! ([`Program::neighbours`]) each have a socket and a program to themselves: a packet
//! socket is bound to one EtherType, and bound to all of them (ETH_P_ALL) it would run its
//! program for every packet of the node.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crds::model::ids::{IfIndex, MacAddr};
use crds::model::range::AddressRange;

use crate::wire::arp;

mod link_frames;
mod neighbours;

/// More ranges than this are merged, nearest neighbours first. Each costs about 14 instructions of
/// the kernel's internal form (7 in each of two searches). The kernel takes 4096 of the classic
/// form, but the narrow place is another: the translated program counts against
/// `net.core.optmem_max`, 20,480 bytes on kernels before 6.9, and while a program is being replaced
/// the old and the new one count together. Two of 64 ranges fit (tried with that limit).
pub const MAX_RANGES: usize = 64;

/// One instruction, as `struct sock_filter` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation and operand kind, `BPF_*` in `linux/bpf_common.h`.
    pub code: u16,
    /// Instructions to skip if a test holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// The operand, in host byte order.
    pub k: u32,
}

/// A complete program; the kernel's verifier accepts it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(pub Vec<Instruction>);

// Loads take network byte order from the frame and leave host byte order in the accumulator.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_LEN: u16 = 0x80;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Loads from here on read the packet's metadata (`SKF_AD_OFF` in `linux/filter.h`).
const METADATA: u32 = 0xffff_f000;
const PACKET_TYPE: u32 = METADATA + 4;
const INTERFACE: u32 = METADATA + 8;
/// The highest packet type wanted: `PACKET_HOST` is 0, `PACKET_BROADCAST` is 1.
const PACKET_BROADCAST: u32 = 1;

// Offsets into the frame.
const DESTINATION: u32 = 0;
const ETHERTYPE: u32 = 12;
const HARDWARE_AND_PROTOCOL: u32 = 14;
const LENGTHS: u32 = 18;
const OPERATION: u32 = 20;
const SENDER: u32 = 28;
const TARGET: u32 = 38;
/// Ethernet header and ARP packet without padding.
const PACKET_LEN: u32 = 42;

/// As many bytes of the frame as there are.
const WHOLE_FRAME: u32 = 0x4_0000;

const fn plain(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

const ACCEPT: Instruction = plain(RETURN, WHOLE_FRAME);
const DROP: Instruction = plain(RETURN, 0);
/// Stands for "not found" until the length of the search is known; no real jump is that long.
const MISS: Instruction = plain(JUMP, u32::MAX);

impl Program {
    /// The program for a link with `index` and `mac`. IPv6 ranges are left out: ARP has none.
    pub fn compile(ranges: &[AddressRange], index: IfIndex, mac: MacAddr) -> Self {
        let edges = edges(&narrowed(merged(ranges), MAX_RANGES));
        if edges.is_empty() {
            return Self(vec![DROP]);
        }
        let mut program = vec![plain(LOAD_LEN, 0)];
        require(&mut program, IF_AT_LEAST, PACKET_LEN);
        for (code, at, value) in [
            (LOAD_HALF, ETHERTYPE, u32::from(arp::ETHERTYPE)),
            (LOAD_WORD, INTERFACE, index.0),
            (LOAD_WORD, HARDWARE_AND_PROTOCOL, 0x0001_0800),
            (LOAD_HALF, LENGTHS, 0x0604),
        ] {
            program.push(plain(code, at));
            require(&mut program, IF_EQUAL, value);
        }
        program.push(plain(LOAD_WORD, PACKET_TYPE));
        require_at_most(&mut program, PACKET_BROADCAST);

        let target_search = search(TARGET, &edges);
        program.extend([
            plain(LOAD_HALF, OPERATION),
            // A request skips the eight instructions about replies.
            if_equal(1, 8, 0),
            if_equal(2, 1, 0),
            DROP,
        ]);
        program.extend(accept_to(mac));
        program.push(plain(JUMP, distance(target_search.len())));
        program.extend(target_search);
        program.extend(search(SENDER, &edges));
        program.push(DROP);
        Self(program)
    }
}

/// As `tcpdump -ddd` prints programs: the number of instructions, then one a line in decimal.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.0.len())?;
        for Instruction { code, jt, jf, k } in &self.0 {
            writeln!(f, "{code} {jt} {jf} {k}")?;
        }
        Ok(())
    }
}

/// The frame is dropped unless the accumulator passes the test.
fn require(program: &mut Vec<Instruction>, test: u16, k: u32) {
    program.extend([Instruction { code: test, jt: 1, jf: 0, k }, DROP]);
}

/// The same, if the accumulator is greater: the sense of the test is the other way round.
fn require_at_most(program: &mut Vec<Instruction>, k: u32) {
    program.extend([Instruction { code: IF_GREATER, jt: 0, jf: 1, k }, DROP]);
}

const fn if_equal(k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code: IF_EQUAL, jt, jf, k }
}

/// Accepts a frame to `mac`; any other falls out at the end.
fn accept_to(MacAddr([m0, m1, m2, m3, m4, m5]): MacAddr) -> [Instruction; 5] {
    [
        plain(LOAD_WORD, DESTINATION),
        if_equal(u32::from_be_bytes([m0, m1, m2, m3]), 0, 3),
        plain(LOAD_HALF, DESTINATION + 4),
        if_equal(u32::from(u16::from_be_bytes([m4, m5])), 0, 1),
        ACCEPT,
    ]
}

fn distance(count: usize) -> u32 {
    u32::try_from(count).expect("programs and frames are at most some thousand long")
}

/// The IPv4 ranges in order, none touching another, as numbers; both ends included.
fn merged(ranges: &[AddressRange]) -> Vec<(u32, u32)> {
    let mut v4: Vec<(u32, u32)> = ranges
        .iter()
        .filter_map(|range| match (range.first(), range.last()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Some((first.to_bits(), last.to_bits())),
            _ => None,
        })
        .collect();
    v4.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(v4.len());
    for (first, last) in v4 {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// At most `most` ranges that cover the same addresses, and as few others as that allows: the
/// narrowest gaps are filled, the lower of two equal ones first.
fn narrowed(ranges: Vec<(u32, u32)>, most: usize) -> Vec<(u32, u32)> {
    let excess = ranges.len().saturating_sub(most);
    if excess == 0 {
        return ranges;
    }
    let mut gaps: Vec<(u32, u32)> =
        ranges.windows(2).map(|pair| (pair[1].0 - pair[0].1, pair[1].0)).collect();
    gaps.sort_unstable();
    let filled: BTreeSet<u32> = gaps.iter().take(excess).map(|&(_, after)| after).collect();
    let mut narrowed: Vec<(u32, u32)> = Vec::with_capacity(most);
    for (first, last) in ranges {
        match narrowed.last_mut() {
            Some((_, end)) if filled.contains(&first) => *end = last,
            _ => narrowed.push((first, last)),
        }
    }
    narrowed
}

/// Where the number line changes sides: the first address of each range and the first after it, in
/// turn. An address lies in a range if an odd number of edges is at or below it.
fn edges(ranges: &[(u32, u32)]) -> Vec<u32> {
    let ends = |&(first, last): &(u32, u32)| [Some(first), last.checked_add(1)];
    ranges.iter().flat_map(ends).flatten().collect()
}

/// Loads the address at offset `at` and accepts the frame if it lies within the edges, by halving:
/// nine comparisons find their way among 64 ranges. If it does not, execution falls out at the end.
fn search(at: u32, edges: &[u32]) -> Vec<Instruction> {
    let mut code = vec![plain(LOAD_WORD, at)];
    code.extend(halve(edges, Side::Outside));
    let end = code.len();
    for (position, instruction) in code.iter_mut().enumerate() {
        if *instruction == MISS {
            instruction.k = distance(end - position - 1);
        }
    }
    code
}

/// On which side of the last edge passed the search stands.
#[derive(Clone, Copy)]
enum Side {
    Outside,
    Inside,
}

/// `below` is the side below the lowest of `edges`.
fn halve(edges: &[u32], below: Side) -> Vec<Instruction> {
    let middle = edges.len() / 2;
    let Some((&edge, above_edges)) = edges.get(middle..).and_then(<[u32]>::split_first) else {
        return vec![match below {
            Side::Inside => ACCEPT,
            Side::Outside => MISS,
        }];
    };
    // Every edge passed changes sides.
    let above = match (below, middle % 2) {
        (Side::Outside, 0) | (Side::Inside, 1) => Side::Inside,
        _ => Side::Outside,
    };
    let lower = halve(&edges[..middle], below);
    let upper = halve(above_edges, above);
    let mut code = Vec::with_capacity(2 + lower.len() + upper.len());
    let test = |jt, jf| Instruction { code: IF_AT_LEAST, jt, jf, k: edge };
    // Conditional jumps reach 255 instructions, unconditional ones anywhere.
    match u8::try_from(lower.len()) {
        Ok(near) => code.push(test(near, 0)),
        Err(_) => code.extend([test(0, 1), plain(JUMP, distance(lower.len()))]),
    }
    code.extend(lower);
    code.extend(upper);
    code
}

#[cfg(test)]
mod tests;
