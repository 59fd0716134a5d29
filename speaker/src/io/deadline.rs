//! The dead man's switch: until when the ports may answer.
//!
//! The engine moves it on for as long as it knows that it is heard. A speaker that hangs, or whose
//! process or machine stood still, finds it passed and says nothing, however many requests were
//! waiting in its sockets: time goes on while it does not. Ports read it for every answer, just
//! before they send it, so between the look and the send there are some microseconds, in which a
//! process could still be stopped; no program can do without those.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::clock::Clock;
use crate::moment::Moment;

/// Until when the ports may answer; cheap to clone, and the same for all clones.
#[derive(Debug, Clone)]
pub struct Deadline {
    clock: Clock,
    /// In nanoseconds of the clock. It has 584 years; the last of them stands for *for ever*.
    until: Arc<AtomicU64>,
}

impl Deadline {
    /// One that has passed: nothing is answered before it is renewed.
    pub fn new(clock: Clock) -> Self {
        Self { clock, until: Arc::new(AtomicU64::new(0)) }
    }

    /// Answers are allowed until `moment`.
    pub fn renew(&self, moment: Moment) {
        self.until.store(nanoseconds(moment), Ordering::Relaxed);
    }

    /// Whether answers are no longer allowed.
    pub fn has_passed(&self) -> bool {
        nanoseconds(self.clock.now()) >= self.until.load(Ordering::Relaxed)
    }
}

fn nanoseconds(moment: Moment) -> u64 {
    u64::try_from(moment.since(Moment::START).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_begins_passed_and_is_passed_again_when_nobody_renews_it() {
        let clock = Clock::new();
        let deadline = Deadline::new(clock);
        assert!(deadline.has_passed());
        let port = deadline.clone();
        deadline.renew(clock.now() + Duration::from_hours(1));
        assert!(!port.has_passed());
        deadline.renew(clock.now());
        assert!(port.has_passed());
        deadline.renew(Moment::END);
        assert!(!port.has_passed());
    }
}
