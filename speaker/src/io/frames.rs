//! The speakers' own frames on one link: a packet socket beside the port's.
//!
//! Sealed and numbered by the engine; here they are bytes behind an Ethernet header. There are some
//! of them a second, so nothing here is made for speed, except that a flood of forged ones must
//! hold up nobody.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crds::model::ids::MacAddr;
use socket2::Socket;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::packet;
use super::port::Port;
use super::receive::{Down, receive};
use crate::engine::Event;
use crate::filter::Program;
use crate::wire::ethernet::{EthernetHeader, FRAME_LEN, HEADER_LEN, LINK_FRAME, LONGEST_FRAME};

/// Sends and receives the speakers' own frames on a port's link.
#[derive(Debug)]
pub struct FramePort {
    /// The port of the same link, which knows its MAC.
    port: Arc<Port>,
    socket: AsyncFd<Socket>,
    counters: FrameCounters,
}

/// What happened since it was opened.
#[derive(Debug, Default)]
pub struct FrameCounters {
    received: AtomicU64,
    sent: AtomicU64,
    unheard: AtomicU64,
    receive_errors: AtomicU64,
    send_errors: AtomicU64,
    queue_drops: AtomicU64,
}

impl FrameCounters {
    /// Frames read: those that passed the kernel filter.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Frames handed to the kernel.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Frames that the engine was too busy to take.
    pub fn unheard(&self) -> u64 {
        self.unheard.load(Ordering::Relaxed)
    }

    /// Failed reads, `ENETDOWN` included.
    pub fn receive_errors(&self) -> u64 {
        self.receive_errors.load(Ordering::Relaxed)
    }

    /// Frames that the kernel did not take.
    pub fn send_errors(&self) -> u64 {
        self.send_errors.load(Ordering::Relaxed)
    }

    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl FramePort {
    /// Opens a second socket on the link of `port`. Needs what [`Port::open`] needs.
    ///
    /// # Errors
    /// The failing system call's; `ENODEV` when the link has gone in the meantime.
    pub fn open(port: Arc<Port>) -> io::Result<Self> {
        let index = port.index();
        let socket = packet::open(index, LINK_FRAME, &Program::link_frames(index))?;
        Ok(Self { port, socket, counters: FrameCounters::default() })
    }

    /// One on another socket that takes and gives whole frames, as [`Port::on`].
    #[cfg(test)]
    pub(crate) fn on(port: Arc<Port>, socket: Socket) -> io::Result<Self> {
        let socket = packet::register(socket)?;
        Ok(Self { port, socket, counters: FrameCounters::default() })
    }

    /// Counters since it was opened.
    pub fn counters(&self) -> &FrameCounters {
        &self.counters
    }

    /// Sends `payload` to `to`, from the link's own MAC, at once or not at all.
    ///
    /// # Errors
    /// As [`Port::send`], and `EMSGSIZE` when it is too long for the link. Counted here.
    pub fn send(&self, to: MacAddr, payload: &[u8]) -> io::Result<()> {
        let mut header = [0; HEADER_LEN];
        EthernetHeader { destination: to, source: self.port.mac(), ethertype: LINK_FRAME }
            .emit(&mut header);
        let mut frame = [&header, payload].concat();
        if frame.len() < FRAME_LEN {
            frame.resize(FRAME_LEN, 0);
        }
        let sent = packet::send(self.socket.get_ref(), &frame);
        let counters = &self.counters;
        FrameCounters::add(if sent.is_ok() { &counters.sent } else { &counters.send_errors });
        sent
    }

    /// As [`Port::queue_drops`], of the speakers' own frames.
    ///
    /// # Errors
    /// From `getsockopt`; not expected on an open socket.
    pub fn queue_drops(&self) -> io::Result<u64> {
        let new = u64::from(packet::take_drops(self.socket.get_ref())?);
        Ok(self.counters.queue_drops.fetch_add(new, Ordering::Relaxed) + new)
    }

    /// Hands every frame that arrives to `events`, padding included, until the task is aborted;
    /// returns only if the runtime's I/O driver has gone. When the channel is full the frame is
    /// counted and dropped.
    pub async fn run(&self, events: &mpsc::Sender<Event>) -> io::Error {
        let mut buffer = [0; LONGEST_FRAME];
        let errors = &self.counters.receive_errors;
        let handle = |frame: &[u8]| self.handle(frame, events);
        receive(&self.socket, self.port.index(), &mut buffer, errors, Down::Counted, handle).await
    }

    fn handle(&self, frame: &[u8], events: &mpsc::Sender<Event>) {
        FrameCounters::add(&self.counters.received);
        // The filter lets nothing else through.
        let Ok((header, payload)) = EthernetHeader::parse(frame) else { return };
        // Come back by a loop or a mirror port.
        if header.source == self.port.mac() {
            return;
        }
        let link = self.port.index();
        let event = Event::Frame { link, source: header.source, bytes: payload.to_vec() };
        if events.try_send(event).is_err() {
            FrameCounters::add(&self.counters.unheard);
        }
    }
}
