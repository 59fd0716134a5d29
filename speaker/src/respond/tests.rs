use std::net::Ipv4Addr;

use super::*;
use crate::announce::table::{Answer, Entry, Links};
use crate::wire::arp::{ArpFrame, ArpRepr, Operation};

const NODE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0b]);
const CLIENT: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);
const OWNER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x77]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Announced everywhere, with our MAC.
const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Announced on link 9 only.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
/// Answered for its owner.
const DEPUTISED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 12);
const UNKNOWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);
const RX: Rx = Rx { index: IfIndex(2), mac: NODE };

fn table() -> Table {
    let entry = |links, answer| Entry { links, answer };
    Table::following(
        &Table::default(),
        [
            (OURS, entry(Links::All, Answer::Own)),
            (ELSEWHERE, entry(Links::Only([IfIndex(9)].into()), Answer::Own)),
            (
                DEPUTISED,
                entry(
                    Links::Only([IfIndex(2)].into()),
                    Answer::Deputy([(IfIndex(2), OWNER)].into()),
                ),
            ),
        ],
    )
}

/// The client asks everybody for `target`.
fn request(target: Ipv4Addr) -> ArpFrame {
    ArpFrame {
        destination: MacAddr::BROADCAST,
        source: CLIENT,
        arp: ArpRepr {
            operation: Operation::Request,
            sender_mac: CLIENT,
            sender_ip: CLIENT_IP,
            target_mac: MacAddr::ZERO,
            target_ip: target,
        },
    }
}

/// The reply to `frame`, if there is one, else the reason; and what was heard.
fn outcome(frame: &ArpFrame) -> (Result<ArpFrame, DropReason>, Option<HeardKind>) {
    let table = table();
    let Outcome { verdict, heard } = respond(&frame.to_frame(), &RX, &table);
    let verdict = match verdict {
        Verdict::Reply(reply) => {
            assert_eq!(reply.address, frame.arp.target_ip);
            Ok(ArpFrame::parse(reply.frame.as_bytes()).unwrap())
        }
        Verdict::Drop(reason) => Err(reason),
    };
    (verdict, heard.map(|heard| heard.kind))
}

fn reply_from(sender_mac: MacAddr, address: Ipv4Addr) -> ArpFrame {
    ArpFrame {
        destination: CLIENT,
        source: NODE,
        arp: ArpRepr {
            operation: Operation::Reply,
            sender_mac,
            sender_ip: address,
            target_mac: CLIENT,
            target_ip: CLIENT_IP,
        },
    }
}

#[test]
fn announced_address_is_answered_with_the_links_mac() {
    assert_eq!(outcome(&request(OURS)), (Ok(reply_from(NODE, OURS)), None));
}

#[test]
fn unicast_request_is_answered_like_a_broadcast() {
    let frame = ArpFrame { destination: NODE, ..request(OURS) };
    assert_eq!(outcome(&frame).0, Ok(reply_from(NODE, OURS)));
}

/// MetalLB does not look at it either: an address in no subnet of the nodes is reached by a router.
#[test]
fn the_senders_subnet_makes_no_difference() {
    let mut frame = request(OURS);
    frame.arp.sender_ip = Ipv4Addr::new(10, 99, 0, 1);
    let (verdict, heard) = outcome(&frame);
    assert_eq!(verdict.unwrap().arp.target_ip, frame.arp.sender_ip);
    assert_eq!(heard, None);
}

#[test]
fn probe_is_answered_to_the_unspecified_address() {
    let (verdict, heard) = outcome(&ArpFrame::probe(CLIENT, OURS));
    assert_eq!(verdict.unwrap().arp.target_ip, Ipv4Addr::UNSPECIFIED);
    assert_eq!(heard, None);
}

#[test]
fn reply_goes_to_the_arp_sender_and_not_to_the_ethernet_source() {
    let frame = ArpFrame { source: STRANGER, ..request(OURS) };
    assert_eq!(outcome(&frame).0, Ok(reply_from(NODE, OURS)));
}

#[test]
fn deputy_gives_the_owners_mac_but_sends_from_its_own() {
    let reply = outcome(&request(DEPUTISED)).0.unwrap();
    assert_eq!(reply, reply_from(OWNER, DEPUTISED));
    assert_eq!(reply.source, NODE);
}

#[test]
fn each_reason_for_silence_has_its_own_name() {
    let mut bad_sender = request(OURS);
    bad_sender.arp.sender_mac = MacAddr::BROADCAST;
    let mut multicast_sender = request(OURS);
    multicast_sender.arp.sender_mac = MacAddr([1, 0, 0x5e, 0, 0, 1]);
    let mut no_sender = request(OURS);
    no_sender.arp.sender_mac = MacAddr::ZERO;
    let mut reply = request(OURS);
    reply.arp.operation = Operation::Reply;
    let mut forged_own = request(OURS);
    forged_own.arp.sender_mac = NODE;
    for (frame, reason) in [
        (request(UNKNOWN), DropReason::UnknownAddress),
        (request(ELSEWHERE), DropReason::OtherLink),
        (reply, DropReason::Reply),
        (bad_sender, DropReason::BadSender),
        (multicast_sender, DropReason::BadSender),
        (no_sender, DropReason::BadSender),
        (ArpFrame { destination: STRANGER, ..request(OURS) }, DropReason::NotForUs),
        (
            ArpFrame { destination: MacAddr([1, 0, 0x5e, 0, 0, 1]), ..request(OURS) },
            DropReason::NotForUs,
        ),
        (ArpFrame { source: NODE, ..request(OURS) }, DropReason::OwnFrame),
        (forged_own, DropReason::OwnFrame),
        (ArpFrame::gratuitous_request(STRANGER, OURS), DropReason::Announcement),
    ] {
        assert_eq!(outcome(&frame).0, Err(reason), "{frame:?}");
    }
}

#[test]
fn malformed_and_tagged_bytes_are_dropped_by_name() {
    let table = table();
    let reason = |bytes: &[u8]| match respond(bytes, &RX, &table).verdict {
        Verdict::Drop(reason) => reason,
        Verdict::Reply(_) => panic!("answered {bytes:02x?}"),
    };
    let mut frame = request(OURS).to_frame();
    assert_eq!(reason(&frame[..41]), DropReason::Malformed);
    assert_eq!(reason(&[]), DropReason::Malformed);
    frame[12..14].copy_from_slice(&[0x81, 0x00]);
    assert_eq!(reason(&frame), DropReason::Tagged);
}

#[test]
fn another_hosts_use_of_our_address_is_a_conflict_in_whatever_frame() {
    let mut asks_for_another = request(UNKNOWN);
    asks_for_another.arp.sender_ip = OURS;
    let mut answers_us = ArpFrame { destination: NODE, ..request(CLIENT_IP) };
    answers_us.arp = ArpRepr { operation: Operation::Reply, sender_ip: OURS, ..answers_us.arp };
    for frame in [
        ArpFrame::gratuitous_request(STRANGER, OURS),
        ArpFrame::gratuitous_reply(STRANGER, OURS),
        asks_for_another,
        answers_us,
    ] {
        let (verdict, heard) = outcome(&frame);
        assert!(verdict.is_err(), "{frame:?}");
        assert_eq!(heard, Some(HeardKind::Conflict), "{frame:?}");
    }
}

#[test]
fn host_in_conflict_over_one_address_still_gets_an_answer_for_another() {
    let mut frame = request(DEPUTISED);
    frame.arp.sender_ip = OURS;
    let (verdict, heard) = outcome(&frame);
    assert!(verdict.is_ok());
    assert_eq!(heard, Some(HeardKind::Conflict));
}

#[test]
fn same_address_on_a_link_where_it_is_not_announced_is_no_conflict() {
    let heard = outcome(&ArpFrame::gratuitous_request(STRANGER, ELSEWHERE)).1;
    assert_eq!(heard, Some(HeardKind::Claim));
}

#[test]
fn owner_speaking_for_an_address_we_deputise_is_no_conflict() {
    let (verdict, heard) = outcome(&ArpFrame::gratuitous_request(OWNER, DEPUTISED));
    assert_eq!(verdict, Err(DropReason::Announcement));
    assert_eq!(heard, Some(HeardKind::Claim));
    let heard = outcome(&ArpFrame::gratuitous_request(STRANGER, DEPUTISED)).1;
    assert_eq!(heard, Some(HeardKind::Conflict));
}

#[test]
fn what_others_say_of_other_addresses_is_told_by_kind() {
    let mut answer = ArpFrame { destination: NODE, ..request(CLIENT_IP) };
    answer.arp = ArpRepr { operation: Operation::Reply, sender_ip: UNKNOWN, ..answer.arp };
    for (frame, kind) in [
        (ArpFrame::gratuitous_request(STRANGER, UNKNOWN), Some(HeardKind::Claim)),
        (ArpFrame::gratuitous_reply(STRANGER, UNKNOWN), Some(HeardKind::Claim)),
        (ArpFrame::probe(STRANGER, UNKNOWN), Some(HeardKind::Probe)),
        (answer, Some(HeardKind::Answer)),
        (request(UNKNOWN), None),
    ] {
        assert_eq!(outcome(&frame).1, kind, "{frame:?}");
    }
}

#[test]
fn heard_tells_a_deputys_ethernet_source_from_the_mac_it_speaks_for() {
    let table = table();
    let frame = ArpFrame { source: STRANGER, ..ArpFrame::gratuitous_request(CLIENT, UNKNOWN) };
    assert_eq!(
        respond(&frame.to_frame(), &RX, &table).heard,
        Some(Heard {
            link: RX.index,
            address: UNKNOWN.into(),
            mac: CLIENT,
            source: STRANGER,
            kind: HeardKind::Claim,
        })
    );
}

#[test]
fn reasons_are_listed_in_order_and_named_apart() {
    for (at, reason) in DropReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, at);
        assert!(
            DropReason::ALL.iter().filter(|other| other.reason() == reason.reason()).count() == 1
        );
    }
}

proptest::proptest! {
    #[test]
    fn nothing_outside_the_table_is_ever_answered(bytes: [u8; 42], target: u32, typed: bool) {
        let mut frame = bytes;
        if typed {
            // Otherwise hardly any random frame would get past the parser.
            frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
            frame[..6].fill(0xff);
            frame[38..].copy_from_slice(&target.to_be_bytes());
        }
        let table = table();
        if let Verdict::Reply(reply) = respond(&frame, &RX, &table).verdict {
            proptest::prop_assert!(table.get(reply.address).is_some());
        }
    }
}
