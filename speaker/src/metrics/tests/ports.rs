//! What the ports count. Real ports, that read, judge and answer; only their sockets are others,
//! since packet sockets need a right that tests do not have everywhere.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use crds::model::ids::{IfIndex, MacAddr};
use socket2::Socket;
use tokio::sync::mpsc;

use super::*;
use crate::io::frames::FramePort;
use crate::io::port::Port;
use crate::moment::Moment;
use crate::respond::DropReason;
use crate::wire::arp::{ArpFrame, Operation};
use crate::wire::ethernet::{EthernetHeader, HEADER_LEN, LINK_FRAME};
use crate::wire::ndp::{NdpFrame, NdpRepr};

const NODE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0b]);
const CLIENT: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);

/// Announced everywhere, on another link only, and nowhere.
const V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(192, 0, 2, 10), Ipv4Addr::new(192, 0, 2, 11), Ipv4Addr::new(192, 0, 2, 99)];
const V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9),
];

/// An open link, and what the sockets of its port are connected to.
struct Link {
    metrics: Metrics,
    deadline: Deadline,
    port: Arc<Port>,
    frames: Arc<FramePort>,
    arp: UdpSocket,
    ndp: UdpSocket,
    others: UdpSocket,
    /// What the engine would be told.
    told: mpsc::Receiver<Event>,
}

/// A socket for a port, and the other end.
fn pair() -> (Socket, UdpSocket) {
    let ends = [(), ()].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let [ours, theirs] = ends;
    ours.connect(theirs.local_addr().unwrap()).unwrap();
    theirs.connect(ours.local_addr().unwrap()).unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (ours.into(), theirs)
}

/// A link that is being answered on, whose engine takes one piece of news and then no more.
fn link() -> Link {
    let entry = |links| Entry { links, answer: Answer::Own };
    let elsewhere = || Links::Only([IfIndex(9)].into());
    let table = Table::following(
        &Table::default(),
        [
            (IpAddr::from(V4[0]), entry(Links::All)),
            (V4[1].into(), entry(elsewhere())),
            (V6[0].into(), entry(Links::All)),
            (V6[1].into(), entry(elsewhere())),
        ],
    );
    let table = Arc::new(ArcSwap::from_pointee(table));
    let deadline = Deadline::new(Clock::new());
    let metrics = Metrics::new("n1", Arc::clone(&table), deadline.clone()).unwrap();
    let [(ours, arp), (ours_too, ndp), (last, others)] = [(); 3].map(|()| pair());
    let port = Arc::new(Port::on(IfIndex(2), NODE, [ours, ours_too]).unwrap());
    let frames = Arc::new(FramePort::on(Arc::clone(&port), last).unwrap());
    let named =
        Named { name: "eth0".to_owned(), port: Arc::clone(&port), frames: Arc::clone(&frames) };
    metrics.set_ports(vec![named]);
    let (events, told) = mpsc::channel(1);
    let (running, until, news) = (Arc::clone(&port), deadline.clone(), events.clone());
    tokio::spawn(async move { running.run(&table, &until, &news).await });
    let running = Arc::clone(&frames);
    tokio::spawn(async move { running.run(&events).await });
    Link { metrics, deadline, port, frames, arp, ndp, others, told }
}

/// Waits until `is_so`.
async fn until(is_so: impl Fn() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waited).await.expect("it comes to be so");
}

impl Link {
    async fn received(&self, count: u64) {
        until(|| self.port.counters().received() == count).await;
    }

    /// The frames not answered, by reason.
    fn dropped(&self) -> BTreeMap<String, u64> {
        let text = text(&self.metrics);
        let series = text.lines().filter_map(|line| {
            let name = "ferrolb_speaker_frames_dropped_total{interface=\"eth0\",reason=\"";
            let (reason, count) = line.strip_prefix(name)?.split_once("\"} ")?;
            Some((reason.to_owned(), count.parse().unwrap()))
        });
        series.collect()
    }
}

fn shows(metrics: &Metrics, line: &str) {
    let text = text(metrics);
    assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
}

fn asks(target: Ipv4Addr) -> ArpFrame {
    ArpFrame::question(CLIENT, Ipv4Addr::new(192, 0, 2, 1), target, None)
}

fn solicits(target: Ipv6Addr) -> NdpFrame {
    NdpFrame::question(CLIENT, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x0a), target, None)
}

/// ARP that is not answered, one frame for each reason.
fn unanswered_arp() -> Vec<Vec<u8>> {
    let [ours, elsewhere, unknown] = V4.map(asks);
    let mut tagged = ours.to_frame();
    tagged[12..14].copy_from_slice(&[0x81, 0x00]);
    let mut bad_sender = ours;
    bad_sender.arp.sender_mac = MacAddr::BROADCAST;
    let mut reply = unknown;
    reply.arp.operation = Operation::Reply;
    let frames = [
        ArpFrame { source: NODE, ..ours },
        ArpFrame { destination: STRANGER, ..ours },
        bad_sender,
        reply,
        unknown,
        elsewhere,
        ArpFrame::gratuitous_request(STRANGER, V4[0]),
        // It would be, in time.
        ours,
    ];
    let frames = frames.iter().map(|frame| frame.to_frame().to_vec());
    frames.chain([tagged.to_vec(), ours.to_frame()[..41].to_vec()]).collect()
}

/// The same of neighbour discovery, which knows no announcement apart from a reply.
fn unanswered_ndp() -> Vec<Vec<u8>> {
    let [ours, elsewhere, unknown] = V6.map(solicits);
    let source_mac = Some(MacAddr::BROADCAST);
    let frames = [
        NdpFrame { source: NODE, ..ours },
        NdpFrame { destination: STRANGER, ..ours },
        NdpFrame { message: NdpRepr::Solicitation { target: V6[0], source_mac }, ..ours },
        NdpFrame::announcement(STRANGER, V6[2]),
        unknown,
        elsewhere,
        ours,
    ];
    let short = ours.to_frame().as_bytes()[..60].to_vec();
    frames.iter().map(|frame| frame.to_frame().as_bytes().to_vec()).chain([short]).collect()
}

#[tokio::test]
async fn a_frame_that_is_not_answered_is_counted_under_its_reason() {
    let link = link();
    let (arp, ndp) = (unanswered_arp(), unanswered_ndp());
    for (socket, frames) in [(&link.arp, arp), (&link.ndp, ndp)] {
        for frame in frames {
            assert_eq!(socket.send(&frame).unwrap(), frame.len());
        }
    }
    link.received(18).await;
    let only_arp = [DropReason::Tagged, DropReason::Announcement];
    let expected: BTreeMap<String, u64> = DropReason::ALL
        .iter()
        .map(|reason| (reason.reason().to_owned(), if only_arp.contains(reason) { 1 } else { 2 }))
        .collect();
    assert_eq!(link.dropped(), expected);
    shows(&link.metrics, "ferrolb_speaker_frames_received_total{interface=\"eth0\"} 18");

    // In touch again, the speaker answers.
    link.deadline.renew(Moment::END);
    link.arp.send(&asks(V4[0]).to_frame()).unwrap();
    until(|| link.port.counters().replies() == 1).await;
    let mut answer = [0; 64];
    let len = link.arp.recv(&mut answer).unwrap();
    assert_eq!(ArpFrame::parse(&answer[..len]).unwrap().arp.sender_ip, V4[0]);
    assert_eq!(link.dropped(), expected);
    shows(&link.metrics, "metallb_layer2_requests_received{ip=\"192.0.2.10\"} 2");
    shows(&link.metrics, "metallb_layer2_responses_sent{ip=\"192.0.2.10\"} 1");
}

#[tokio::test]
async fn frames_of_speakers_and_news_that_nobody_takes_are_counted() {
    let mut link = link();
    for _ in 0..2 {
        link.arp.send(&ArpFrame::gratuitous_request(STRANGER, V4[2]).to_frame()).unwrap();
    }
    link.received(2).await;
    let mut frame = [0; HEADER_LEN + 1];
    EthernetHeader { destination: MacAddr::BROADCAST, source: CLIENT, ethertype: LINK_FRAME }
        .emit(frame.first_chunk_mut().unwrap());
    link.others.send(&frame).unwrap();
    until(|| link.frames.counters().received() == 1).await;
    link.frames.send(MacAddr::BROADCAST, &[1, 2, 3]).unwrap();
    shows(
        &link.metrics,
        "ferrolb_speaker_link_frames_total{direction=\"in\",interface=\"eth0\"} 1",
    );
    shows(
        &link.metrics,
        "ferrolb_speaker_link_frames_total{direction=\"out\",interface=\"eth0\"} 1",
    );
    shows(&link.metrics, "ferrolb_speaker_news_lost_total{interface=\"eth0\"} 2");
    assert!(matches!(link.told.try_recv(), Ok(Event::Heard(_))));
}

#[tokio::test]
async fn failed_system_calls_are_counted_and_a_closed_port_takes_its_series_along() {
    let Link { metrics, port, arp, .. } = link();
    let errors = |operation: &str, count: u64| {
        let name = "ferrolb_speaker_socket_errors_total";
        let labels = format!("interface=\"eth0\",operation=\"{operation}\"");
        shows(&metrics, &format!("{name}{{{labels}}} {count}"));
    };
    port.send(&vec![0; 70_000]).unwrap_err();
    errors("send", 1);
    errors("receive", 0);
    shows(&metrics, "ferrolb_speaker_frames_lost_total{interface=\"eth0\"} 0");
    drop(arp);
    // It goes out, and the next that is read is that nobody took it.
    port.send(&[0]).unwrap();
    until(|| port.counters().receive_errors() == 1).await;
    errors("receive", 1);
    metrics.set_ports(Vec::new());
    assert!(!text(&metrics).contains("eth0"));
}
