use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::wire::arp::{ArpFrame, ArpRepr, Operation};

const LINK: IfIndex = IfIndex(7);
const MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0xf0, 0x0b]);
const OTHER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);

/// What the kernel knows about a frame besides its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metadata {
    pub(super) index: u32,
    pub(super) packet_type: u32,
}

const HERE: Metadata = Metadata { index: LINK.0, packet_type: 1 };

/// How the kernel runs a program: whether it accepts, and after how many instructions.
pub(super) fn run(program: &Program, frame: &[u8], metadata: Metadata) -> (bool, usize) {
    let load = |at: u32, len: usize| -> Option<u32> {
        match at {
            PACKET_TYPE => return Some(metadata.packet_type),
            INTERFACE => return Some(metadata.index),
            _ => {}
        }
        let bytes = frame.get(at as usize..at as usize + len)?;
        Some(bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
    };
    let (mut at, mut accumulator) = (0, 0);
    for steps in 1.. {
        let Instruction { code, jt, jf, k } = program.0[at];
        at += 1;
        let mut branch = |holds: bool| at += usize::from(if holds { jt } else { jf });
        match code {
            LOAD_LEN => accumulator = u32::try_from(frame.len()).unwrap(),
            LOAD_WORD | LOAD_HALF | 0x30 => {
                let len = match code {
                    LOAD_WORD => 4,
                    LOAD_HALF => 2,
                    _ => 1,
                };
                let Some(value) = load(k, len) else {
                    // A load past the end ends the program with a drop.
                    return (false, steps);
                };
                accumulator = value;
            }
            0x54 => accumulator &= k,
            JUMP => at += k as usize,
            IF_EQUAL => branch(accumulator == k),
            IF_GREATER => branch(accumulator > k),
            IF_AT_LEAST => branch(accumulator >= k),
            RETURN => return (k > 0, steps),
            other => panic!("instruction {other:#x}"),
        }
    }
    unreachable!("the loop has no end")
}

fn accepts(program: &Program, frame: &[u8]) -> bool {
    run(program, frame, HERE).0
}

/// What the module's documentation promises, in plain words.
fn wanted(ranges: &[AddressRange], frame: &[u8], metadata: Metadata) -> bool {
    let Ok(ArpFrame { destination, arp, .. }) = ArpFrame::parse(frame) else {
        return false;
    };
    let inside = |address: Ipv4Addr| ranges.iter().any(|range| range.contains(address.into()));
    let about_us = match arp.operation {
        Operation::Request => inside(arp.target_ip) || inside(arp.sender_ip),
        Operation::Reply => !ranges.is_empty() && destination == MAC || inside(arp.sender_ip),
    };
    about_us && metadata.index == LINK.0 && metadata.packet_type <= 1
}

fn compile(ranges: &[AddressRange]) -> Program {
    Program::compile(ranges, LINK, MAC)
}

fn range(text: &str) -> AddressRange {
    AddressRange::parse(text).unwrap()
}

/// Single addresses, four apart.
fn scattered(count: u32) -> Vec<AddressRange> {
    let address = |n: u32| Ipv4Addr::from_bits(0xc0a8_0000 + 4 * n).into();
    (0..count).map(|n| AddressRange::new(address(n), address(n)).unwrap()).collect()
}

fn frame(operation: Operation, destination: MacAddr, sender: [u8; 4], target: [u8; 4]) -> [u8; 60] {
    let arp = ArpRepr {
        operation,
        sender_mac: OTHER,
        sender_ip: sender.into(),
        target_mac: MacAddr::ZERO,
        target_ip: target.into(),
    };
    ArpFrame { destination, source: OTHER, arp }.to_frame()
}

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const POOL: [u8; 4] = [192, 0, 2, 10];

#[test]
fn what_concerns_a_pool_wakes_us_and_nothing_else_does() {
    let program = compile(&[range("192.0.2.0/28"), range("2001:db8::/64")]);
    let all = MacAddr::BROADCAST;
    for (name, frame, wakes) in [
        ("asks for it", frame(Operation::Request, all, CLIENT, POOL), true),
        ("asks for another", frame(Operation::Request, all, CLIENT, [192, 0, 2, 16]), false),
        ("sent from it", frame(Operation::Request, all, POOL, CLIENT), true),
        ("announces it", frame(Operation::Reply, all, POOL, POOL), true),
        ("answers others", frame(Operation::Reply, all, CLIENT, POOL), false),
        ("answers us", frame(Operation::Reply, MAC, CLIENT, CLIENT), true),
    ] {
        assert_eq!(accepts(&program, &frame), wakes, "{name}");
    }
}

#[test]
fn frames_of_other_links_vlans_and_hosts_do_not_wake_us() {
    let program = compile(&[range("192.0.2.0/28")]);
    let frame = frame(Operation::Request, MacAddr::BROADCAST, CLIENT, POOL);
    assert!(run(&program, &frame, HERE).0);
    assert!(run(&program, &frame, Metadata { packet_type: 0, ..HERE }).0, "unicast to us");
    assert!(!run(&program, &frame, Metadata { packet_type: 2, ..HERE }).0, "multicast");
    assert!(!run(&program, &frame, Metadata { packet_type: 3, ..HERE }).0, "other host or VLAN");
    assert!(!run(&program, &frame, Metadata { index: 8, ..HERE }).0, "upper device");
}

#[test]
fn the_speakers_own_frames_are_told_from_all_others() {
    let program = Program::link_frames(LINK);
    let of = |ethertype: [u8; 2], len: usize| {
        let mut frame = vec![0; len];
        frame[12..14].copy_from_slice(&ethertype);
        frame
    };
    let ours = of([0x88, 0xb5], 60);
    let at = |metadata| run(&program, &ours, metadata).0;
    assert!(at(HERE) && at(Metadata { packet_type: 0, ..HERE }));
    assert!(!at(Metadata { packet_type: 2, ..HERE }), "multicast");
    assert!(!at(Metadata { packet_type: 3, ..HERE }), "other host or VLAN");
    assert!(!at(Metadata { index: 8, ..HERE }), "upper device");
    for (ethertype, len, wanted) in [
        ([0x88, 0xb5], 1_514, true),
        ([0x88, 0xb5], 1_515, false),
        ([0x88, 0xb5], 15, true),
        ([0x88, 0xb5], 14, false),
        ([0x88, 0xb6], 60, false),
        ([0x08, 0x06], 60, false),
        ([0x81, 0x00], 60, false),
    ] {
        assert_eq!(accepts(&program, &of(ethertype, len)), wanted, "{ethertype:?} {len}");
    }
    assert!(!accepts(&program, &[0; 3]));
}

#[test]
fn without_an_ipv4_range_nothing_wakes_us() {
    for ranges in [vec![], vec![range("2001:db8::/64")]] {
        let program = compile(&ranges);
        assert_eq!(program.0, [DROP]);
        assert!(!accepts(&program, &frame(Operation::Reply, MAC, CLIENT, CLIENT)));
    }
}

#[test]
fn whole_number_line_is_one_range() {
    let program = compile(&[range("0.0.0.0/1"), range("128.0.0.0/1")]);
    for target in [[0; 4], [255; 4], [127, 255, 255, 255], [128, 0, 0, 0]] {
        let frame = frame(Operation::Request, MacAddr::BROADCAST, CLIENT, target);
        assert!(accepts(&program, &frame), "{target:?}");
    }
}

#[test]
fn neighbouring_and_overlapping_ranges_become_one() {
    let merged = merged(&[
        range("192.0.2.8-192.0.2.20"),
        range("192.0.2.0-192.0.2.7"),
        range("192.0.2.10-192.0.2.12"),
        range("192.0.2.22/32"),
    ]);
    assert_eq!(merged, [(0xc000_0200, 0xc000_0214), (0xc000_0216, 0xc000_0216)]);
}

#[test]
fn too_many_ranges_are_joined_where_the_gap_is_narrowest() {
    let ranges = vec![(10, 20), (30, 40), (45, 50), (100, 110), (115, 120)];
    assert_eq!(narrowed(ranges.clone(), 5), ranges);
    // The two gaps of five are the narrowest; the lower goes first.
    assert_eq!(narrowed(ranges.clone(), 4), [(10, 20), (30, 50), (100, 110), (115, 120)]);
    assert_eq!(narrowed(ranges.clone(), 3), [(10, 20), (30, 50), (100, 120)]);
    assert_eq!(narrowed(ranges, 1), [(10, 120)]);
}

#[test]
fn ten_thousand_ranges_cost_no_more_than_the_most_that_fit() {
    let ranges = scattered(10_000);
    let program = compile(&ranges);
    assert!(program.0.len() <= 600, "{} instructions", program.0.len());
    for range in &ranges {
        let IpAddr::V4(address) = range.first() else { unreachable!() };
        let frame = frame(Operation::Request, MacAddr::BROADCAST, CLIENT, address.octets());
        let (accepted, steps) = run(&program, &frame, HERE);
        assert!(accepted, "{address}");
        assert!(steps <= 40, "{steps} instructions for {address}");
    }
}

#[test]
fn prints_as_tcpdump_does() {
    assert_eq!(compile(&[]).to_string(), "1\n6 0 0 0\n");
    let text = compile(&[range("192.0.2.0/28")]).to_string();
    assert!(
        text.starts_with("41\n128 0 0 0\n53 1 0 42\n6 0 0 0\n40 0 0 12\n21 1 0 2054\n"),
        "{text}"
    );
}

prop_compose! {
    /// Ranges within a small space, so that frames hit and miss them alike.
    fn any_ranges()(
        ends in proptest::collection::vec((0..2000_u32, 0..30_u32), 0..MAX_RANGES),
        base in prop::sample::select(vec![0_u32, 0x0a00_0000, 0xc0a8_0000, u32::MAX - 2100]),
    ) -> Vec<AddressRange> {
        let address = |n| Ipv4Addr::from_bits(base + n).into();
        let range = |(at, len)| AddressRange::new(address(at), address(at + len)).unwrap();
        ends.into_iter().map(range).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn kernel_accepts_exactly_what_is_wanted(
        ranges in any_ranges(), request: bool,
        to_us in prop::sample::select(vec![MAC, OTHER, MacAddr::BROADCAST]),
        (sender, target) in (0..2100_u32, 0..2100_u32), near: bool,
        index in prop::sample::select(vec![7_u32, 7, 7, 8]), packet_type in 0..4_u32,
        len in 38..=60_usize,
    ) {
        // Addresses near the ranges, if there are any to be near to.
        let base = ranges.first().filter(|_| near).map_or(0, |range| {
            u32::try_from(range.numbers().0).unwrap().saturating_sub(1050)
        });
        let operation = if request { Operation::Request } else { Operation::Reply };
        let octets = |n: u32| base.saturating_add(n).to_be_bytes();
        let frame = frame(operation, to_us, octets(sender), octets(target));
        let metadata = Metadata { index, packet_type };
        let accepted = run(&compile(&ranges), &frame[..len], metadata).0;
        prop_assert_eq!(accepted, wanted(&ranges, &frame[..len], metadata));
    }

    #[test]
    fn kernel_agrees_with_the_parser_on_what_is_arp(at in 12..22_usize, byte: u8) {
        let ranges = [range("192.0.2.0/28")];
        let mut frame = frame(Operation::Request, MacAddr::BROADCAST, CLIENT, POOL);
        frame[at] = byte;
        prop_assert_eq!(accepts(&compile(&ranges), &frame), wanted(&ranges, &frame, HERE));
    }

    #[test]
    fn joining_ranges_never_loses_an_address(count in 1..2000_u32, picked in 0..2000_u32) {
        let ranges = scattered(count);
        let IpAddr::V4(address) = ranges[(picked % count) as usize].first() else { unreachable!() };
        let frame = frame(Operation::Request, MacAddr::BROADCAST, CLIENT, address.octets());
        prop_assert!(accepts(&compile(&ranges), &frame));
    }
}
