//! Watches the wire from the client: asks for each address every few milliseconds, as a host does
//! that knows no MAC yet, and records who answers, by the kernel's receive stamps. What it saw is a
//! [`Trace`]; what that means is decided there.
//!
//! It asks from addresses of its own that no interface has, one of each family. The replies to the
//! kernel's own lookups, and those to a second observer, then go to another address and are not
//! mistaken for answers. It also records its own lateness: on a busy machine a gap may be its own.

mod arp;
mod asker;
mod family;
mod forged;
mod ndp;
mod said;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};

use self::asker::Asker;
use self::family::Family;
use crate::cluster::Lab;
use crate::plan::{FIRST_OBSERVER, Machine, observer6};
use crate::trace::Trace;
use crate::wait::{Look, SOON, until};

pub use self::forged::forge_claims;
pub use self::said::{Kind, Mac, Said};

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
    pub fn watch(lab: &Lab, addresses: &[IpAddr]) -> Result<Self> {
        Self::watch_every(lab, addresses, INTERVAL)
    }

    pub fn watch_every(lab: &Lab, addresses: &[IpAddr], interval: Duration) -> Result<Self> {
        Self::watch_from(lab, &lab.facts.plan.client, addresses, interval)
    }

    /// Watches from another machine on the segment: what a cut wire hides from the client.
    pub fn watch_from(
        lab: &Lab,
        machine: &Machine,
        addresses: &[IpAddr],
        interval: Duration,
    ) -> Result<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        // 50 numbers; by the time one comes again, its first observer is long gone.
        let number = FIRST_OBSERVER + NEXT.fetch_add(1, Ordering::Relaxed) % 50;
        let [a, b, c, _] = machine.ip.octets();
        let own: [IpAddr; 2] = [Ipv4Addr::new(a, b, c, number).into(), observer6(number).into()];
        let needed = |own: &IpAddr| addresses.iter().any(|ip| ip.is_ipv4() == own.is_ipv4());
        let families = own.into_iter().filter(needed).map(|own| Family::open(machine, own));
        let asker = Asker {
            families: families.collect::<Result<_>>()?,
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

    /// Forgets what was seen until now: of a long observation only the last fault matters.
    pub fn forget(&self) {
        let mut trace = self.shared.lock();
        *trace = trace.since(trace.end);
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

    /// Waits until nobody has announced anything for this long: a first announcement is repeated for
    /// some seconds.
    pub async fn hush(&self, quiet: Duration) -> Result<()> {
        until(SOON, &format!("{quiet:?} without an announcement"), async || {
            let last = self.peek(|trace| trace.announcements.last().copied());
            let silence = self.now().saturating_sub(last.map_or(Duration::ZERO, |it| it.at));
            Ok(Look::when((silence >= quiet).then_some(()), || format!("{last:?}")))
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

fn now() -> Result<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")
}
