//! Asking whether another host has an address, before it is claimed for the first time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crds::model::group::Group;
use crds::model::ids::MacAddr;

use super::Pending;
use crate::moment::Moment;

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
pub(in crate::engine) const PROBE_AGAIN: Duration = Duration::from_secs(10);
/// The same if that one is expected to fall silent.
pub(in crate::engine) const PROBE_SOON: Duration = Duration::from_secs(1);
/// How long another member that probes as well is left alone.
const DEFERENCE: Duration = Duration::from_millis(400);

#[derive(Debug)]
pub(super) struct Probe {
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
pub(in crate::engine) enum Probed {
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
    pub(super) fn next(&self) -> Option<Moment> {
        let after = PROBES.get(self.sent).filter(|_| self.taken().is_none())?;
        Some(self.began + *after)
    }

    fn taken(&self) -> Option<(IpAddr, MacAddr)> {
        let mut found = self.found.iter().filter(|(_, mac)| !self.proxies.contains(*mac));
        found.next().map(|(address, mac)| (*address, *mac))
    }
}

impl Pending {
    /// Nothing need be asked about the group of `key`.
    pub(in crate::engine) fn stop_probing(&mut self, key: &IpAddr) {
        if let Some(affair) = self.groups.get_mut(key) {
            affair.probe = None;
        }
    }

    /// Whether anybody has an address of `group`: asks, or says what came of it.
    pub(in crate::engine) fn probe(&mut self, group: &Group, now: Moment) -> Probed {
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
    pub(in crate::engine) fn take_freed(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.freed)
    }

    /// The addresses to probe for now.
    pub(in crate::engine) fn probes_due(&mut self, now: Moment) -> Vec<IpAddr> {
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
    pub(in crate::engine) fn is_probing(&self, address: &IpAddr) -> Option<IpAddr> {
        let mut probing =
            self.groups.iter().filter_map(|(key, it)| Some((key, it.probe.as_ref()?)));
        probing.find(|(_, probe)| probe.addresses.contains(address)).map(|(key, _)| *key)
    }

    /// `mac` answered for `address`, which is asked again after `again`.
    pub(in crate::engine) fn found(
        &mut self,
        address: IpAddr,
        mac: MacAddr,
        again: Duration,
        now: Moment,
    ) {
        if let Some(key) = self.is_probing(&address)
            && let Some(probe) = self.groups.get_mut(&key).and_then(|it| it.probe.as_mut())
        {
            probe.found.entry(address).or_insert(mac);
            probe.again = probe.again.min(again);
            self.alarms.insert((now, key));
        }
    }

    /// `mac` answers for an address that nobody has.
    pub(in crate::engine) fn is_proxy(&mut self, mac: MacAddr) {
        for probe in self.groups.values_mut().filter_map(|affair| affair.probe.as_mut()) {
            probe.proxies.insert(mac);
        }
    }

    /// Another member, which goes first, probes for `address` as well.
    pub(in crate::engine) fn defer(&mut self, address: &IpAddr, now: Moment) {
        if let Some(key) = self.is_probing(address)
            && let Some(affair) = self.groups.get_mut(&key)
            && let Some(probe) = affair.probe.as_mut()
        {
            probe.began = now + DEFERENCE;
            probe.sent = 0;
            self.alarms.insert((now + DEFERENCE, key));
        }
    }
}
