//! How fast the mesh notices things.
//!
//! A silent member is suspected at the end of the probe period in which it did not answer, and
//! given up after the suspicion has lasted. It is the watch that has to be fast (see
//! [`crate::ownership::watch`]); the mesh brings members in, and its verdict counts only where the
//! wire gives none, so it takes its time: a twentieth of all datagrams may be lost.

use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Config, PeriodicParams};

/// The largest frame `foca` makes, so that with our seal it stays under 1,400 bytes: no
/// fragments on any usual link.
const MAX_FRAME: NonZeroUsize = NonZeroUsize::new(1_340).unwrap();
/// Bytes of a sealed datagram of the membership protocol, its kind included, at most.
pub const LONGEST_DATAGRAM: usize = MAX_FRAME.get() + 1 + super::seal::OVERHEAD;

/// The configuration of the membership protocol, the same on every member.
pub fn config() -> Config {
    let few = |count| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
    Config {
        probe_period: Duration::from_millis(400),
        probe_rtt: Duration::from_millis(120),
        num_indirect_probes: few(3),
        max_transmissions: NonZeroU8::new(10).unwrap_or(NonZeroU8::MIN),
        suspect_to_down_after: Duration::from_millis(1_500),
        // Long, so that a late frame of the dead does not bring it back; those who live renew
        // their identity and are not held up by it.
        remove_down_after: Some(Duration::from_mins(10)),
        max_packet_size: MAX_FRAME,
        // So that one who was given up in error hears of it and comes back.
        notify_down_members: true,
        periodic_announce: Some(PeriodicParams {
            frequency: Duration::from_secs(10),
            num_members: few(1),
        }),
        // While a known member is missing it is asked twice a second: healing is noticed at once.
        periodic_announce_to_down_members: Some(PeriodicParams {
            frequency: Duration::from_millis(500),
            num_members: few(3),
        }),
        // Probes carry news along; this makes sure that nobody among thirty hears of a death last
        // by chance. It sends only while there is news.
        periodic_gossip: Some(PeriodicParams {
            frequency: Duration::from_millis(200),
            num_members: few(3),
        }),
    }
}
