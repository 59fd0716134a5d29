use proptest::prelude::*;

use super::*;

const CLIENT: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const NODE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0b]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

/// From `tcpdump -xx` on a veth pair, Linux 6.18: the kernel of 192.0.2.1 asks for 192.0.2.10
/// because of a `ping`.
const REQUEST: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x08, 0x06, //
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, //
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0xc0, 0x00, 0x02, 0x01, //
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x02, 0x0a,
];

/// From the same capture: the kernel of 192.0.2.10 answers it.
const REPLY: [u8; 42] = [
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x08, 0x06, //
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02, //
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0xc0, 0x00, 0x02, 0x0a, //
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0xc0, 0x00, 0x02, 0x01,
];

/// From the same capture: `arping -A` by 192.0.2.1, the gratuitous reply with sender = target MAC.
const ARPING_A: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x08, 0x06, //
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02, //
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0xc0, 0x00, 0x02, 0x01, //
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0xc0, 0x00, 0x02, 0x01,
];

/// From the same capture: `arping -D` asks whether 192.0.2.10 is taken. Its target MAC is
/// broadcast where RFC 5227 would have zeroes.
const ARPING_D: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x08, 0x06, //
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, //
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, //
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc0, 0x00, 0x02, 0x0a,
];

fn padded(captured: [u8; 42]) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    frame[..42].copy_from_slice(&captured);
    frame
}

#[test]
fn reads_the_kernels_request_and_writes_it_back() {
    let request = ArpFrame::parse(&REQUEST).unwrap();
    assert_eq!(
        request,
        ArpFrame {
            destination: MacAddr::BROADCAST,
            source: CLIENT,
            arp: ArpRepr {
                operation: Operation::Request,
                sender_mac: CLIENT,
                sender_ip: Ipv4Addr::new(192, 0, 2, 1),
                target_mac: MacAddr::ZERO,
                target_ip: ADDRESS,
            },
        }
    );
    assert_eq!(request.to_frame(), padded(REQUEST));
}

#[test]
fn reads_the_kernels_reply_and_writes_it_back() {
    let reply = ArpFrame::parse(&REPLY).unwrap();
    assert_eq!(
        reply,
        ArpFrame {
            destination: CLIENT,
            source: NODE,
            arp: ArpRepr {
                operation: Operation::Reply,
                sender_mac: NODE,
                sender_ip: ADDRESS,
                target_mac: CLIENT,
                target_ip: Ipv4Addr::new(192, 0, 2, 1),
            },
        }
    );
    assert_eq!(reply.to_frame(), padded(REPLY));
}

#[test]
fn emitting_leaves_nothing_of_what_was_in_the_buffer() {
    let mut frame = [0xa5; FRAME_LEN];
    ArpFrame::parse(&REPLY).unwrap().emit(&mut frame);
    assert_eq!(frame, padded(REPLY));
}

#[test]
fn gratuitous_reply_is_what_arping_sends_with_dash_a() {
    let frame = ArpFrame::gratuitous_reply(CLIENT, Ipv4Addr::new(192, 0, 2, 1)).to_frame();
    assert_eq!(frame, padded(ARPING_A));
}

#[test]
fn gratuitous_request_asks_for_its_own_address_with_target_mac_zero() {
    let mut expected = padded(ARPING_A);
    expected[21] = 1;
    expected[32..38].fill(0);
    let frame = ArpFrame::gratuitous_request(CLIENT, Ipv4Addr::new(192, 0, 2, 1)).to_frame();
    assert_eq!(frame, expected);
}

#[test]
fn probe_is_arpings_duplicate_detection_but_for_the_target_mac() {
    let mut expected = padded(ARPING_D);
    expected[32..38].fill(0);
    assert_eq!(ArpFrame::probe(CLIENT, ADDRESS).to_frame(), expected);
}

#[test]
fn every_wrong_type_and_length_has_its_own_refusal() {
    let cases: [(usize, &[u8], Malformed); 9] = [
        (12, &[0x08, 0x00], Malformed::EtherType(0x0800)),
        (12, &[0x81, 0x00], Malformed::Tagged(0x8100)),
        (12, &[0x88, 0xa8], Malformed::Tagged(0x88a8)),
        (14, &[0x00, 0x06], Malformed::HardwareType(6)),
        (16, &[0x86, 0xdd], Malformed::ProtocolType(0x86dd)),
        (18, &[0xff], Malformed::AddressLengths { hardware: 255, protocol: 4 }),
        (19, &[0x10], Malformed::AddressLengths { hardware: 6, protocol: 16 }),
        (20, &[0x00, 0x03], Malformed::Operation(3)),
        (20, &[0x00, 0x00], Malformed::Operation(0)),
    ];
    for (at, bytes, refusal) in cases {
        let mut frame = REQUEST;
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(ArpFrame::parse(&frame), Err(refusal), "{bytes:02x?} at {at}");
    }
    for len in 0..REQUEST.len() {
        assert_eq!(ArpFrame::parse(&REQUEST[..len]), Err(Malformed::Truncated(len)));
    }
}

fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

prop_compose! {
    fn any_frame()(
        request: bool, destination in mac(), source in mac(), sender_mac in mac(),
        sender_ip: Ipv4Addr, target_mac in mac(), target_ip: Ipv4Addr,
    ) -> ArpFrame {
        let operation = if request { Operation::Request } else { Operation::Reply };
        let arp = ArpRepr { operation, sender_mac, sender_ip, target_mac, target_ip };
        ArpFrame { destination, source, arp }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        let _ = ArpFrame::parse(&bytes);
    }

    #[test]
    fn nearly_right_bytes_never_panic(at in 0..42_usize, byte: u8, len in 0..=42_usize) {
        let mut frame = REQUEST;
        frame[at] = byte;
        let _ = ArpFrame::parse(&frame[..len]);
    }

    #[test]
    fn what_was_emitted_parses_to_the_same(frame in any_frame()) {
        let mut bytes = [0xa5; FRAME_LEN];
        frame.emit(&mut bytes);
        prop_assert_eq!(ArpFrame::parse(&bytes), Ok(frame));
        prop_assert_eq!(ArpFrame::parse(&bytes[..42]), Ok(frame));
    }
}
