//! One link's packet sockets, for ARP and for neighbour discovery, and the loop that answers on them.
//!
//! ```text
//!           kernel filters        respond (pure)
//!   link ───────────────▶ Port::run ─────────▶ reply sent in place, on the same socket
//!    ▲                     │   ▲ reads ArcSwap<Table> and Deadline, for every frame
//!    │                     └───────▶ Heard ──▶ channel to the engine (never waited for)
//!    └──────────── Port::send ◀─── gratuitous frames
//! ```
//!
//! It carries out what [`respond`] decides. No request ever waits for the engine: there is no
//! channel or lock between receiving and sending. A port belongs to an interface *index*; when
//! netlink reports the link gone, the owner drops it. The socket itself never says so: after a
//! deletion it just stays silent, even if a link of the same name comes back (tried on Linux 6.18).

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use crds::model::ids::{IfIndex, MacAddr};
use crds::model::range::AddressRange;
use socket2::Socket;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::deadline::Deadline;
use super::packet;
use super::receive::{Down, receive};
use crate::announce::table::Table;
use crate::engine::Event;
use crate::filter::Program;
use crate::respond::{DropReason, Outcome, Rx, Verdict, respond};
use crate::wire::{arp, ndp};

/// An ARP frame has 42 to 60 bytes, neighbour discovery 78 to some 110: the rest of a longer one is
/// cut off, which makes it malformed.
const RECEIVE_LEN: usize = 256;

/// The kernel filters of one link's two sockets: a packet socket is bound to one EtherType.
#[derive(Debug)]
pub struct Programs {
    /// For ARP.
    pub arp: Program,
    /// For neighbour discovery.
    pub ndp: Program,
}

impl Programs {
    /// Those that let pass what concerns `ranges` on the link with `index` and `mac`.
    pub fn compile(ranges: &[AddressRange], index: IfIndex, mac: MacAddr) -> Self {
        let arp = Program::compile(ranges, index, mac);
        Self { arp, ndp: Program::neighbours(ranges, index, mac) }
    }
}

/// An open link: receives, answers and sends.
#[derive(Debug)]
pub struct Port {
    index: IfIndex,
    /// The link's MAC in the low 48 bits, so that it can change under a running port.
    mac: AtomicU64,
    /// Receives ARP; sends everything.
    arp: AsyncFd<Socket>,
    /// Receives neighbour discovery.
    ndp: AsyncFd<Socket>,
    counters: PortCounters,
}

/// What happened on a port since it was opened. Written by the port, read by the metrics.
#[derive(Debug, Default)]
pub struct PortCounters {
    received: AtomicU64,
    replies: AtomicU64,
    drops: [AtomicU64; DropReason::ALL.len()],
    receive_errors: AtomicU64,
    send_errors: AtomicU64,
    unheard: AtomicU64,
    queue_drops: AtomicU64,
}

impl PortCounters {
    /// Frames read: those that passed the kernel filter.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Replies handed to the kernel.
    pub fn replies(&self) -> u64 {
        self.replies.load(Ordering::Relaxed)
    }

    /// Frames not answered for `reason`.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize].load(Ordering::Relaxed)
    }

    /// Failed reads, `ENETDOWN` included.
    pub fn receive_errors(&self) -> u64 {
        self.receive_errors.load(Ordering::Relaxed)
    }

    /// Frames, replies or others, that the kernel did not take.
    pub fn send_errors(&self) -> u64 {
        self.send_errors.load(Ordering::Relaxed)
    }

    /// [`Heard`](crate::respond::Heard) that the engine was too busy to take.
    pub fn unheard(&self) -> u64 {
        self.unheard.load(Ordering::Relaxed)
    }

    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Port {
    /// Opens the link with `index` and `mac`, with `programs` as the kernel filters. Needs
    /// CAP_NET_RAW, nothing more, and a tokio runtime with I/O on the calling thread.
    ///
    /// # Errors
    /// The failing system call's; `ENODEV` when the link has gone in the meantime.
    pub fn open(index: IfIndex, mac: MacAddr, programs: &Programs) -> io::Result<Self> {
        Ok(Self {
            index,
            mac: AtomicU64::new(to_bits(mac)),
            arp: packet::open(index, arp::ETHERTYPE, &programs.arp)?,
            ndp: packet::open(index, ndp::ETHERTYPE, &programs.ndp)?,
            counters: PortCounters::default(),
        })
    }

    /// One on other sockets that take and give whole frames, since packet sockets need a right that
    /// tests do not have everywhere.
    #[cfg(test)]
    pub(crate) fn on(index: IfIndex, mac: MacAddr, [arp, ndp]: [Socket; 2]) -> io::Result<Self> {
        let (arp, ndp) = (packet::register(arp)?, packet::register(ndp)?);
        let (mac, counters) = (AtomicU64::new(to_bits(mac)), PortCounters::default());
        Ok(Self { index, mac, arp, ndp, counters })
    }

    /// The link's index.
    pub fn index(&self) -> IfIndex {
        self.index
    }

    /// The MAC that is being answered with.
    pub fn mac(&self) -> MacAddr {
        from_bits(self.mac.load(Ordering::Relaxed))
    }

    /// Counters since the port was opened.
    pub fn counters(&self) -> &PortCounters {
        &self.counters
    }

    /// Takes over a changed MAC or changed pool ranges, while running and without losing a frame:
    /// the next frame is answered with `mac`, and each filter is replaced in one step. A port is not
    /// reopened for this, as its queues and counters would be lost. The programs hold the MAC as
    /// well, so both always come together.
    ///
    /// Frames queued under an old filter are judged by [`respond`] like any other, so they need
    /// not be discarded: the filter only saves work.
    ///
    /// # Errors
    /// From attaching a filter; then the old one stays in force, which is safe but may be deaf to
    /// a new range.
    pub fn update(&self, mac: MacAddr, programs: &Programs) -> io::Result<()> {
        self.mac.store(to_bits(mac), Ordering::Relaxed);
        packet::attach(self.arp.get_ref(), &programs.arp)?;
        packet::attach(self.ndp.get_ref(), &programs.ndp)
    }

    /// Sends a whole Ethernet frame on this link, at once or not at all.
    ///
    /// # Errors
    /// `ENETDOWN` while the link is down, `ENXIO` once it is gone, `EAGAIN` or `ENOBUFS` when the
    /// kernel's queues are full. Counted here; the caller need only decide whether to repeat.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        let sent = packet::send(self.arp.get_ref(), frame);
        if sent.is_err() {
            PortCounters::add(&self.counters.send_errors);
        }
        sent
    }

    /// Frames that the kernel dropped since the port was opened because they came in faster than
    /// they were read.
    ///
    /// # Errors
    /// From `getsockopt`; not expected on an open socket.
    pub fn queue_drops(&self) -> io::Result<u64> {
        let drops = |socket: &AsyncFd<Socket>| packet::take_drops(socket.get_ref()).map(u64::from);
        let new = drops(&self.arp)? + drops(&self.ndp)?;
        Ok(self.counters.queue_drops.fetch_add(new, Ordering::Relaxed) + new)
    }

    /// Answers until the task is aborted; returns only if the runtime's I/O driver has gone.
    ///
    /// `events` gets what others say about addresses. It is never waited for: when the channel is
    /// full the news is counted and dropped, as a flood of forged frames must not delay an answer.
    pub async fn run(
        &self,
        table: &ArcSwap<Table>,
        deadline: &Deadline,
        events: &mpsc::Sender<Event>,
    ) -> io::Error {
        let (mut arp, mut ndp) = ([0; RECEIVE_LEN], [0; RECEIVE_LEN]);
        let errors = &self.counters.receive_errors;
        let handle = |frame: &[u8]| self.handle(frame, table, deadline, events);
        // The socket that sends nothing tells: of the others a send may be the first to get the error.
        tokio::select! {
            error = receive(&self.arp, self.index, &mut arp, errors, Down::Counted, handle) => error,
            error = receive(&self.ndp, self.index, &mut ndp, errors, Down::Told, handle) => error,
        }
    }

    fn handle(
        &self,
        frame: &[u8],
        table: &ArcSwap<Table>,
        deadline: &Deadline,
        events: &mpsc::Sender<Event>,
    ) {
        PortCounters::add(&self.counters.received);
        let rx = Rx { index: self.index, mac: self.mac() };
        let table = table.load();
        let outcome = respond(frame, &rx, &table);
        self.act(&outcome.verdict, deadline);
        self.tell(&outcome, events);
    }

    fn act(&self, verdict: &Verdict<'_>, deadline: &Deadline) {
        match verdict {
            Verdict::Reply(reply) => {
                reply.counters.count_request();
                // The last thing before the answer goes out: the frame may have waited for long.
                if deadline.has_passed() {
                    PortCounters::add(&self.counters.drops[DropReason::Lapsed as usize]);
                } else if self.send(reply.frame.as_bytes()).is_ok() {
                    reply.counters.count_response();
                    PortCounters::add(&self.counters.replies);
                }
                // Otherwise the error is counted; the asker will ask again.
            }
            Verdict::Drop(reason) => PortCounters::add(&self.counters.drops[*reason as usize]),
        }
    }

    fn tell(&self, outcome: &Outcome<'_>, events: &mpsc::Sender<Event>) {
        if let Some(news) = outcome.heard
            && events.try_send(Event::Heard(news)).is_err()
        {
            PortCounters::add(&self.counters.unheard);
        }
    }
}

fn to_bits(mac: MacAddr) -> u64 {
    mac.0.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte))
}

fn from_bits(bits: u64) -> MacAddr {
    let [_, _, mac @ ..] = bits.to_be_bytes();
    MacAddr(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_survives_being_a_number() {
        let mac = MacAddr([0x02, 0x13, 0x24, 0x35, 0x46, 0xff]);
        assert_eq!(from_bits(to_bits(mac)), mac);
    }
}
