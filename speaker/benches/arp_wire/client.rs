//! The asking side: one blocking packet socket in the client's namespace.
#![expect(unsafe_code, reason = "sockaddr_ll has no safe constructor")]

use std::io::{ErrorKind, Read as _};
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use crds::model::ids::MacAddr;
use serde_json::{Value, json};
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};
use speaker::wire::arp::{ArpFrame, ArpRepr, Operation};
use speaker::wire::ethernet::FRAME_LEN;

use crate::cpu;
use crate::netns::{CLIENT_LINK, CLIENT_MAC, Wire};
use crate::responder::Responder;

/// After so long without an answer a request counts as lost.
const PATIENCE: Duration = Duration::from_millis(200);
const WARM_UP: usize = 500;

pub struct Client(Socket);

/// The outcome of one load run.
pub struct Load {
    replies: u64,
    seconds: f64,
    pub lost: u64,
}

impl Load {
    pub fn replies_per_second(&self) -> f64 {
        self.replies as f64 / self.seconds
    }
}

/// The outcome of one flood run; CPU in percent of one core.
pub struct Flood {
    pub sent: u64,
    pub responder: f64,
    pub sender: f64,
    pub machine: f64,
}

impl Flood {
    pub fn json(&self) -> Value {
        let Self { sent, responder, sender, machine } = self;
        json!({ "sent": sent, "responder": responder, "sender": sender, "machine": machine })
    }
}

impl Client {
    pub fn open(wire: &Wire) -> Self {
        let index = wire.client.index(CLIENT_LINK);
        let protocol = 0x0806_u16.to_be();
        wire.client.within(|| {
            let socket = Socket::new(Domain::PACKET, Type::RAW, None).unwrap();
            let mut storage = SockAddrStorage::zeroed();
            // SAFETY: `sockaddr_ll` is one of the types that the storage is made to hold.
            let link: &mut nix::libc::sockaddr_ll = unsafe { storage.view_as() };
            link.sll_family = u16::try_from(nix::libc::AF_PACKET).unwrap();
            link.sll_protocol = protocol;
            link.sll_ifindex = i32::try_from(index.0).unwrap();
            let len = u32::try_from(size_of::<nix::libc::sockaddr_ll>()).unwrap();
            // SAFETY: the storage holds a complete `sockaddr_ll`.
            socket.bind(&unsafe { SockAddr::new(storage, len) }).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            Self(socket)
        })
    }

    /// Asks for `targets` in turn, one at a time; the times in nanoseconds, ascending. The client
    /// spins for the reply: waking it would cost more than what is to be measured.
    pub fn round_trips(&self, targets: &[u32], count: usize) -> Vec<u64> {
        self.0.set_nonblocking(true).unwrap();
        let ask = |target: u32| {
            let frame = request(target);
            let start = Instant::now();
            self.0.send(&frame).unwrap();
            while self.reply() != Some(target) {
                assert!(start.elapsed() < 20 * PATIENCE, "a single request got no answer");
            }
            u64::try_from(start.elapsed().as_nanos()).unwrap()
        };
        let mut targets = targets.iter().cycle();
        let mut next = || ask(*targets.next().unwrap());
        for _ in 0..WARM_UP {
            next();
        }
        let mut times: Vec<u64> = (0..count).map(|_| next()).collect();
        times.sort_unstable();
        self.0.set_nonblocking(false).unwrap();
        times
    }

    /// Keeps `window` requests in flight.
    pub fn load(&self, targets: &[u32], window: usize, time: Duration) -> Load {
        let frames: Vec<_> = targets.iter().map(|&target| request(target)).collect();
        let mut frames = frames.iter().cycle();
        let mut send = || self.0.send(frames.next().unwrap()).unwrap();
        let (mut replies, mut lost) = (0, 0);
        let start = Instant::now();
        for _ in 0..window {
            send();
        }
        while start.elapsed() < time {
            if self.reply().is_some() {
                replies += 1;
                send();
            } else {
                // Nothing at all for a while: the whole window is gone.
                lost += window as u64;
                for _ in 0..window {
                    send();
                }
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        while self.reply().is_some() {}
        Load { replies, seconds, lost }
    }

    /// Sends requests for nobody's address at an even rate, in one batch each millisecond.
    pub fn flood(&self, rate: u32, time: Duration, responder: Option<&Responder>) -> Flood {
        let frame = request(u32::from_be_bytes([198, 51, 100, 7]));
        let own = std::process::id();
        let responders = || responder.map_or(0, |responder| cpu::of_process(responder.pid()));
        let cores = thread::available_parallelism().unwrap().get() as f64;
        let (idle, sender, answering) =
            (cpu::idle_of_machine(), cpu::of_process(own), responders());
        let start = Instant::now();
        let batch = u64::from(rate / 1000);
        let mut sent = 0;
        let mut due = start;
        while start.elapsed() < time {
            for _ in 0..batch {
                self.0.send(&frame).unwrap();
            }
            sent += batch;
            due += Duration::from_millis(1);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let seconds = start.elapsed().as_secs_f64();
        let percent = |nanoseconds: u64| nanoseconds as f64 / 1e7 / seconds;
        Flood {
            sent,
            responder: percent(responders() - answering),
            sender: percent(cpu::of_process(own) - sender),
            machine: (cores - (cpu::idle_of_machine() - idle) / seconds) * 100.0,
        }
    }

    /// The address in the next reply; `None` when there is none in time.
    fn reply(&self) -> Option<u32> {
        let mut buffer = [0; 128];
        loop {
            match (&self.0).read(&mut buffer) {
                Ok(len) => {
                    if let Ok(frame) = ArpFrame::parse(&buffer[..len])
                        && frame.arp.operation == Operation::Reply
                    {
                        return Some(frame.arp.sender_ip.to_bits());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn request(target: u32) -> [u8; FRAME_LEN] {
    let arp = ArpRepr {
        operation: Operation::Request,
        sender_mac: CLIENT_MAC,
        sender_ip: Ipv4Addr::new(192, 0, 2, 1),
        target_mac: MacAddr::ZERO,
        target_ip: Ipv4Addr::from_bits(target),
    };
    ArpFrame { destination: MacAddr::BROADCAST, source: CLIENT_MAC, arp }.to_frame()
}
