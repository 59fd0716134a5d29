//! Duplicate addresses: other hosts that answer for what is ours.
//!
//! An address that has served is kept and defended (RFC 5227 section 2.4, c): one announcement in
//! ten seconds at most, so that two who both defend do not flood the link. One that was never
//! announced is not announced at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crds::model::ids::MacAddr;

use super::effect::Conflict;
use crate::moment::Moment;

/// DEFEND_INTERVAL of RFC 5227 section 1.1.
const DEFEND_EVERY: Duration = Duration::from_secs(10);
/// How long a member may answer before its claim must be known, and how long that is remembered.
const MEMBER_GRACE: Duration = Duration::from_secs(2);
const MEMBER_FORGOTTEN: Duration = Duration::from_mins(1);
/// A host that was not heard for this long has gone.
const FORGOTTEN: Duration = Duration::from_mins(5);

/// The conflicts known.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    known: BTreeMap<(IpAddr, MacAddr), (Conflict, Moment)>,
    defended: BTreeMap<IpAddr, Moment>,
    /// Members that answered without a claim: first, and last.
    members: BTreeMap<(IpAddr, MacAddr), (Moment, Moment)>,
}

impl Conflicts {
    /// Notes `conflict`; whether it is news.
    pub(super) fn note(&mut self, conflict: &Conflict, now: Moment) -> bool {
        let key = (conflict.address, conflict.mac);
        let before = self.known.insert(key, (conflict.clone(), now));
        before.is_none_or(|(before, _)| before != *conflict)
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
        self.known.values().map(|(_, heard)| *heard + FORGOTTEN).min()
    }
}
