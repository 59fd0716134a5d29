//! The speakers' own frames on a real wire: what arrives, and what does not.

use std::sync::Arc;
use std::time::Duration;

use crate::netns::responder::{Responder, runtime};
use crate::netns::{CLIENT_LINK, CLIENT_MAC, NODE_LINK, NODE_MAC, Namespace, Wire, wait_for};
use arc_swap::ArcSwap;
use crds::model::ids::{IfIndex, MacAddr};
use prometheus::TextEncoder;
use speaker::announce::table::Table;
use speaker::engine::Event;
use speaker::io::clock::Clock;
use speaker::io::counts::Counts;
use speaker::io::deadline::Deadline;
use speaker::io::frames::FramePort;
use speaker::io::port::Port;
use speaker::io::ports::Named;
use speaker::metrics::Metrics;
use speaker::wire::arp::ArpFrame;
use speaker::wire::ethernet::{EthernetHeader, HEADER_LEN, LINK_FRAME};
use tokio::sync::mpsc;
use tokio::time::timeout;

const POOL: &str = "192.0.2.0/27";
const SOON: Duration = Duration::from_secs(10);
const STRANGER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x99]);

/// Two speakers on one wire: the node's and the client's.
fn speakers() -> (Wire, Responder, Responder) {
    let wire = Wire::new();
    let start = |namespace: &Namespace, link: &str, mac| {
        Responder::start(namespace, namespace.index(link), mac, POOL)
    };
    let node = start(&wire.node, NODE_LINK, NODE_MAC);
    let client = start(&wire.client, CLIENT_LINK, CLIENT_MAC);
    (wire, node, client)
}

/// A frame as a stranger might send it: whole, with any header.
fn frame(destination: MacAddr, source: MacAddr, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; HEADER_LEN];
    EthernetHeader { destination, source, ethertype }.emit(&mut header);
    [&header, payload].concat()
}

fn arrived(responder: &mut Responder) -> (IfIndex, MacAddr, Vec<u8>) {
    match responder.told() {
        Event::Frame { link, source, bytes } => (link, source, bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn a_frame_arrives_padded_to_one_speaker_or_to_all() {
    let (_wire, mut node, mut client) = speakers();
    let link = node.port.index();
    client.frames.send(NODE_MAC, b"sealed").unwrap();
    client.frames.send(MacAddr::BROADCAST, &[7; 1500]).unwrap();
    let padded = [&b"sealed"[..], &[0; 40]].concat();
    assert_eq!(arrived(&mut node), (link, CLIENT_MAC, padded));
    assert_eq!(arrived(&mut node), (link, CLIENT_MAC, vec![7; 1500]));
    node.frames.send(CLIENT_MAC, &[9; 46]).unwrap();
    assert_eq!(arrived(&mut client), (client.port.index(), NODE_MAC, vec![9; 46]));
    assert_eq!((client.frames.counters().sent(), node.frames.counters().received()), (2, 2));
    let too_long = client.frames.send(NODE_MAC, &[0; 1501]).unwrap_err();
    assert_eq!(too_long.raw_os_error(), Some(nix::libc::EMSGSIZE));
    assert_eq!(client.frames.counters().send_errors(), 1);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn a_frame_carries_the_links_present_mac() {
    let (wire, mut node, client) = speakers();
    wire.client.ip(&format!("link set {CLIENT_LINK} address {STRANGER}"));
    let programs = crate::netns::responder::programs(POOL, client.port.index(), STRANGER);
    client.port.update(STRANGER, &programs).unwrap();
    client.frames.send(NODE_MAC, b"sealed").unwrap();
    assert_eq!(arrived(&mut node).1, STRANGER);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn frames_of_other_kinds_vlans_hosts_and_devices_do_not_arrive() {
    let (wire, mut node, client) = speakers();
    wire.node.ip(&format!("link add link {NODE_LINK} name upper type macvlan mode bridge"));
    wire.node.ip(&format!("link set upper address {STRANGER} up"));
    let all = MacAddr::BROADCAST;
    let tagged = frame(all, CLIENT_MAC, 0x8100, &[&[0, 5, 0x88, 0xb5][..], &[1; 46]].concat());
    for unwanted in [
        // The second EtherType for experiments, IPv4, and ARP about the pool.
        frame(all, CLIENT_MAC, 0x88b6, &[1; 46]),
        frame(all, CLIENT_MAC, 0x0800, &[1; 46]),
        ArpFrame::probe(CLIENT_MAC, [192, 0, 2, 200].into()).to_frame().into(),
        // For a VLAN, for a macvlan on the link, for somebody else, and for a group.
        tagged,
        frame(STRANGER, CLIENT_MAC, LINK_FRAME, &[1; 46]),
        frame(MacAddr([2, 0, 0, 0, 0, 0x55]), CLIENT_MAC, LINK_FRAME, &[1; 46]),
        frame(MacAddr([1, 0, 0x5e, 0, 0, 1]), CLIENT_MAC, LINK_FRAME, &[1; 46]),
        // Without a payload, which a veth pair lets through.
        frame(all, CLIENT_MAC, LINK_FRAME, &[]),
    ] {
        client.port.send(&unwanted).unwrap();
    }
    // Read, and thrown away: it says that it comes from this very link.
    client.port.send(&frame(all, NODE_MAC, LINK_FRAME, &[1; 46])).unwrap();
    client.frames.send(NODE_MAC, &[2; 46]).unwrap();
    // The queue keeps order, so by the time of the last everything before has been judged.
    assert_eq!(arrived(&mut node).2, [2; 46]);
    assert_eq!(node.frames.counters().received(), 2, "an unwanted frame woke the socket");
    assert_eq!(node.port.counters().received(), 0, "a link frame woke the ARP port");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn a_flood_is_counted_and_holds_up_nobody() {
    let (_wire, mut node, client) = speakers();
    // More than the channel of 1,024 holds, and nobody takes any out.
    for _ in 0..1_500 {
        client.frames.send(NODE_MAC, &[3; 46]).unwrap();
    }
    let counters = node.frames.counters();
    // One that is not heard is counted as received first.
    wait_for("end of the flood", || match (counters.received(), counters.unheard()) {
        (1_500, unheard) if unheard >= 1_500 - 1_024 => Ok(()),
        counts => Err(counts),
    });
    assert_eq!(counters.unheard(), 1_500 - 1_024);
    assert_eq!(arrived(&mut node).2, [3; 46]);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn frames_that_find_the_queue_full_are_counted_and_shown_while_the_port_is_open() {
    /// More than the queue holds, which has room for 2 MiB at most.
    const SENT: u64 = 5_000;
    let wire = Wire::new();
    let client = Responder::start(&wire.client, wire.client.index(CLIENT_LINK), CLIENT_MAC, POOL);
    let link = wire.node.index(NODE_LINK);
    wire.node.within(|| {
        let runtime = runtime();
        let _guard = runtime.enter();
        let programs = crate::netns::responder::programs(POOL, link, NODE_MAC);
        let port = Arc::new(Port::open(link, NODE_MAC, &programs).unwrap());
        let frames = Arc::new(FramePort::open(Arc::clone(&port)).unwrap());
        // Nobody reads yet.
        for _ in 0..SENT {
            client.frames.send(NODE_MAC, &[5; 46]).unwrap();
        }
        let (tell, _told) = mpsc::channel(1);
        let all = async {
            while frames.counters().received() + frames.queue_drops().unwrap() < SENT {
                tokio::task::yield_now().await;
            }
        };
        let read = async {
            tokio::select! {
                error = frames.run(&tell) => panic!("{error}"),
                () = all => {}
            }
        };
        runtime.block_on(async { timeout(SOON, read).await }).unwrap();
        let lost = frames.queue_drops().unwrap();
        assert!(lost > 0 && lost < SENT, "{lost}");
        assert_eq!((frames.queue_drops().unwrap(), port.queue_drops().unwrap()), (lost, 0));

        let table = Arc::new(ArcSwap::from_pointee(Table::default()));
        let metrics = Metrics::new("n1", table, Deadline::new(Clock::new())).unwrap();
        let shown = || TextEncoder::new().encode_to_string(&metrics.registry.gather()).unwrap();
        metrics.set_ports(vec![Named { name: NODE_LINK.to_owned(), port, frames }]);
        let series =
            format!("ferrolb_speaker_frames_lost_total{{interface=\"{NODE_LINK}\"}} {lost}");
        assert!(shown().lines().any(|line| line == series), "{series} is not in\n{}", shown());
        metrics.set_ports(Vec::new());
        assert!(!shown().contains(NODE_LINK), "{}", shown());
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn received_frames_are_counted_by_link_when_somebody_asks() {
    let (wire, _node, client) = speakers();
    let link = wire.node.index(NODE_LINK);
    wire.node.within(|| {
        runtime().block_on(async {
            let (events, mut told) = mpsc::channel(4);
            let (counts, answers) = Counts::new(events).unwrap();
            tokio::spawn(answers);
            let mut received = Vec::new();
            for _ in 0..2 {
                counts.ask([link].into_iter());
                let Some(Event::Counted(counted)) = told.recv().await else { panic!("no answer") };
                // Loopback was not asked about.
                assert_eq!(counted.keys().collect::<Vec<_>>(), [&link]);
                received.push(counted[&link]);
                for _ in 0..10 {
                    client.frames.send(NODE_MAC, &[4; 46]).unwrap();
                }
            }
            let more = received[1] - received[0];
            assert!((10..40).contains(&more), "{received:?}");
        });
    });
}
