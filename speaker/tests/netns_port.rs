//! The port on a real wire: what a Linux client makes of its answers, and what wakes it.

use std::net::Ipv4Addr;
use std::process::Output;
use std::time::Duration;

use crate::netns::responder::{Responder, programs, runtime};
use crate::netns::{CLIENT_LINK, CLIENT_MAC, NODE_LINK, NODE_MAC, Wire, wait_for};
use arc_swap::ArcSwap;
use crds::model::ids::{IfIndex, MacAddr};
use crds::model::range::AddressRange;
use speaker::announce::table::{Answer, Entry, Links, Table};
use speaker::filter::MAX_RANGES;
use speaker::io::clock::Clock;
use speaker::io::deadline::Deadline;
use speaker::io::port::{Port, Programs};
use speaker::moment::Moment;
use speaker::respond::{DropReason, Heard, HeardKind};
use speaker::wire::arp::ArpFrame;
use tokio::sync::mpsc;

const POOL: &str = "192.0.2.0/27";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const UNUSED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 20);
const FOREIGN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);
const STRANGER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x99]);
const NEW_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xbb]);

/// A wire whose node answers for ADDRESS.
fn answering() -> (Wire, Responder) {
    let wire = Wire::new();
    let responder = Responder::start(&wire.node, wire.node.index(NODE_LINK), NODE_MAC, POOL);
    responder.answer(&[(ADDRESS, Answer::Own)]);
    (wire, responder)
}

/// The client's own port, for frames that no tool would send; it answers nothing.
fn client(wire: &Wire) -> Responder {
    Responder::start(&wire.client, wire.client.index(CLIENT_LINK), CLIENT_MAC, POOL)
}

fn arping(wire: &Wire, options: &str) -> Output {
    wire.client.output(&format!("arping -c 1 -w 2 -I {CLIENT_LINK} {options}"))
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).to_lowercase()
}

/// Makes the client's kernel resolve ADDRESS; nothing answers the ping itself.
fn resolve(wire: &Wire, expected: MacAddr) {
    wire.client.ip(&format!("neigh flush dev {CLIENT_LINK}"));
    wire.client.output(&format!("ping -c 1 -W 0.1 {ADDRESS}"));
    neighbour_becomes(wire, expected);
}

fn neighbour_becomes(wire: &Wire, expected: MacAddr) {
    wait_for("neighbour entry", || {
        let (mac, shown) = wire.client.neighbour(&ADDRESS.to_string());
        if mac == Some(expected) { Ok(()) } else { Err(shown) }
    });
}

/// The answer of a deputy for an owner with `mac`, on the node's end of `wire`.
fn deputy(wire: &Wire, mac: MacAddr) -> Answer {
    Answer::Deputy([(wire.node.index(NODE_LINK), mac)].into())
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn client_resolves_an_announced_address_to_the_nodes_mac() {
    let (wire, responder) = answering();
    resolve(&wire, NODE_MAC);
    let output = arping(&wire, "192.0.2.10");
    assert!(output.status.success(), "{}", printed(&output));
    assert!(printed(&output).contains(&NODE_MAC.to_string()), "{}", printed(&output));
    let counts = responder.table.load().get(ADDRESS).unwrap().counters.read();
    assert!(counts.responses_sent >= 2, "{counts:?}");
    assert_eq!(counts.requests_received, counts.responses_sent);
    assert_eq!(responder.port.counters().replies(), counts.responses_sent);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn client_that_checks_for_duplicates_finds_the_address_taken() {
    let (wire, _responder) = answering();
    // Exit status 1 of `arping -D` says that somebody answered.
    assert_eq!(arping(&wire, "-D 192.0.2.10").status.code(), Some(1));
    assert_eq!(arping(&wire, "-D 192.0.2.20").status.code(), Some(0));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn nothing_is_answered_past_the_deadline_but_what_is_heard_is_told() {
    let (wire, mut responder) = answering();
    responder.deadline.renew(responder.clock.now());
    assert!(!arping(&wire, "-w 1 192.0.2.10").status.success());
    let counters = responder.port.counters();
    assert!(counters.drops(DropReason::Lapsed) > 0);
    assert_eq!(counters.replies(), 0);
    let client = client(&wire);
    client.port.send(&ArpFrame::gratuitous_request(STRANGER, ADDRESS).to_frame()).unwrap();
    assert_eq!(responder.heard().kind, HeardKind::Conflict);
    responder.deadline.renew(Moment::END);
    resolve(&wire, NODE_MAC);
}

/// A process that is stopped finds requests in its socket when it goes on. Here nobody reads the
/// socket for as long.
#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn frames_that_waited_until_past_the_deadline_are_not_answered() {
    let wire = Wire::new();
    let client = client(&wire);
    let index = wire.node.index(NODE_LINK);
    wire.node.within(|| {
        runtime().block_on(async {
            let port = Port::open(index, NODE_MAC, &programs(POOL, index, NODE_MAC)).unwrap();
            let entry = Entry { links: Links::All, answer: Answer::Own };
            let table = Table::following(&Table::default(), [(ADDRESS, entry)]);
            let clock = Clock::new();
            let deadline = Deadline::new(clock);
            deadline.renew(clock.now() + Duration::from_millis(50));
            for _ in 0..10 {
                client.port.send(&ArpFrame::probe(CLIENT_MAC, ADDRESS).to_frame()).unwrap();
            }
            wait_for(
                "end of the deadline",
                || if deadline.has_passed() { Ok(()) } else { Err(()) },
            );
            let (tell, _told) = mpsc::channel(16);
            let table = ArcSwap::from_pointee(table);
            let all_read = async {
                while port.counters().received() < 10 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                error = port.run(&table, &deadline, &tell) => panic!("{error}"),
                () = all_read => {}
            }
            assert_eq!(port.counters().drops(DropReason::Lapsed), 10);
            assert_eq!(port.counters().replies(), 0);
        });
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn withdrawn_address_is_silent_at_once() {
    let (wire, responder) = answering();
    responder.answer::<Ipv4Addr>(&[]);
    assert!(!arping(&wire, "-w 1 192.0.2.10").status.success());
    assert!(responder.port.counters().drops(DropReason::UnknownAddress) > 0);
    assert_eq!(responder.port.counters().replies(), 0);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn deputy_gives_the_client_the_owners_mac_and_keeps_its_own_in_the_header() {
    let (wire, responder) = answering();
    responder.answer(&[(ADDRESS, deputy(&wire, STRANGER))]);
    resolve(&wire, STRANGER);
    let mut client = client(&wire);
    client.port.send(&ArpFrame::probe(CLIENT_MAC, ADDRESS).to_frame()).unwrap();
    let link = wire.client.index(CLIENT_LINK);
    let kind = HeardKind::Answer;
    let expected = Heard { link, address: ADDRESS.into(), mac: STRANGER, source: NODE_MAC, kind };
    assert_eq!(client.heard(), expected);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn gratuitous_frames_replace_a_fresh_neighbour_entry_in_either_form() {
    for gratuitous in [ArpFrame::gratuitous_request, ArpFrame::gratuitous_reply] {
        let (wire, responder) = answering();
        responder.answer(&[(ADDRESS, deputy(&wire, STRANGER))]);
        resolve(&wire, STRANGER);
        // Within the client's `locktime` of one second, which makes it ignore ordinary replies.
        let frame = gratuitous(NODE_MAC, ADDRESS);
        responder.port.send(&frame.to_frame()).unwrap();
        neighbour_becomes(&wire, NODE_MAC);
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn another_hosts_use_of_our_address_reaches_the_engine() {
    let (wire, mut responder) = answering();
    let client = client(&wire);
    let frame = ArpFrame { source: CLIENT_MAC, ..ArpFrame::gratuitous_request(STRANGER, ADDRESS) };
    client.port.send(&frame.to_frame()).unwrap();
    let link = responder.port.index();
    let kind = HeardKind::Conflict;
    let expected = Heard { link, address: ADDRESS.into(), mac: STRANGER, source: CLIENT_MAC, kind };
    assert_eq!(responder.heard(), expected);
    assert_eq!(responder.port.counters().drops(DropReason::Announcement), 1);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn foreign_frames_do_not_wake_the_process() {
    let (wire, responder) = answering();
    let client = client(&wire);
    let send = |frame: &[u8]| client.port.send(frame).unwrap();
    for _ in 0..1_000 {
        send(&ArpFrame::probe(CLIENT_MAC, FOREIGN).to_frame());
        send(&ArpFrame::gratuitous_reply(CLIENT_MAC, FOREIGN).to_frame());
    }
    let to = |destination: MacAddr| {
        ArpFrame { destination, ..ArpFrame::probe(CLIENT_MAC, ADDRESS) }.to_frame()
    };
    send(&to(STRANGER));
    send(&to(MacAddr([0x01, 0, 0x5e, 0, 0, 1])));
    // The queue keeps order, so by the time of these everything before has been judged.
    send(&to(MacAddr::BROADCAST));
    send(&to(NODE_MAC));
    responder.read(2);
    wait_for("reply", || match responder.port.counters().replies() {
        2 => Ok(()),
        other => Err(other),
    });
}

/// The kernel strips the tag before the socket sees the frame; see the module `filter`.
#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn frames_of_another_vlan_are_not_answered_but_priority_tags_are() {
    let (wire, responder) = answering();
    let client = client(&wire);
    let tagged = |tag: [u8; 4]| {
        let frame = ArpFrame::probe(CLIENT_MAC, ADDRESS).to_frame();
        [&frame[..12], &tag, &frame[12..42], &[0; 14]].concat()
    };
    client.port.send(&tagged([0x81, 0x00, 0x00, 0x05])).unwrap();
    client.port.send(&tagged([0x88, 0xa8, 0x00, 0x07])).unwrap();
    client.port.send(&tagged([0x81, 0x00, 0x00, 0x00])).unwrap();
    client.port.send(&tagged([0x81, 0x00, 0x60, 0x00])).unwrap();
    responder.read(2);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn frames_for_an_upper_device_are_left_to_it() {
    let (wire, responder) = answering();
    wire.node.ip(&format!("link add link {NODE_LINK} name upper type macvlan mode bridge"));
    wire.node.ip(&format!("link set upper address {STRANGER} up"));
    let client = client(&wire);
    let probe = ArpFrame::probe(CLIENT_MAC, ADDRESS);
    let seen = || {
        let shown = wire.node.ip("-s -o link show dev upper");
        let received = shown.split("RX:").nth(1).unwrap().split('\\').nth(1).unwrap();
        received.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = seen();
    client.port.send(&ArpFrame { destination: STRANGER, ..probe }.to_frame()).unwrap();
    wait_for("frame at the macvlan", || if seen() > before { Ok(()) } else { Err(seen()) });
    client.port.send(&probe.to_frame()).unwrap();
    responder.read(1);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn changed_mac_and_ranges_are_taken_over_while_running() {
    let (wire, responder) = answering();
    let port = &responder.port;
    let client = client(&wire);
    let ask = |address| {
        client.port.send(&ArpFrame::probe(CLIENT_MAC, address).to_frame()).unwrap();
    };
    responder.answer(&[(ADDRESS, Answer::Own), (FOREIGN, Answer::Own)]);
    // Announced, but outside the filter's range: never seen.
    ask(FOREIGN);
    ask(ADDRESS);
    responder.read(1);
    wire.node.ip(&format!("link set {NODE_LINK} address {NEW_MAC}"));
    port.update(NEW_MAC, &programs("192.0.2.0/24", port.index(), NEW_MAC)).unwrap();
    assert_eq!(port.mac(), NEW_MAC);
    ask(FOREIGN);
    responder.read(2);
    resolve(&wire, NEW_MAC);
    // Unicast to the new MAC, as clients revalidate an entry.
    let before = port.counters().replies();
    let frame = ArpFrame { destination: NEW_MAC, ..ArpFrame::probe(CLIENT_MAC, ADDRESS) };
    client.port.send(&frame.to_frame()).unwrap();
    wait_for("reply", || match port.counters().replies() {
        replies if replies > before => Ok(()),
        replies => Err(replies),
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn port_survives_its_link_going_down_and_up() {
    let (wire, responder) = answering();
    let port = &responder.port;
    wire.node.ip(&format!("link set {NODE_LINK} down"));
    // Each of its two sockets is told once, and the one for the speakers' own frames.
    let of_frames = responder.frames.counters();
    wait_for("ENETDOWN", || match (port.counters().receive_errors(), of_frames.receive_errors()) {
        (2, 1) => Ok(()),
        errors => Err(errors),
    });
    let frame = ArpFrame::gratuitous_request(NODE_MAC, ADDRESS).to_frame();
    assert_eq!(port.send(&frame).unwrap_err().raw_os_error(), Some(nix::libc::ENETDOWN));
    wire.node.ip(&format!("link set {NODE_LINK} up"));
    wire.wait_for_carrier();
    resolve(&wire, NODE_MAC);
    let counters = port.counters();
    assert_eq!((counters.receive_errors(), counters.send_errors()), (2, 1));
    assert_eq!(port.queue_drops().unwrap(), 0);
    // One line, whatever the number of sockets.
    assert_eq!(responder.log.count("link is down"), 1);
}

/// The kernel leaves the error on the socket, and here no read takes it away.
#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn first_frame_after_a_link_is_back_is_not_lost_to_the_old_error() {
    let wire = Wire::new();
    let index = wire.node.index(NODE_LINK);
    wire.node.within(|| {
        let runtime = runtime();
        let _guard = runtime.enter();
        let port = Port::open(index, NODE_MAC, &programs(POOL, index, NODE_MAC)).unwrap();
        wire.node.ip(&format!("link set {NODE_LINK} down"));
        wire.node.ip(&format!("link set {NODE_LINK} up"));
        wire.wait_for_carrier();
        port.send(&ArpFrame::gratuitous_request(NODE_MAC, ADDRESS).to_frame()).unwrap();
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn port_of_a_deleted_link_only_notices_when_it_sends() {
    let (wire, responder) = answering();
    let old = responder.port.index();
    wire.node.ip(&format!("link del {NODE_LINK}"));
    let frame = ArpFrame::gratuitous_request(NODE_MAC, ADDRESS).to_frame();
    let error = responder.port.send(&frame).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(nix::libc::ENXIO));
    wire.connect();
    assert_ne!(wire.node.index(NODE_LINK), old);
    assert!(!arping(&wire, "-w 1 192.0.2.10").status.success(), "the old socket answers");
    let gone = wire.node.within(|| {
        let runtime = runtime();
        let _guard = runtime.enter();
        Port::open(old, NODE_MAC, &programs(POOL, old, NODE_MAC)).map(drop).unwrap_err()
    });
    assert_eq!(gone.raw_os_error(), Some(nix::libc::ENODEV));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn largest_program_can_be_replaced_under_the_limit_of_older_kernels() {
    let (wire, responder) = answering();
    let limit = "net.core.optmem_max=20480";
    let set = wire.node.output(&format!("sysctl -w {limit}"));
    if !set.status.success() {
        // Before 6.9 there is one limit for all namespaces, and it is this one.
        eprintln!("SKIPPED in part: {limit} cannot be set per namespace on this kernel");
    }
    let address = |n: u32| Ipv4Addr::from_bits(0xc0a8_0000 + 4 * n).into();
    let most = u32::try_from(MAX_RANGES).unwrap();
    for shift in 0..3 {
        let ranges: Vec<AddressRange> = (0..most)
            .map(|n| AddressRange::new(address(n + shift), address(n + shift)).unwrap())
            .collect();
        let programs = Programs::compile(&ranges, responder.port.index(), NODE_MAC);
        responder.port.update(NODE_MAC, &programs).unwrap();
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn address_in_a_pool_that_nobody_announces_is_dropped_by_name() {
    let (wire, responder) = answering();
    assert_eq!(wire.node.index(NODE_LINK), responder.port.index());
    let client = client(&wire);
    client.port.send(&ArpFrame::probe(CLIENT_MAC, UNUSED).to_frame()).unwrap();
    responder.read(1);
    wait_for("drop", || match responder.port.counters().drops(DropReason::UnknownAddress) {
        1 => Ok(()),
        other => Err(other),
    });
    let other: IfIndex = wire.client.index(CLIENT_LINK);
    assert_eq!(client.port.index(), other);
}
