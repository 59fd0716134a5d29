//! What is under way for groups: questions before a first claim, offers, and how long nobody has
//! owned them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crds::model::group::Group;
use crds::model::ids::{MacAddr, NodeName};

use crate::moment::Moment;

mod parting;

use parting::Parted;

/// When the probes of a first claim are sent (RFC 5227 section 2.1.1, at the pace of a data centre),
/// and when the wait for the last answer ends.
const PROBES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(75),
    Duration::from_millis(100),
];
const PROBED: Duration = Duration::from_millis(130);
/// An address that another host has is asked for again after this.
pub(super) const PROBE_AGAIN: Duration = Duration::from_secs(10);
/// The same if that one is expected to fall silent.
pub(super) const PROBE_SOON: Duration = Duration::from_secs(1);
/// How long another member that probes as well is left alone.
const DEFERENCE: Duration = Duration::from_millis(400);
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
    probe: Option<Probe>,
    offer: Option<(NodeName, Moment)>,
    spurned: BTreeMap<NodeName, Moment>,
}

#[derive(Debug)]
struct Probe {
    addresses: BTreeSet<IpAddr>,
    began: Moment,
    sent: usize,
    /// Who answered for what.
    found: BTreeMap<IpAddr, MacAddr>,
    /// Who answers for an address that nobody has: a proxy, whose answers mean nothing.
    proxies: BTreeSet<MacAddr>,
    /// When it is asked again, if somebody has one of the addresses.
    again: Duration,
}

/// What probing has shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Probed {
    /// Nobody has any of the addresses.
    Free,
    /// Not known yet.
    Asking,
    /// This address is in use by that host.
    Taken(IpAddr, MacAddr),
}

impl Probe {
    fn new(group: &Group, began: Moment) -> Self {
        Self {
            addresses: group.addresses.clone(),
            began,
            sent: 0,
            found: BTreeMap::new(),
            proxies: BTreeSet::new(),
            again: PROBE_AGAIN,
        }
    }

    /// When the next question is sent; one that was answered is not asked again in this round.
    fn next(&self) -> Option<Moment> {
        let after = PROBES.get(self.sent).filter(|_| self.taken().is_none())?;
        Some(self.began + *after)
    }

    fn taken(&self) -> Option<(IpAddr, MacAddr)> {
        let mut found = self.found.iter().filter(|(_, mac)| !self.proxies.contains(*mac));
        found.next().map(|(address, mac)| (*address, *mac))
    }
}

impl Pending {
    /// The group of `key` has an owner.
    pub(super) fn has_owner(&mut self, key: &IpAddr) {
        if let Some(affair) = self.groups.get_mut(key) {
            affair.ownerless = None;
            if affair.probe.is_none() && affair.offer.is_none() {
                self.groups.remove(key);
            }
        }
    }

    /// Nothing need be asked about the group of `key`.
    pub(super) fn stop_probing(&mut self, key: &IpAddr) {
        if let Some(affair) = self.groups.get_mut(key) {
            affair.probe = None;
        }
    }

    /// Since when nobody owns the group of `key`: now, if that is news.
    pub(super) fn ownerless_since(&mut self, key: &IpAddr, now: Moment) -> Moment {
        *self.groups.entry(*key).or_default().ownerless.get_or_insert(now)
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

    /// Whether anybody has an address of `group`: asks, or says what came of it.
    pub(super) fn probe(&mut self, group: &Group, now: Moment) -> Probed {
        let Some(key) = group.addresses.first() else { return Probed::Free };
        let affair = self.groups.entry(*key).or_default();
        let probe = affair.probe.get_or_insert_with(|| Probe::new(group, now));
        if probe.addresses != group.addresses
            || (probe.taken().is_some() && now >= probe.began + probe.again)
        {
            *probe = Probe::new(group, now);
        }
        let (began, again) = (probe.began, probe.again);
        if let Some((address, mac)) = probe.taken() {
            self.wake_at(group, began + again);
            return Probed::Taken(address, mac);
        }
        if now >= began + PROBED {
            affair.probe = None;
            self.freed.extend(&group.addresses);
            return Probed::Free;
        }
        self.wake_at(group, began + PROBED);
        Probed::Asking
    }

    /// What turned out to be nobody's since this was last asked.
    pub(super) fn take_freed(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.freed)
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

    /// The addresses to probe for now.
    pub(super) fn probes_due(&mut self, now: Moment) -> Vec<IpAddr> {
        let mut due = Vec::new();
        for probe in self.groups.values_mut().filter_map(|affair| affair.probe.as_mut()) {
            if probe.next().is_some_and(|next| now >= next) {
                probe.sent += 1;
                due.extend(&probe.addresses);
            }
        }
        due
    }

    /// The group that is being probed for because of `address`, if there is one.
    pub(super) fn is_probing(&self, address: &IpAddr) -> Option<IpAddr> {
        let mut probing =
            self.groups.iter().filter_map(|(key, it)| Some((key, it.probe.as_ref()?)));
        probing.find(|(_, probe)| probe.addresses.contains(address)).map(|(key, _)| *key)
    }

    /// `mac` answered for `address`, which is asked again after `again`.
    pub(super) fn found(&mut self, address: IpAddr, mac: MacAddr, again: Duration, now: Moment) {
        if let Some(key) = self.is_probing(&address)
            && let Some(probe) = self.groups.get_mut(&key).and_then(|it| it.probe.as_mut())
        {
            probe.found.entry(address).or_insert(mac);
            probe.again = probe.again.min(again);
            self.alarms.insert((now, key));
        }
    }

    /// `mac` answers for an address that nobody has.
    pub(super) fn is_proxy(&mut self, mac: MacAddr) {
        for probe in self.groups.values_mut().filter_map(|affair| affair.probe.as_mut()) {
            probe.proxies.insert(mac);
        }
    }

    /// Another member, which goes first, probes for `address` as well.
    pub(super) fn defer(&mut self, address: &IpAddr, now: Moment) {
        if let Some(key) = self.is_probing(address)
            && let Some(affair) = self.groups.get_mut(&key)
            && let Some(probe) = affair.probe.as_mut()
        {
            probe.began = now + DEFERENCE;
            probe.sent = 0;
            self.alarms.insert((now + DEFERENCE, key));
        }
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
        let waits = |affair: &Affair| affair.ownerless.is_some() || affair.offer.is_some();
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
