//! Duplicate addresses: other hosts that answer for what is ours.
//!
//! An address that has served is kept and defended (RFC 5227 section 2.4, c): one announcement in
//! ten seconds at most, so that two who both defend do not flood the link. One that was never
//! announced is not announced at all.
//!
//! What one frame says is asked, not believed: whoever is on the segment can send one in anybody's name. A
//! host that has the address answers; then it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crds::model::ids::{IfIndex, MacAddr};

use super::effect::Conflict;
use crate::limits;
use crate::moment::Moment;

/// DEFEND_INTERVAL of RFC 5227 section 1.1.
const DEFEND_EVERY: Duration = Duration::from_secs(10);
/// How long a member may answer before its claim must be known, and how long that is remembered.
const MEMBER_GRACE: Duration = Duration::from_secs(2);
const MEMBER_FORGOTTEN: Duration = Duration::from_mins(1);
/// A host that was not heard for this long has gone.
const FORGOTTEN: Duration = Duration::from_mins(5);

/// When it is asked on the wire who has an address that another host was heard to speak for.
const QUESTIONS: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(100)];
/// A host that has the address has answered by then, counted from the first question. What is heard later is
/// no answer.
const ANSWERED: Duration = Duration::from_millis(300);
/// An address is asked for again at the earliest after this; for so long what was heard first is remembered.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// An address that is being asked for, or was lately.
#[derive(Debug)]
struct Question {
    link: IfIndex,
    began: Moment,
    sent: usize,
}

impl Question {
    fn next(&self) -> Option<Moment> {
        QUESTIONS.get(self.sent).map(|after| self.began + *after)
    }
}

/// The conflicts known.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    known: BTreeMap<(IpAddr, MacAddr), (Conflict, Moment)>,
    defended: BTreeMap<IpAddr, Moment>,
    /// Members that answered without a claim: first, and last.
    members: BTreeMap<(IpAddr, MacAddr), (Moment, Moment)>,
    /// Other hosts that were heard once, and when.
    heard_once: BTreeMap<(IpAddr, MacAddr), Moment>,
    questions: BTreeMap<IpAddr, Question>,
}

impl Conflicts {
    /// Notes `conflict`; whether it is news. It is none that a host is heard on another link than before,
    /// nor that there are even more of them than can be told of.
    pub(super) fn note(&mut self, conflict: &Conflict, now: Moment) -> bool {
        let key = (conflict.address, conflict.mac);
        if let Some((before, heard)) = self.known.get_mut(&key) {
            *heard = now;
            let same = Conflict { link: before.link, ..conflict.clone() };
            let is_news = *before != same;
            *before = same;
            return is_news;
        }
        let every = (conflict.address, MacAddr::ZERO)..=(conflict.address, MacAddr::BROADCAST);
        let is_one_too_many = self.known.len() >= limits::CONFLICTS
            || self.known.range(every).count() >= limits::CONFLICTS_PER_ADDRESS;
        if !is_one_too_many {
            self.known.insert(key, (conflict.clone(), now));
        }
        !is_one_too_many
    }

    /// The host with `mac`, which is no member's, was heard on `link` to speak for `address`: whether that
    /// is an answer to a question of ours. Otherwise it is asked.
    pub(super) fn is_confirmed(
        &mut self,
        address: IpAddr,
        mac: MacAddr,
        link: IfIndex,
        now: Moment,
    ) -> bool {
        let key = (address, mac);
        let lately = |at: &Moment| now.since(*at) < ASK_AGAIN;
        if self.known.contains_key(&key) {
            return true;
        }
        if let Some(at) = self.heard_once.get(&key).filter(|at| lately(at)) {
            let asked = self.questions.get(&address).map(|question| question.began);
            let is_answer = |asked: Moment| now.since(asked) <= ANSWERED;
            return now > *at && asked.is_some_and(is_answer);
        }
        self.heard_once.retain(|_, at| lately(at));
        self.questions.retain(|_, question| lately(&question.began));
        if self.heard_once.len() < limits::CONFLICTS {
            self.heard_once.insert(key, now);
            self.questions.entry(address).or_insert(Question { link, began: now, sent: 0 });
        }
        false
    }

    /// Which addresses to ask for now, and on which links.
    pub(super) fn questions_due(&mut self, now: Moment) -> Vec<(IpAddr, IfIndex)> {
        let mut due = Vec::new();
        for (address, question) in &mut self.questions {
            if question.next().is_some_and(|next| next <= now) {
                question.sent += 1;
                due.push((*address, question.link));
            }
        }
        due
    }

    /// A member's MAC was heard for `address`, to which it has no claim. The claim may be on its way,
    /// and the frame an old one: it counts when it is heard again later, and still has none.
    pub(super) fn is_stubborn(&mut self, address: IpAddr, mac: MacAddr, now: Moment) -> bool {
        let (first, last) = self.members.entry((address, mac)).or_insert((now, now));
        if now.since(*last) > MEMBER_FORGOTTEN {
            *first = now;
        }
        *last = now;
        now.since(*first) >= MEMBER_GRACE
    }

    /// Whether `address` is to be announced once more, against another host.
    pub(super) fn defends(&mut self, address: IpAddr, now: Moment) -> bool {
        let is_due = self.defended.get(&address).is_none_or(|at| now.since(*at) >= DEFEND_EVERY);
        if is_due {
            self.defended.insert(address, now);
        }
        is_due
    }

    /// The host that had `address` before us has gone: nobody answers any more.
    pub(super) fn is_free(&mut self, address: &IpAddr) {
        self.known.retain(|(of, _), _| of != address);
    }

    /// Forgets what is over: hosts not heard for long, and addresses that are nobody's business now.
    pub(super) fn sweep(&mut self, now: Moment, exists: impl Fn(&IpAddr) -> bool) {
        self.known
            .retain(|(address, _), (_, heard)| exists(address) && now.since(*heard) < FORGOTTEN);
        self.members.retain(|_, (_, last)| now.since(*last) <= MEMBER_FORGOTTEN);
        self.defended.retain(|address, at| exists(address) && now.since(*at) < DEFEND_EVERY);
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeSet<Conflict> {
        self.known.values().map(|(conflict, _)| conflict.clone()).collect()
    }

    /// When the next of them may be over.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let known = self.known.values().map(|(_, heard)| *heard + FORGOTTEN);
        known.chain(self.questions.values().filter_map(Question::next)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(address: u32, mac: u32) -> Conflict {
        let [a, b, c, d] = mac.to_be_bytes();
        Conflict {
            address: IpAddr::from(address.to_be_bytes()),
            mac: MacAddr([2, 0, a, b, c, d]),
            link: IfIndex(2),
            served: true,
            member: None,
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_stranger_who_makes_up_hosts_fills_nothing() {
        let mut conflicts = Conflicts::default();
        let news = (0..20_000).filter(|mac| conflicts.note(&conflict(1, *mac), at(1))).count();
        assert_eq!((news, conflicts.all().len()), (limits::CONFLICTS_PER_ADDRESS, news));
        let all = (2..20_000).filter(|n| conflicts.note(&conflict(*n, *n), at(1))).count();
        assert_eq!(all + news, limits::CONFLICTS);
        assert_eq!(conflicts.all().len(), limits::CONFLICTS);
        // When they are silent there is room again.
        conflicts.sweep(at(1) + FORGOTTEN, |_| true);
        assert!(conflicts.note(&conflict(1, 7), at(400)));
    }

    #[test]
    fn what_one_frame_says_is_asked_three_times_and_counts_when_it_is_answered() {
        let (mut conflicts, link) = (Conflicts::default(), IfIndex(2));
        let Conflict { address, mac, .. } = conflict(1, 9);
        let at = |ms| Moment::after_start(Duration::from_millis(ms));
        let hears =
            |conflicts: &mut Conflicts, ms| conflicts.is_confirmed(address, mac, link, at(ms));
        assert!(!hears(&mut conflicts, 1_000));
        assert!(
            !hears(&mut conflicts, 1_000),
            "the same frame on two sockets, or sent twice at once"
        );
        let asked = (1_000..2_000).filter(|ms| !conflicts.questions_due(at(*ms)).is_empty());
        assert!(asked.eq([1_000, 1_050, 1_100]));
        assert_eq!(conflicts.next_deadline(), None);
        assert!(
            !hears(&mut conflicts, 1_301) && !hears(&mut conflicts, 5_000),
            "these are no answers"
        );
        assert!(!hears(&mut conflicts, 11_001), "it did not answer; somebody says it again");
        assert_eq!(conflicts.questions_due(at(11_001)), [(address, link)]);
        assert!(hears(&mut conflicts, 11_002), "it answers");
    }

    #[test]
    fn hosts_that_are_made_up_have_nobody_asked_for_more_than_is_known_of() {
        let mut conflicts = Conflicts::default();
        for n in 0..20_000 {
            let Conflict { address, mac, link, .. } = conflict(n, n);
            assert!(!conflicts.is_confirmed(address, mac, link, at(1)));
        }
        assert_eq!(conflicts.heard_once.len(), limits::CONFLICTS);
        assert_eq!(conflicts.questions_due(at(1)).len(), limits::CONFLICTS);
    }

    #[test]
    fn a_host_that_is_heard_on_two_links_is_told_of_once() {
        let mut conflicts = Conflicts::default();
        let on = |link| Conflict { link: IfIndex(link), ..conflict(1, 9) };
        let told = [2, 3, 2, 3].map(|link| conflicts.note(&on(link), at(1)));
        assert_eq!(told, [true, false, false, false]);
        assert!(conflicts.note(&Conflict { served: false, ..on(2) }, at(2)), "something changed");
    }
}
