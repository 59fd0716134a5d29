//! The clock: the one place where the speaker reads time.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::moment::Moment;

/// Stands for "never" where a timer needs an instant.
const FOR_EVER: Duration = Duration::from_hours(365 * 24);

/// Measures from its own making, by a clock that never runs backwards and goes on while the machine
/// is suspended (`CLOCK_BOOTTIME`).
///
/// The clock of the standard library and of tokio, `CLOCK_MONOTONIC`, stands still then. By that one
/// a speaker that slept for an hour would wake with its dead man's switch a moment ahead and answer
/// for addresses that others took long ago; and its engine would not know that it had been away.
/// Reading it costs the same: no system call, some 30 ns.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Duration,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::new_without_default, reason = "a default value should not read a clock")]
    pub fn new() -> Self {
        Self { start: since_boot() }
    }

    /// The time since the start.
    pub fn now(&self) -> Moment {
        Moment::after_start(since_boot().saturating_sub(self.start))
    }

    /// The instant that `moment` stands for, for the runtime's timers. These stand still while the
    /// machine is suspended: what was to come 100 ms later comes up to 100 ms after it wakes.
    pub fn instant(&self, moment: Moment) -> Instant {
        let now = Instant::now();
        now.checked_add(moment.since(self.now())).unwrap_or(now + FOR_EVER)
    }
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME);
    Duration::from(time.expect("every Linux since 2.6.39 has this clock"))
}

/// Milliseconds since 1970, by the machine's clock; zero if that stands before 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "orders the lives of one agent, and dates what people read; decides nothing else"
)]
pub fn wall_clock_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// Until then; without a time, for ever.
pub async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_never_comes_is_a_time_far_off() {
        let clock = Clock::new();
        let never = clock.instant(Moment::END);
        assert!(never > Instant::now() + Duration::from_hours(1));
        assert!(clock.instant(Moment::START) <= Instant::now());
    }
}
