//! The fence: until when this replica may write, and in which of all terms. Asked before every
//! single write, so that losing the lease, or just being paused for too long, stops the very next
//! one.
#![expect(
    clippy::disallowed_methods,
    reason = "the lease runs by this machine's own clock, read here and nowhere else"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The process's clock: time since it was made.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Starts it.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has run.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// The moment `elapsed` after it was started.
    pub fn at(self, elapsed: Duration) -> Instant {
        self.0 + elapsed
    }
}

/// Until when writes are allowed; all clones are one fence.
#[derive(Debug, Clone)]
pub struct Fence {
    clock: Clock,
    /// In milliseconds of the clock; 0: not at all.
    until: Arc<AtomicU64>,
    epoch: Arc<AtomicU64>,
    /// In seconds since 1970; 0: not known.
    installed: Arc<AtomicI64>,
}

impl Fence {
    /// A closed fence.
    pub fn new(clock: Clock) -> Self {
        Self { clock, until: Arc::default(), epoch: Arc::default(), installed: Arc::default() }
    }

    /// Allows writes until `until`, or not at all.
    pub fn set(&self, until: Option<Duration>) {
        let until = until.unwrap_or_default().as_millis();
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        self.until.store(until, Ordering::SeqCst);
    }

    /// Says how often the lease has changed hands, us taking it included.
    pub fn begin(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::SeqCst);
    }

    /// How often the lease has changed hands; what a later leader writes carries a higher number.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Says when the lease was first held by anybody, in seconds since 1970.
    pub fn set_installed(&self, at: i64) {
        self.installed.store(at, Ordering::SeqCst);
    }

    /// When the lease was first held by anybody, in seconds since 1970: before that, addresses were
    /// given by another program. `None`: not known.
    pub fn installed(&self) -> Option<i64> {
        Some(self.installed.load(Ordering::SeqCst)).filter(|at| *at != 0)
    }

    /// Whether a write may be sent now.
    pub fn is_open(&self) -> bool {
        let until = Duration::from_millis(self.until.load(Ordering::SeqCst));
        self.clock.elapsed() < until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_closes_by_itself() {
        let clock = Clock::start();
        let fence = Fence::new(clock);
        assert!(!fence.is_open());
        fence.set(Some(Duration::from_secs(4)));
        assert!(fence.clone().is_open());
        tokio::time::advance(Duration::from_secs(4)).await;
        assert!(!fence.is_open());
        fence.set(Some(Duration::from_secs(8)));
        fence.set(None);
        assert!(!fence.is_open());
    }
}
