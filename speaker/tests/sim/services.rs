//! What users do to their Services, and foreign hosts to the addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crds::model::ids::{NodeName, ServiceKey};
use crds::model::selector::Labels;
use speaker::engine::{Change, Event};
use speaker::facts::{Recorded, ServiceFacts, SliceFacts, Traffic};

use crate::fault::Fault;
use crate::happening::Happening;
use crate::hosts::Foreigner;
use crate::node::NodeId;
use crate::time::SEC;
use crate::wire::{self, Station};
use crate::world::World;

pub(crate) fn key(number: usize) -> ServiceKey {
    ServiceKey::new("default", format!("s{number:04}"))
}

/// The first address of a Service: every third has one of IPv6.
pub(crate) fn ip(number: usize) -> IpAddr {
    if number.is_multiple_of(3) { v6(number) } else { v4(number) }
}

fn v4(number: usize) -> IpAddr {
    Ipv4Addr::from_bits(0xc000_0200 + u32::try_from(number).unwrap()).into()
}

fn v6(number: usize) -> IpAddr {
    let net = 0x2001_0db8_u128 << 96;
    Ipv6Addr::from_bits(net + u128::try_from(number).unwrap()).into()
}

/// All addresses of a Service: where there are both families, every fourth has one of each.
fn ips(number: usize, dual: bool) -> Vec<IpAddr> {
    if dual && number % 4 == 1 { vec![v4(number), v6(number)] } else { vec![ip(number)] }
}

pub(crate) fn service(
    number: usize,
    life: u32,
    addresses: Vec<IpAddr>,
    traffic: Traffic,
) -> ServiceFacts {
    ServiceFacts {
        uid: format!("uid-{number}-{life}"),
        addresses,
        pool: Some("pool".into()),
        labels: Labels::new(),
        traffic,
    }
}

pub(crate) fn slice(number: usize, nodes: BTreeSet<NodeName>) -> SliceFacts {
    SliceFacts { service: key(number), usable: true, nodes }
}

fn program_record(fault: usize) -> String {
    format!("l2-{fault}")
}

impl World {
    fn called(&self, nodes: BTreeSet<NodeId>) -> BTreeSet<NodeName> {
        nodes.into_iter().map(|id| self.names.of(id)).collect()
    }

    /// A Service with its slice.
    pub(crate) fn create(&mut self, number: usize, traffic: Traffic) {
        self.lives += 1;
        let facts = service(number, self.lives, ips(number, self.dual), traffic);
        let nodes = match traffic {
            Traffic::Cluster => BTreeSet::from([0]),
            Traffic::Local => self.some_nodes(),
        };
        self.change(&Event::Slices(Change::Set(key(number), slice(number, self.called(nodes)))));
        self.change(&Event::Services(Change::Set(key(number), facts)));
    }

    pub(crate) fn some_nodes(&mut self) -> BTreeSet<NodeId> {
        let many = 1 + self.dice.index(self.nodes.len());
        (0..many).map(|_| self.dice.index(self.nodes.len())).collect()
    }

    pub(crate) fn change_services(&mut self, number: usize, fault: &Fault) {
        let next = self.truth.services.keys().count() + 200 + number;
        let about = match fault {
            Fault::Endpoints(service) => {
                if self.truth.services.contains_key(&key(*service)) {
                    let nodes = self.some_nodes();
                    let slice = slice(*service, self.called(nodes));
                    self.change(&Event::Slices(Change::Set(key(*service), slice)));
                }
                *service
            }
            Fault::Delete(service) => {
                self.change(&Event::Services(Change::Remove(key(*service))));
                self.change(&Event::Slices(Change::Remove(key(*service))));
                *service
            }
            Fault::Share(one, other) => {
                self.share(*one, *other);
                *one
            }
            Fault::ForeignBefore => {
                let address = ips(next, self.dual)[0];
                self.foreigner(number, address);
                for address in ips(next, self.dual) {
                    self.judge.taken.insert(address, None);
                }
                self.create(next, Traffic::Cluster);
                next
            }
            Fault::ForeignAfter(service) => {
                let address = ips(*service, self.dual)[0];
                self.foreigner(number, address);
                self.insist(number, 0);
                *service
            }
            Fault::Program(id) => {
                self.program_starts(number, *id, next);
                next
            }
            _ => {
                self.create(next, Traffic::Cluster);
                next
            }
        };
        if let Some(episode) = self.episodes.get_mut(&number) {
            episode.service = Some(about);
        }
    }

    /// The second Service gets the first one's address as well.
    fn share(&mut self, one: usize, other: usize) {
        let (Some(first), Some(mut second)) = (
            self.truth.services.get(&key(one)).and_then(|facts| facts.addresses.first().copied()),
            self.truth.services.get(&key(other)).cloned(),
        ) else {
            return;
        };
        if !second.addresses.contains(&first) {
            second.addresses.push(first);
            self.change(&Event::Services(Change::Set(key(other), second)));
        }
    }

    fn foreigner(&mut self, fault: usize, address: IpAddr) {
        self.foreigners.push(Foreigner { fault, segment: 0, address, active: true });
    }

    /// A program on node `id` announces a new Service.
    fn program_starts(&mut self, fault: usize, id: NodeId, service: usize) {
        let address = ips(service, self.dual)[0];
        self.programs.insert(fault, (id, address));
        let record =
            Recorded { service: key(service), node: self.names.of(id), claim: 0, is_ours: false };
        self.change(&Event::Recorded(Change::Set(program_record(fault), record)));
        self.create(service, Traffic::Cluster);
        if !self.may_announce(id, address) {
            // Whoever does has another MAC.
            self.judge.taken.insert(address, None);
        }
    }

    /// A program that is gone announced these Services, each on the next node.
    pub(crate) fn leave_records(&mut self, services: usize) {
        for number in 1..=services {
            let node = self.names.of(number % self.nodes.len());
            let record = Recorded { service: key(number), node, claim: 0, is_ours: false };
            self.change(&Event::Recorded(Change::Set(format!("left-{number}"), record)));
        }
    }

    pub(crate) fn program_stops(&mut self, fault: usize) {
        if let Some((_, address)) = self.programs.remove(&fault) {
            self.judge.taken.entry(address).and_modify(|freed| *freed = Some(self.now));
            self.change(&Event::Recorded(Change::Remove(program_record(fault))));
        }
    }

    /// A foreign host that took an address announces it, again and again.
    pub(crate) fn insist(&mut self, fault: usize, step: u32) {
        let Some(number) = self.foreigners.iter().position(|it| it.fault == fault && it.active)
        else {
            return;
        };
        let (mac, address) = (wire::foreign_mac(number), self.foreigners[number].address);
        for frame in speaker::wire::neighbour::announcement(mac, address) {
            self.transmit(0, Station::Foreign(number), frame.as_bytes().to_vec());
        }
        self.queue.push(self.now + SEC, Happening::Step(fault, step + 1));
    }

    /// A foreign host leaves. Clients that had its MAC find nobody there, and ask anew.
    pub(crate) fn foreigner_leaves(&mut self, fault: usize) {
        let now = self.now;
        for foreigner in self.foreigners.iter_mut().filter(|it| it.fault == fault) {
            foreigner.active = false;
            let address = foreigner.address;
            self.caches.iter_mut().for_each(|cache| {
                cache.remove(&address);
            });
            // The other family's address of the Service was held back with it.
            let all = self.truth.services.values().filter(|it| it.addresses.contains(&address));
            for address in all.flat_map(|facts| &facts.addresses).chain([&address]) {
                self.judge.taken.entry(*address).and_modify(|freed| *freed = Some(now));
            }
        }
    }
}
