//! TCP connections among the speakers, on which nothing is said: a process that dies is told of by
//! its kernel, which closes its connections at once.
//!
//! ```text
//!  attendant                      attended
//!      | -------- SYN ... ------->  |   the kernel's doing; a hung process would do as much
//!      | <------- GREETING -------  |   the process has taken the connection: now it is up
//!      |            ...             |
//!      | <------- FIN, RST -------  |   it has ended: Hangup
//! ```
//!
//! Only what the other machine's kernel says counts. A connection that times out says nothing of
//! the process, so it is made again without a word. One that is refused where there was one before
//! says the same as one that is closed: a process that starts again and dies at once may never have
//! been connected to. Where there never was one, a firewall may be refusing. Nothing is decided
//! here: what a hangup means is the engine's business. A hung process keeps its connections; others
//! find that out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::Event;

/// What the one that is attended says first, and last.
const GREETING: &[u8] = b"ferrolb\n";
/// How long a connection may take to be up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause before the next attempt. A speaker that starts again is found within this time.
const PAUSE: Duration = Duration::from_millis(500);
/// A machine that has vanished is noticed by its silence, after about eleven seconds. Long before
/// that it is known to be gone; this only gets rid of the connection.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(2), 3);
/// The most connections held at a time.
const MOST: usize = 256;
/// The most of them from one address: a speaker needs one, and a moment later another, when it was
/// started again. So strangers need many machines to keep speakers out.
const MOST_FROM_ONE: usize = 4;
/// The same from one network of IPv6, of whose addresses anybody on it has as many as there are: there three
/// watchers are, and those that follow them.
const MOST_FROM_ONE_NETWORK: usize = 16;
/// The pause after the kernel could not give a connection; most likely descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connections to those that are to be attended. Dropping it closes them all.
#[derive(Debug)]
pub struct Attendance {
    /// Where connections are made from.
    from: IpAddr,
    events: mpsc::Sender<Event>,
    kept: BTreeMap<SocketAddr, AbortOnDropHandle<()>>,
}

impl Attendance {
    /// Attends nobody yet; connections will be made from the address `from`, and `events` told of
    /// each that was up and has ended.
    pub fn new(from: IpAddr, events: mpsc::Sender<Event>) -> Self {
        Self { from, events, kept: BTreeMap::new() }
    }

    /// Attends exactly `wanted` from now on. Connections to those that stay wanted stay up.
    pub fn set(&mut self, wanted: &BTreeSet<SocketAddr>) {
        self.kept.retain(|address, _| wanted.contains(address));
        for to in wanted {
            let (from, events) = (self.from, self.events.clone());
            self.kept
                .entry(*to)
                .or_insert_with(|| AbortOnDropHandle::new(tokio::spawn(keep(from, *to, events))));
        }
    }
}

/// Keeps a connection up, for ever.
async fn keep(from: IpAddr, to: SocketAddr, events: mpsc::Sender<Event>) {
    let mut was_up = false;
    loop {
        let made = tokio::time::timeout(CONNECT_TIMEOUT, connect(from, to)).await;
        let is_news = match made {
            Ok(Ok(stream)) => {
                was_up = true;
                ended(stream).await == End::Closed
            }
            Ok(Err(error)) => was_up && error.kind() == ErrorKind::ConnectionRefused,
            Err(_) => false,
        };
        if is_news && events.send(Event::Hangup(to)).await.is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A connection that is up: the process at its other end has greeted.
async fn connect(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The address that members know this node by, whatever route the kernel would choose.
    if !from.is_unspecified() && from.is_ipv4() == to.is_ipv4() {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let mut stream = socket.connect(to).await?;
    keep_alive(&stream)?;
    let mut greeting = [0; GREETING.len()];
    stream.read_exact(&mut greeting).await?;
    if greeting == GREETING { Ok(stream) } else { Err(ErrorKind::InvalidData.into()) }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By the other kernel's word.
    Closed,
    /// By its silence, or by a fault of our own.
    Lost,
}

/// Waits until `stream` ends, and discards what comes before.
async fn ended(mut stream: TcpStream) -> End {
    let mut buffer = [0; 256];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return End::Closed,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return End::Closed,
            Err(_) => return End::Lost,
        }
    }
}

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let (idle, interval, probes) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(idle).with_interval(interval);
    SockRef::from(stream).set_tcp_keepalive(&keepalive.with_retries(probes))
}

/// Where others connect to.
#[derive(Debug)]
pub struct Attended(TcpListener);

impl Attended {
    /// Listens on `address`.
    ///
    /// # Errors
    /// The system call's, most likely `EADDRINUSE`.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    /// Greets and holds every connection until it ends, up to some limits; for ever. A speaker says nothing
    /// on it, so whoever does is none, and is hung up on.
    pub async fn run(self) {
        let held = Arc::new(Held::default());
        loop {
            match self.0.accept().await {
                Ok((stream, from)) => {
                    // Closed at once if it is one too many: without a greeting, so it never was up.
                    if let Some(place) = Held::place(&held, from.ip()) {
                        tokio::spawn(hold(stream, place));
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot take a speaker's connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn hold(mut stream: TcpStream, _place: Place) {
    // The greeting fits into an empty buffer, so this waits for nobody.
    if keep_alive(&stream).is_ok() && stream.write_all(GREETING).await.is_ok() {
        let _ended_or_spoken = stream.read(&mut [0]).await;
    }
}

/// How many connections are held, by where they came from.
#[derive(Debug, Default)]
struct Held(Mutex<BTreeMap<IpAddr, usize>>);

impl Held {
    /// A place for one more from `from`, unless there are too many.
    fn place(this: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let mut held = this.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.values().sum::<usize>() >= MOST {
            return None;
        }
        let (from, most) = origin(from);
        let of_this = held.entry(from).or_default();
        if *of_this >= most {
            return None;
        }
        *of_this += 1;
        Some(Place { held: Arc::clone(this), from })
    }
}

/// What counts as one origin, and how many connections may come from it.
fn origin(from: IpAddr) -> (IpAddr, usize) {
    match from.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() >> 64 << 64;
            (Ipv6Addr::from_bits(network).into(), MOST_FROM_ONE_NETWORK)
        }
        v4 @ IpAddr::V4(_) => (v4, MOST_FROM_ONE),
    }
}

/// One connection's place; given back on drop.
#[derive(Debug)]
struct Place {
    held: Arc<Held>,
    from: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_this) = held.get_mut(&self.from) {
            *of_this -= 1;
            if *of_this == 0 {
                held.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests;
