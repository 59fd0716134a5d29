use crds::model::ids::IfIndex;

use super::super::respond;
use super::*;
use crate::announce::table::{Answer, Entry, Links};

const NODE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0b]);
const CLIENT: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);
const OWNER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x77]);
const ALL: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
const CLIENT_IP: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x0a);
/// Announced everywhere, with our MAC.
const OURS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// Announced on link 9 only.
const ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// Answered for its owner.
const DEPUTISED: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 3);
const UNKNOWN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
const RX: Rx = Rx { index: IfIndex(2), mac: NODE };

fn table() -> Table {
    let entry = |links, answer| Entry { links, answer };
    let deputy = Answer::Deputy([(IfIndex(2), OWNER)].into());
    Table::following(
        &Table::default(),
        [
            (OURS, entry(Links::All, Answer::Own)),
            (ELSEWHERE, entry(Links::Only([IfIndex(9)].into()), Answer::Own)),
            (DEPUTISED, entry(Links::All, deputy)),
        ],
    )
}

/// The reply to `frame`, if there is one, else the reason; and what was heard.
fn outcome(frame: &NdpFrame) -> (Result<NdpFrame, DropReason>, Option<(Ipv6Addr, HeardKind)>) {
    let table = table();
    let Outcome { verdict, heard } = respond(frame.to_frame().as_bytes(), &RX, &table);
    let verdict = match verdict {
        Verdict::Reply(reply) => Ok(NdpFrame::parse(reply.frame.as_bytes()).unwrap()),
        Verdict::Drop(reason) => Err(reason),
    };
    let heard = heard.map(|heard| match heard.address {
        std::net::IpAddr::V6(address) => (address, heard.kind),
        std::net::IpAddr::V4(address) => panic!("{address}"),
    });
    (verdict, heard)
}

fn asks(target: Ipv6Addr) -> NdpFrame {
    NdpFrame::question(CLIENT, CLIENT_IP, target, None)
}

fn reply(target: Ipv6Addr, mac: MacAddr) -> NdpFrame {
    NdpFrame {
        destination: CLIENT,
        source: NODE,
        from: target,
        to: CLIENT_IP,
        message: NdpRepr::Advertisement {
            target,
            target_mac: Some(mac),
            router: false,
            solicited: true,
            overrides: true,
        },
    }
}

#[test]
fn a_solicitation_is_answered_to_the_asker_and_overrides() {
    assert_eq!(outcome(&asks(OURS)), (Ok(reply(OURS, NODE)), None));
}

#[test]
fn a_unicast_probe_of_reachability_is_answered_too() {
    let unicast = NdpFrame::question(CLIENT, CLIENT_IP, OURS, Some(NODE));
    assert_eq!(outcome(&unicast).0, Ok(reply(OURS, NODE)));
    // It may come without the option: then the frame says where from.
    let message = NdpRepr::Solicitation { target: OURS, source_mac: None };
    assert_eq!(outcome(&NdpFrame { message, ..unicast }).0, Ok(reply(OURS, NODE)));
}

#[test]
fn a_probe_of_a_host_that_wants_the_address_is_answered_to_everybody() {
    let (answer, heard) = outcome(&NdpFrame::probe(CLIENT, OURS));
    let answer = answer.unwrap();
    assert_eq!((answer.destination, answer.to), (ALL, ALL_NODES));
    let said = NdpRepr::Advertisement {
        target: OURS,
        target_mac: Some(NODE),
        router: false,
        solicited: false,
        overrides: true,
    };
    assert_eq!((answer.message, heard), (said, None));
    let (silent, heard) = outcome(&NdpFrame::probe(CLIENT, UNKNOWN));
    assert_eq!(silent, Err(DropReason::UnknownAddress));
    assert_eq!(heard, Some((UNKNOWN, HeardKind::Probe)));
}

#[test]
fn a_deputy_gives_the_owners_mac_but_sends_from_its_own() {
    let answer = outcome(&asks(DEPUTISED)).0.unwrap();
    assert_eq!(answer, reply(DEPUTISED, OWNER));
    assert_eq!(answer.source, NODE);
}

#[test]
fn each_reason_for_silence_has_its_own_name() {
    let mut group_sender = asks(OURS);
    group_sender.message = NdpRepr::Solicitation { target: OURS, source_mac: Some(ALL) };
    for (frame, reason) in [
        (asks(UNKNOWN), DropReason::UnknownAddress),
        (asks(ELSEWHERE), DropReason::OtherLink),
        (group_sender, DropReason::BadSender),
        (NdpFrame { destination: STRANGER, ..asks(OURS) }, DropReason::NotForUs),
        (NdpFrame { to: ALL_NODES, ..asks(OURS) }, DropReason::NotForUs),
        (NdpFrame { source: NODE, ..asks(OURS) }, DropReason::OwnFrame),
        (NdpFrame::question(NODE, CLIENT_IP, OURS, None), DropReason::OwnFrame),
        (NdpFrame::announcement(STRANGER, UNKNOWN), DropReason::Reply),
    ] {
        assert_eq!(outcome(&frame).0, Err(reason), "{frame:?}");
    }
    let table = table();
    let mut routed = asks(OURS).to_frame().as_bytes().to_vec();
    routed[21] = 64;
    let Verdict::Drop(reason) = respond(&routed, &RX, &table).verdict else {
        panic!("answered");
    };
    assert_eq!(reason, DropReason::Malformed);
}

#[test]
fn what_others_say_is_told() {
    let announced = |address| NdpFrame::announcement(STRANGER, address);
    let answers_us = NdpFrame { destination: NODE, to: CLIENT_IP, ..reply(UNKNOWN, STRANGER) };
    let answers_us = NdpFrame { source: STRANGER, ..answers_us };
    let asks_from = NdpFrame::question(STRANGER, OURS, UNKNOWN, None);
    let owner = NdpFrame { source: OWNER, ..NdpFrame::announcement(OWNER, DEPUTISED) };
    for (frame, heard) in [
        (announced(OURS), Some((OURS, HeardKind::Conflict))),
        (announced(DEPUTISED), Some((DEPUTISED, HeardKind::Conflict))),
        (announced(UNKNOWN), Some((UNKNOWN, HeardKind::Claim))),
        (announced(ELSEWHERE), Some((ELSEWHERE, HeardKind::Claim))),
        (answers_us, Some((UNKNOWN, HeardKind::Answer))),
        (asks_from, Some((OURS, HeardKind::Conflict))),
        (owner, Some((DEPUTISED, HeardKind::Claim))),
        (asks(UNKNOWN), None),
    ] {
        assert_eq!(outcome(&frame).1, heard, "{frame:?}");
    }
}
