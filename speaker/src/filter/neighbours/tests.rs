use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::*;
use crate::filter::tests::{Metadata, run};
use crate::wire::ndp::NdpFrame;

const LINK: IfIndex = IfIndex(7);
const MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0xf0, 0x0b]);
const OTHER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
const HERE: Metadata = Metadata { index: LINK.0, packet_type: 2 };

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn compile(ranges: &[&str]) -> Program {
    let ranges: Vec<_> = ranges.iter().map(|text| AddressRange::parse(text).unwrap()).collect();
    Program::neighbours(&ranges, LINK, MAC)
}

fn accepts(program: &Program, frame: &NdpFrame) -> bool {
    run(program, frame.to_frame().as_bytes(), HERE).0
}

fn says(target: &str, to: MacAddr) -> NdpFrame {
    let announced = NdpFrame::announcement(OTHER, ip(target));
    NdpFrame { destination: to, ..announced }
}

#[test]
fn what_concerns_a_pool_wakes_us_and_nothing_else_does() {
    let program = compile(&["2001:db8::10-2001:db8::1f", "192.0.2.0/24"]);
    let (client, ours, other) = (ip("fe80::1"), ip("2001:db8::1a"), ip("2001:db8::20"));
    let asks = |from, target| NdpFrame::question(OTHER, from, target, None);
    let everybody = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    for (name, frame, wakes) in [
        ("asks for it", asks(client, ours), true),
        ("asks for it alone", NdpFrame::question(OTHER, client, ours, Some(MAC)), true),
        ("probes for it", NdpFrame::probe(OTHER, ours), true),
        ("asks for another", asks(client, other), false),
        ("asks from it", asks(ours, other), true),
        ("announces it", says("2001:db8::1a", everybody), true),
        ("announces another", says("2001:db8::20", everybody), false),
        ("answers us", says("2001:db8::20", MAC), true),
        ("is nobody", says(&NOBODYS[1].to_string(), everybody), true),
    ] {
        assert_eq!(accepts(&program, &frame), wakes, "{name}");
    }
}

#[test]
fn frames_of_other_links_vlans_and_routers_do_not_wake_us() {
    let program = compile(&["2001:db8::/64"]);
    let frame = NdpFrame::probe(OTHER, ip("2001:db8::1")).to_frame();
    let at = |metadata| run(&program, frame.as_bytes(), metadata).0;
    assert!(at(HERE) && at(Metadata { packet_type: 0, ..HERE }));
    assert!(!at(Metadata { packet_type: 3, ..HERE }), "other host or VLAN");
    assert!(!at(Metadata { index: 8, ..HERE }), "upper device");
    for (at, byte) in [(20, 17), (21, 254), (54, 134), (54, 137), (12, 8)] {
        let mut changed = frame.as_bytes().to_vec();
        changed[at] = byte;
        assert!(!run(&program, &changed, HERE).0, "byte {at} is {byte}");
    }
    assert!(!run(&program, &frame.as_bytes()[..77], HERE).0);
}

#[test]
fn without_an_ipv6_range_nothing_wakes_us() {
    for ranges in [&[][..], &["192.0.2.0/24"]] {
        assert_eq!(compile(ranges).0, [DROP]);
    }
}

#[test]
fn one_prefix_in_another_counts_once() {
    let parse = |text| AddressRange::parse(text).unwrap();
    let ranges = ["2001:db8::/32", "2001:db8:1::/48", "2001:db8::1-2001:db8::1", "fd00::/8"];
    let prefixes = prefixes(&ranges.map(parse));
    assert_eq!(prefixes.iter().map(|prefix| prefix.len).collect::<Vec<_>>(), [32, 8]);
}

proptest! {
    #[test]
    fn no_address_of_any_range_is_missed(
        bases in proptest::collection::vec((any::<u128>(), 0..70_u32, 0..1_000_u128), 1..40),
        pick: prop::sample::Index, within in 0..1_000_u128,
    ) {
        let ranges: Vec<AddressRange> = bases
            .iter()
            .filter_map(|(base, shift, size)| {
                let first = base >> shift;
                let last = first.saturating_add(*size);
                AddressRange::new(Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(last).into())
            })
            .collect();
        let program = Program::neighbours(&ranges, LINK, MAC);
        prop_assert!(program.0.len() <= 400, "{} instructions", program.0.len());
        let range = pick.get(&ranges);
        let (first, last) = range.numbers();
        let address = Ipv6Addr::from_bits(first + within.min(last - first));
        prop_assume!(!address.is_multicast() && !address.is_unspecified());
        prop_assert!(accepts(&program, &NdpFrame::probe(OTHER, address)));
        let speaks = NdpFrame::question(OTHER, address, ip("fe80::2"), None);
        prop_assert!(accepts(&program, &speaks));
    }
}
