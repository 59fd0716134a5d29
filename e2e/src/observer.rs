//! Watches the wire from the client: asks for each address by broadcast every few milliseconds and
//! records who answers, by the kernel's receive stamps. What it saw is a [`Trace`]; what that means
//! is decided there.
//!
//! It asks from an IP address of its own that no interface has. The replies to the kernel's own
//! lookups, and those to a second observer, then name another target and are not mistaken for
//! answers. It also records its own lateness: on a busy machine a gap may be its own.

pub mod arp;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use socket2::Socket;

use self::arp::{Arp, ETHERTYPE, Kind, Mac};
use crate::cluster::Lab;
use crate::plan::FIRST_OBSERVER;
use crate::raw;
use crate::trace::{Announcement, Answer, Trace};
use crate::wait::{Look, until};

/// How often each address is asked for, unless a test says otherwise.
pub const INTERVAL: Duration = Duration::from_millis(10);

/// A running observation; ends when it is finished or dropped.
#[derive(Debug)]
pub struct Observer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    trace: Mutex<Trace>,
    /// The trace's zero, since the epoch.
    zero: Duration,
}

impl Observer {
    /// Watches these addresses at the usual pace.
    pub fn watch(lab: &Lab, addresses: &[Ipv4Addr]) -> Result<Self> {
        Self::watch_every(lab, addresses, INTERVAL)
    }

    pub fn watch_every(lab: &Lab, addresses: &[Ipv4Addr], interval: Duration) -> Result<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        // 50 numbers; by the time one comes again, its first observer is long gone.
        let number = FIRST_OBSERVER + NEXT.fetch_add(1, Ordering::Relaxed) % 50;
        let [a, b, c, _] = lab.facts.plan.client.ip.octets();
        let asker = Asker {
            socket: raw::packet_socket("eth0", ETHERTYPE).context("opening a packet socket")?,
            mac: lab.facts.plan.client.mac.parse()?,
            ip: Ipv4Addr::new(a, b, c, number),
            addresses: addresses.to_vec(),
            known: addresses.iter().copied().collect(),
            interval,
        };
        let mut trace = Trace::empty(addresses, interval);
        for machine in lab.facts.plan.machines() {
            trace.name(machine.mac.parse()?, &machine.name);
        }
        let zero = now()?;
        let stop = AtomicBool::new(false);
        let shared = Arc::new(Shared { stop, trace: Mutex::new(trace), zero });
        let thread = std::thread::Builder::new().name("observer".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || asker.run(&shared)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Now, on the trace's clock: what to compare its times with.
    pub fn now(&self) -> Duration {
        now().unwrap_or_default().saturating_sub(self.shared.zero)
    }

    /// Looks at the trace so far.
    pub fn peek<T>(&self, look: impl FnOnce(&Trace) -> T) -> T {
        look(&self.shared.lock())
    }

    /// Waits until every address has had one answerer, and the same, for this long. To be called
    /// before each fault: what a heal stirs up takes its time to lie down.
    pub async fn settle(&self, quiet: Duration, deadline: Duration) -> Result<()> {
        let since_start = self.now();
        until(deadline, "one steady answerer for each address", async || {
            let now = self.now();
            if now < since_start + quiet {
                return Ok(Look::NotYet("not long enough".to_owned()));
            }
            Ok(match self.peek(|trace| trace.steady_since(now.saturating_sub(quiet))) {
                Ok(()) => Look::Seen(()),
                Err(why) => Look::NotYet(why),
            })
        })
        .await
    }

    /// Ends the observation and hands over what was seen.
    pub fn finish(mut self) -> Result<Trace> {
        self.end()?;
        Ok(self.shared.lock().clone())
    }

    fn end(&mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        match self.thread.take() {
            Some(thread) => thread.join().map_err(|_| anyhow!("the observer died"))?,
            None => Ok(()),
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // Only a test that fails drops it unfinished, and then this tells why it failed.
        if self.thread.is_some() && self.end().is_ok() {
            eprintln!("{}", self.shared.lock());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Trace> {
        // A test that panicked while it looked has changed nothing.
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's side.
struct Asker {
    socket: Socket,
    mac: Mac,
    ip: Ipv4Addr,
    addresses: Vec<Ipv4Addr>,
    known: BTreeSet<Ipv4Addr>,
    interval: Duration,
}

/// What was seen since it was last handed over.
#[derive(Default)]
struct Batch {
    asks: Vec<Duration>,
    answers: Vec<Answer>,
    announcements: Vec<Announcement>,
    lag: Duration,
    skipped: usize,
}

impl Asker {
    fn run(&self, shared: &Shared) -> Result<()> {
        // Ahead of the machine's other work: a late observer sees gaps that nobody made.
        raw::prefer_this_thread();
        let questions: Vec<_> =
            self.addresses.iter().map(|ip| Arp::request(self.mac, self.ip, *ip)).collect();
        let mut batch = Batch::default();
        let mut due = Instant::now();
        while !shared.stop.load(Ordering::Relaxed) {
            let lag = due.elapsed();
            batch.lag = batch.lag.max(lag);
            // Whole intervals missed are skipped and counted, not made up for in a burst.
            while due.elapsed() >= self.interval {
                due += self.interval;
                batch.skipped += 1;
            }
            batch.asks.push(now()?.saturating_sub(shared.zero));
            for question in &questions {
                match self.socket.send(question) {
                    // A full queue or a downed link is an ask without an answer.
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                        return Err(error).context("asking");
                    }
                    _ => {}
                }
            }
            due += self.interval;
            self.listen_until(due, shared.zero, &mut batch)?;
            // Never waits for a test that looks: then it is handed over at the next tick.
            if let Ok(mut trace) = shared.trace.try_lock() {
                hand_over(&mut trace, std::mem::take(&mut batch));
            }
        }
        // What is still on its way belongs to the last ask.
        self.listen_until(Instant::now() + self.interval, shared.zero, &mut batch)?;
        let mut trace = shared.lock();
        hand_over(&mut trace, batch);
        trace.end = now()?.saturating_sub(shared.zero);
        Ok(())
    }

    fn listen_until(&self, due: Instant, zero: Duration, batch: &mut Batch) -> Result<()> {
        let mut frame = [0; 2048];
        loop {
            match raw::receive(&self.socket, &mut frame) {
                Ok((length, at)) => {
                    let arp = frame.get(..length).and_then(Arp::parse);
                    if let Some(arp) = arp {
                        self.note(arp, at.saturating_sub(zero), batch);
                    }
                }
                // The link went down; the socket works again when it is up.
                Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = due.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(());
                    }
                    raw::wait_readable(&self.socket, left)?;
                }
                Err(error) => return Err(error).context("listening"),
            }
            if Instant::now() >= due {
                // Frames in a flood must not keep the next question waiting.
                return Ok(());
            }
        }
    }

    fn note(&self, arp: Arp, at: Duration, batch: &mut Batch) {
        let Arp { kind, frame_source, sender_mac: mac, sender_ip, target_ip } = arp;
        match kind {
            Kind::Answer if target_ip == self.ip && self.known.contains(&sender_ip) => {
                batch.answers.push(Answer { at, ip: sender_ip, mac, frame_source });
            }
            Kind::GratuitousRequest | Kind::GratuitousReply if self.known.contains(&sender_ip) => {
                batch.announcements.push(Announcement { at, ip: sender_ip, mac, kind });
            }
            Kind::Probe if self.known.contains(&target_ip) => {
                batch.announcements.push(Announcement { at, ip: target_ip, mac, kind });
            }
            Kind::Answer
            | Kind::GratuitousRequest
            | Kind::GratuitousReply
            | Kind::Probe
            | Kind::Question => {}
        }
    }
}

fn hand_over(trace: &mut Trace, batch: Batch) {
    let Batch { asks, answers, announcements, lag, skipped } = batch;
    trace.end = asks.last().copied().unwrap_or(trace.end);
    trace.asks.extend(asks);
    trace.answers.extend(answers);
    trace.announcements.extend(announcements);
    trace.lag = trace.lag.max(lag);
    trace.skipped += skipped;
}

fn now() -> Result<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")
}
