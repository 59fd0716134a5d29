//! What is under way for groups: questions before a first claim, offers, and how long nobody has
//! owned them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crds::model::group::Group;
use crds::model::ids::NodeName;

use crate::moment::Moment;

mod parting;
mod probing;

use parting::Parted;
use probing::Probe;
pub(super) use probing::{PROBE_AGAIN, PROBE_SOON, Probed};

/// Nobody gives up an address without a successor that claims it, or a reason that all see. The
/// claim may have been lost; by now it was repeated.
const SUCCESSION: Duration = Duration::from_millis(300);
/// An offer that was not taken within this goes to the next.
const OFFER: Duration = Duration::from_millis(150);
/// One that did not take an offer is not asked again for this long, if there are others.
const SPURNED: Duration = Duration::from_secs(1);

/// What is under way, by the lowest address of each group.
#[derive(Debug, Default)]
pub(super) struct Pending {
    groups: BTreeMap<IpAddr, Affair>,
    /// What turned out to be nobody's.
    freed: Vec<IpAddr>,
    /// What was given up by its holder, and when: whoever has it now is about to say so.
    vacated: BTreeMap<IpAddr, Moment>,
    alarms: BTreeSet<(Moment, IpAddr)>,
    /// What was claimed while somebody was missing: clients on the far side of whatever kept that one
    /// away have not heard of it.
    blind: BTreeSet<IpAddr>,
    /// What was given up to somebody else, and where that one is.
    parted: Vec<Parted>,
    /// What was given up while somebody was missing: the clients there have not heard of that either.
    parted_blindly: BTreeSet<IpAddr>,
    /// When they are told, since somebody is back.
    retold_at: Option<Moment>,
}

#[derive(Debug, Default)]
struct Affair {
    ownerless: Option<Moment>,
    /// Whoever announced it last is waited for.
    expecting: bool,
    /// Its owner has none of the interfaces that are named for it, and waits for somebody who has.
    unable: bool,
    probe: Option<Probe>,
    offer: Option<(NodeName, Moment)>,
    spurned: BTreeMap<NodeName, Moment>,
}

impl Pending {
    /// The group of `key` has an owner.
    pub(super) fn has_owner(&mut self, key: &IpAddr) {
        if let Some(affair) = self.groups.get_mut(key) {
            affair.ownerless = None;
            affair.expecting = false;
            affair.unable = false;
            if affair.probe.is_none() && affair.offer.is_none() {
                self.groups.remove(key);
            }
        }
    }

    /// The owner of the group of `key` cannot answer for it.
    pub(super) fn is_unable(&mut self, key: &IpAddr) {
        self.groups.entry(*key).or_default().unable = true;
    }

    /// Since when nobody owns the group of `key`: now, if that is news.
    pub(super) fn ownerless_since(&mut self, key: &IpAddr, now: Moment) -> Moment {
        *self.groups.entry(*key).or_default().ownerless.get_or_insert(now)
    }

    /// Whoever announced the group of `key` last is waited for.
    pub(super) fn expect(&mut self, key: &IpAddr) {
        self.groups.entry(*key).or_default().expecting = true;
    }

    /// Nobody is waited for any more. If somebody was, that one has come and is to have the time that
    /// any heir has: true, and the group counts as ownerless only since now.
    pub(super) fn has_come(&mut self, key: &IpAddr, now: Moment) -> bool {
        let Some(affair) = self.groups.get_mut(key).filter(|affair| affair.expecting) else {
            return false;
        };
        affair.expecting = false;
        affair.ownerless = Some(now);
        true
    }

    /// Has the group decided about again at `when`.
    pub(super) fn wake_at(&mut self, group: &Group, when: Moment) {
        if let Some(key) = group.addresses.first() {
            self.alarms.insert((when, *key));
        }
    }

    pub(super) fn wake_in(&mut self, group: &Group, now: Moment, after: Duration) {
        self.wake_at(group, now + after);
    }

    /// The holder of `address` has given it up.
    pub(super) fn vacate(&mut self, address: IpAddr, now: Moment) {
        self.vacated.insert(address, now);
    }

    /// How long it is still to be waited for word of who has an address of `group` now.
    pub(super) fn is_vacated(&mut self, group: &Group, now: Moment) -> Option<Duration> {
        self.vacated.retain(|_, at| now.since(*at) < SUCCESSION);
        let times = group.addresses.iter().filter_map(|address| self.vacated.get(address));
        times.max().map(|at| SUCCESSION.saturating_sub(now.since(*at)))
    }

    /// `address` is claimed while a member is missing.
    pub(super) fn take_blindly(&mut self, address: IpAddr) {
        self.blind.insert(address);
    }

    /// A member is back: what was claimed in its absence.
    pub(super) fn claimed_blindly(&mut self, all_are_there: bool) -> Vec<IpAddr> {
        let blind = self.blind.iter().copied().collect();
        if all_are_there {
            self.blind.clear();
        }
        blind
    }

    /// Offers the group to `successor`; gives to whom it is offered, which is another as long as an
    /// earlier offer is open.
    pub(super) fn offer(&mut self, group: &Group, successor: NodeName, now: Moment) -> NodeName {
        let Some(key) = group.addresses.first() else { return successor };
        let affair = self.groups.entry(*key).or_default();
        if let Some((to, since)) = &affair.offer {
            if now.since(*since) < OFFER {
                return to.clone();
            }
            affair.spurned.insert(to.clone(), now + SPURNED);
        }
        affair.offer = Some((successor.clone(), now));
        self.wake_in(group, now, OFFER);
        successor
    }

    /// Who did not take the group when it was offered.
    pub(super) fn spurned(&mut self, group: &Group, now: Moment) -> BTreeSet<NodeName> {
        let affair = group.addresses.first().and_then(|key| self.groups.get_mut(key));
        let Some(affair) = affair else { return BTreeSet::new() };
        if let Some((to, since)) = affair.offer.clone()
            && now.since(since) >= OFFER
        {
            affair.spurned.insert(to, now + SPURNED);
        }
        affair.spurned.retain(|_, until| *until > now);
        affair.spurned.keys().cloned().collect()
    }

    /// Forgets everything about groups that no Service has any more.
    pub(super) fn retain(&mut self, exists: impl Fn(&IpAddr) -> bool) {
        self.parted_blindly.retain(&exists);
        self.groups.retain(|key, _| exists(key));
        self.alarms.retain(|(_, key)| exists(key));
    }

    /// The groups that wait for an owner, or for a successor.
    pub(super) fn restless(&self) -> Vec<IpAddr> {
        let waits =
            |affair: &Affair| affair.ownerless.is_some() || affair.offer.is_some() || affair.unable;
        self.groups.iter().filter(|(_, affair)| waits(affair)).map(|(key, _)| *key).collect()
    }

    /// The groups to decide about again.
    pub(super) fn due(&mut self, now: Moment) -> Vec<IpAddr> {
        let mut due = Vec::new();
        while let Some((when, key)) = self.alarms.first().copied().filter(|(when, _)| *when <= now)
        {
            self.alarms.remove(&(when, key));
            due.push(key);
        }
        due
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let probes = self.groups.values().filter_map(|affair| affair.probe.as_ref());
        let probes = probes.filter_map(Probe::next);
        let parted = self.parted.iter().map(Parted::told_by);
        probes
            .chain(parted)
            .chain(self.retold_at)
            .chain(self.alarms.first().map(|(when, _)| *when))
            .min()
    }
}

#[cfg(test)]
mod tests;
