//! The clock: the one place where the speaker reads time.

use tokio::time::Instant;

use crate::moment::Moment;

/// Measures from its own making, by a clock that never runs backwards.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::new_without_default, reason = "a default value should not read a clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// The time since the start.
    pub fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    /// The instant that `moment` stands for, for the runtime's timers.
    pub fn instant(&self, moment: Moment) -> Instant {
        self.start + moment.since(Moment::START)
    }
}

/// Milliseconds since 1970, by the machine's clock; zero if that stands before 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "orders the lives of one agent; nothing else uses it"
)]
pub fn wall_clock_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
