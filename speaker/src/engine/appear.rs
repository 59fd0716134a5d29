//! What follows from the standings: the table, and what the wire is told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::ids::{IfIndex, MacAddr, ServiceKey};

use super::effect::Effect;
use super::phase::Phase;
use super::{Engine, Standing};
use crate::announce::burst::Target;
use crate::announce::desired::{diff, presence};
use crate::announce::table::{Answer, Entry, Links};
use crate::moment::Moment;
use crate::wire::neighbour::{self, NOBODYS};

impl Engine {
    /// Takes over these standings, and brings the table and the wire in line.
    pub(super) fn stand_all(
        &mut self,
        fresh: Vec<(ServiceKey, Option<Standing>)>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let mut touched: BTreeSet<IpAddr> = BTreeSet::new();
        for (service, standing) in fresh {
            if self.standings.get(&service) == standing.as_ref() {
                continue;
            }
            touched.extend(self.stand(&service, standing.clone()));
            let uid = self.cluster.uid(&service);
            effects.push(Effect::Report { service, uid, standing });
        }
        let mut changed = false;
        for address in &touched {
            let entry = self.entry(*address);
            changed |= self.desired.get(address) != entry.as_ref();
            match entry {
                Some(entry) => self.desired.insert(*address, entry),
                None => self.desired.remove(address),
            };
        }
        if changed {
            self.follow_ranges(effects);
            effects.push(Effect::Publish(self.desired.clone()));
        }
        self.appear(&touched, now);
    }

    /// Records how `service` stands now; gives the addresses it touches.
    fn stand(&mut self, service: &ServiceKey, standing: Option<Standing>) -> BTreeSet<IpAddr> {
        let after: BTreeSet<IpAddr> = standing.iter().flat_map(Standing::addresses).collect();
        let before = match standing {
            Some(standing) => self.standings.insert(service.clone(), standing),
            None => self.standings.remove(service),
        };
        let before: BTreeSet<IpAddr> = before.iter().flat_map(Standing::addresses).collect();
        for address in &after {
            self.holders.entry(*address).or_default().insert(service.clone());
        }
        for address in before.difference(&after) {
            if let Some(holders) = self.holders.get_mut(address) {
                holders.remove(service);
                if holders.is_empty() {
                    self.holders.remove(address);
                }
            }
        }
        &before | &after
    }

    /// How `address` is to be answered, for all the Services here that have it.
    fn entry(&self, address: IpAddr) -> Option<Entry> {
        let holders = self.holders.get(&address)?.iter();
        let entries = holders.filter_map(|service| self.standings.get(service)?.entry());
        entries.reduce(|mut all, more| {
            all.links = match (all.links, more.links) {
                (Links::Only(links), Links::Only(more)) => Links::Only(&links | &more),
                (Links::All, _) | (_, Links::All) => Links::All,
            };
            all
        })
    }

    /// Tells the wire where `addresses` are now, where that is news. A deputy says nothing by
    /// itself: what clients have in their caches is right.
    pub(super) fn appear(&mut self, addresses: &BTreeSet<IpAddr>, now: Moment) {
        let ports = self.ports.as_deref().unwrap_or_default();
        for address in addresses {
            let own = self.desired.get(address).filter(|entry| entry.answer == Answer::Own);
            let after = presence(*address, own, ports);
            let before = self.present.remove(address).unwrap_or_default();
            let changes = diff(*address, &before, &after);
            for target in changes.vanished {
                self.bursts.stop(target);
            }
            for target in changes.appeared {
                self.bursts.start(target, now);
            }
            if !after.is_empty() {
                self.present.insert(*address, after);
            }
        }
    }

    /// Begins anew to announce `address`, if it is present here.
    pub(super) fn announce_again(&mut self, address: IpAddr, now: Moment) {
        for link in self.present.get(&address).into_iter().flat_map(|links| links.keys()) {
            self.bursts.start(Target { link: *link, address }, now);
        }
    }

    /// Sends the announcements that are due.
    pub(super) fn announce(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Stopped | Phase::Lapsed { .. }) {
            return;
        }
        for target in self.bursts.due(now) {
            self.announce_on(target, effects);
        }
    }

    /// Tells the clients that knew an address to be here who has it now: they may be some that its
    /// owner does not reach, or that it does not know to have lost.
    pub(super) fn part(&self, effects: &mut Vec<Effect>, parted: Parted) {
        for (address, at) in parted {
            for (link, mac) in at {
                let Some(port) = self.ports.iter().flatten().find(|port| port.index == link) else {
                    continue;
                };
                if port.carries(address) {
                    let frame = neighbour::announcement_for(port.mac, mac, address);
                    effects.push(Effect::Question { link, frame: frame.as_bytes().to_vec() });
                }
            }
        }
    }

    /// Announces `address` once, wherever it is present, outside the schedule.
    pub(super) fn defend(&mut self, address: IpAddr, effects: &mut Vec<Effect>) {
        let links = self.present.get(&address).into_iter().flat_map(|links| links.keys());
        let targets: Vec<Target> = links.map(|link| Target { link: *link, address }).collect();
        for target in targets {
            self.announce_on(target, effects);
        }
    }

    fn announce_on(&self, target: Target, effects: &mut Vec<Effect>) {
        let Target { link, address } = target;
        let Some(&mac) = self.present.get(&address).and_then(|links| links.get(&link)) else {
            return;
        };
        for frame in neighbour::announcement(mac, address) {
            effects.push(Effect::Transmit { link, address, frame: frame.as_bytes().to_vec() });
        }
    }

    /// Asks whether anybody has the addresses that are to be claimed for the first time, and an
    /// address that nobody has, to know those who answer for everything.
    pub(super) fn probe(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let due = self.pending.probes_due(now);
        if due.is_empty() {
            return;
        }
        let is_asked = |nobodys: &IpAddr| due.iter().any(|it| it.is_ipv4() == nobodys.is_ipv4());
        let controls: Vec<IpAddr> = NOBODYS.into_iter().filter(is_asked).collect();
        for port in self.ports.iter().flatten() {
            for target in due.iter().chain(&controls).filter(|target| port.carries(**target)) {
                let frame = neighbour::probe(port.mac, *target).as_bytes().to_vec();
                effects.push(Effect::Question { link: port.index, frame });
            }
        }
    }
}

/// Addresses given up, and where their owners are.
type Parted = Vec<(IpAddr, BTreeMap<IfIndex, MacAddr>)>;
