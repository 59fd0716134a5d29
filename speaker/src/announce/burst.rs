//! When gratuitous ARP is sent, or its equal in IPv6: a schedule, kept as data.
//!
//! An address that appears on a link is announced there in several [`ROUNDS`], because a single
//! broadcast may be lost and because a Linux client that has just learned an owner ignores
//! further *replies* for a second (`locktime`): the rounds after that second reach it. Nothing is
//! sent again for an address that stays where it is.
//!
//! A node that inherits a thousand addresses must not flood the segment, and some switches shut a
//! port that sends too much ARP, so each link has a pace.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crds::model::ids::IfIndex;

use crate::moment::Moment;

/// When the rounds of a burst come, counted from its start.
pub const ROUNDS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(150),
    Duration::from_millis(1_100),
    Duration::from_millis(2_200),
    Duration::from_millis(4_400),
];

/// One announcement due: an address on a link. For IPv4 that is two frames, a request and a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The link to announce on.
    pub link: IfIndex,
    /// The address announced.
    pub address: IpAddr,
}

/// A sender that woke up late may make up for this much of its pace at once.
const CATCH_UP: Duration = Duration::from_millis(10);

/// The schedule of all links.
#[derive(Debug)]
pub struct Bursts {
    /// The time between two announcements on one link.
    gap: Duration,
    running: BTreeMap<Target, Running>,
    links: BTreeMap<IfIndex, Link>,
}

/// A burst under way: its next round, and when that is due.
#[derive(Debug)]
struct Running {
    started: Moment,
    round: usize,
    due: Moment,
}

/// What waits for one link.
#[derive(Debug, Default)]
struct Link {
    queue: BTreeSet<(Moment, IpAddr)>,
    /// The pace allows the next announcement from here on.
    free_from: Moment,
}

impl Link {
    fn next(&self) -> Option<Moment> {
        self.queue.first().map(|(due, _)| self.free_from.max(*due))
    }
}

impl Bursts {
    /// An empty schedule that makes at most `per_second` announcements a second on each link.
    pub fn new(per_second: u32) -> Self {
        let gap = Duration::from_secs(1) / per_second.max(1);
        Self { gap, running: BTreeMap::new(), links: BTreeMap::new() }
    }

    /// Starts the rounds of `target`; one that is running begins anew.
    pub fn start(&mut self, target: Target, now: Moment) {
        self.stop(target);
        self.running.insert(target, Running { started: now, round: 0, due: now });
        self.links.entry(target.link).or_default().queue.insert((now, target.address));
    }

    /// Forgets `target`: it is announced elsewhere now, or nowhere.
    pub fn stop(&mut self, target: Target) {
        let link = self.links.get_mut(&target.link);
        if let (Some(Running { due, .. }), Some(link)) = (self.running.remove(&target), link) {
            link.queue.remove(&(due, target.address));
        }
    }

    /// When [`due`](Self::due) has something to give next.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.links.values().filter_map(Link::next).min()
    }

    /// Takes out what is to be sent now, at the pace of each link; what has waited longest first.
    pub fn due(&mut self, now: Moment) -> Vec<Target> {
        let mut targets = Vec::new();
        for (&index, link) in &mut self.links {
            while link.next().is_some_and(|next| next <= now) {
                let Some((_, address)) = link.queue.pop_first() else {
                    break;
                };
                link.free_from = link.free_from.max(now - CATCH_UP) + self.gap;
                let target = Target { link: index, address };
                targets.push(target);
                let Some(running) = self.running.get_mut(&target) else {
                    continue;
                };
                running.round += 1;
                if let Some(after) = ROUNDS.get(running.round) {
                    running.due = running.started + *after;
                    link.queue.insert((running.due, address));
                } else {
                    self.running.remove(&target);
                }
            }
        }
        targets
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn number(address: IpAddr) -> u32 {
        match address {
            IpAddr::V4(v4) => v4.to_bits(),
            IpAddr::V6(v6) => panic!("{v6}"),
        }
    }

    fn target(n: u32) -> Target {
        Target { link: IfIndex(1), address: Ipv4Addr::from_bits(n).into() }
    }

    /// Lets time pass in steps of a millisecond; gives what was sent, and after how many of them.
    fn run(bursts: &mut Bursts, from: u64, to: u64) -> Vec<(u64, u32)> {
        (from..to)
            .flat_map(|ms| {
                let due = bursts.due(Moment::after_start(Duration::from_millis(ms)));
                due.into_iter().map(move |target| (ms, number(target.address)))
            })
            .collect()
    }

    #[test]
    fn one_address_is_announced_in_every_round_and_then_no_more() {
        let mut bursts = Bursts::new(1_000);
        bursts.start(target(7), Moment::START);
        let sent = run(&mut bursts, 0, 20_000);
        assert_eq!(sent, [(0, 7), (150, 7), (1_100, 7), (2_200, 7), (4_400, 7)]);
        assert_eq!(bursts.next_deadline(), None);
    }

    #[test]
    fn a_withdrawn_address_is_not_announced_again() {
        let mut bursts = Bursts::new(1_000);
        bursts.start(target(7), Moment::START);
        assert_eq!(run(&mut bursts, 0, 1_000).len(), 2);
        bursts.stop(target(7));
        assert_eq!(run(&mut bursts, 1_000, 9_000), []);
    }

    #[test]
    fn starting_again_begins_anew() {
        let mut bursts = Bursts::new(1_000);
        bursts.start(target(7), Moment::START);
        assert_eq!(run(&mut bursts, 0, 1_000).len(), 2);
        bursts.start(target(7), Moment::after_start(Duration::from_secs(1)));
        assert_eq!(run(&mut bursts, 1_000, 9_000).len(), ROUNDS.len());
    }

    #[test]
    fn many_addresses_keep_the_pace_of_the_link_and_all_get_every_round() {
        let mut bursts = Bursts::new(100);
        for n in 0..300 {
            bursts.start(target(n), Moment::START);
        }
        let sent = run(&mut bursts, 0, 60_000);
        assert_eq!(sent.len(), 300 * ROUNDS.len());
        for window in sent.windows(3) {
            assert!(window[2].0 >= window[0].0 + 10, "{window:?}");
        }
        assert!(sent.last() >= Some(&(14_900, 0)), "{:?}", sent.last());
        // What has waited longest goes first: nobody's first round waits for others' later ones.
        let first_of = |n| sent.iter().find(|(_, address)| *address == n).map(|(at, _)| *at);
        assert_eq!(first_of(0), Some(0));
        assert!(first_of(299) <= Some(3_000), "{:?}", first_of(299));
    }

    #[test]
    fn links_do_not_wait_for_one_another() {
        let mut bursts = Bursts::new(10);
        for link in 1..=20 {
            let address = Ipv4Addr::from_bits(1).into();
            bursts.start(Target { link: IfIndex(link), address }, Moment::START);
        }
        assert_eq!(bursts.due(Moment::START).len(), 20);
    }
}
