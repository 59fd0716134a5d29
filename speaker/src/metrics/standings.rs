//! How Services stand on this node, as numbers: how many stand how, what is answered for others, and
//! how often that changed and why.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crds::model::ids::{NodeName, ServiceKey};
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use super::Family;
use crate::engine::Standing;
use crate::ownership::Why;

/// What of a standing is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Measured {
    Announced(Vec<IpAddr>),
    Deputising(NodeName, usize),
    Silent(&'static str),
}

impl Measured {
    fn of(standing: &Standing) -> Self {
        match standing {
            Standing::Announced(announcement) => Self::Announced(announcement.addresses.clone()),
            Standing::Deputising { owner, macs: _, announcement } => {
                Self::Deputising(owner.clone(), announcement.addresses.len())
            }
            Standing::Silent(why) => Self::Silent(why.reason()),
        }
    }

    /// A fixed word; the same as in the logs.
    const fn name(&self) -> &'static str {
        match self {
            Self::Announced(_) => "announced",
            Self::Deputising(..) => "deputising",
            Self::Silent(reason) => reason,
        }
    }
}

/// All Services that are ours to announce, and what became of them so far.
#[derive(Debug, Default)]
pub(super) struct Standings {
    now: BTreeMap<ServiceKey, Measured>,
    begun: u64,
    /// Announcements that ended, by reason.
    ended: BTreeMap<&'static str, u64>,
    found_free: u64,
    found_taken: u64,
}

impl Standings {
    /// `service` stands like this now; `None`: it is gone.
    pub(super) fn set(&mut self, service: ServiceKey, standing: Option<&Standing>) {
        let next = standing.map(Measured::of);
        let last = match next.clone() {
            Some(next) => self.now.insert(service, next),
            None => self.now.remove(&service),
        };
        let is_announced = |one: &Option<Measured>| matches!(one, Some(Measured::Announced(_)));
        match (is_announced(&last), is_announced(&next)) {
            (false, true) => self.begun += 1,
            (true, false) => {
                let reason = next.as_ref().map_or("serviceDeleted", Measured::name);
                *self.ended.entry(reason).or_default() += 1;
            }
            (true, true) | (false, false) => {}
        }
        if last.is_some_and(|last| last.name() == Why::Probing.reason()) {
            self.found_free += u64::from(is_announced(&next));
            let taken = matches!(standing, Some(Standing::Silent(Why::InUse { .. })));
            self.found_taken += u64::from(taken);
        }
    }

    pub(super) fn families(&self, node: &str) -> Result<Vec<Family>, prometheus::Error> {
        let gauge = |name, help, labels| IntGaugeVec::new(Opts::new(name, help), labels);
        let counter = |name, help, labels| IntCounterVec::new(Opts::new(name, help), labels);
        let announced = gauge(
            "metallb_speaker_announced",
            "Services announced from this node.",
            &["service", "protocol", "node", "ip"],
        )?;
        let services = gauge(
            "ferrolb_speaker_services",
            "Services by how they stand here: announced, deputising, or why neither.",
            &["standing"],
        )?;
        let deputised = gauge(
            "ferrolb_speaker_deputised_addresses",
            "Addresses answered in the place of another node, whose speaker is away.",
            &["node"],
        )?;
        for (service, measured) in &self.now {
            services.with_label_values(&[measured.name()]).inc();
            match measured {
                Measured::Announced(addresses) => {
                    for ip in addresses {
                        let (service, ip) = (service.to_string(), ip.to_string());
                        announced.with_label_values(&[&service, "layer2", node, &ip]).set(1);
                    }
                }
                Measured::Deputising(owner, addresses) => {
                    let count = i64::try_from(*addresses).unwrap_or(i64::MAX);
                    deputised.with_label_values(&[owner.as_str()]).add(count);
                }
                Measured::Silent(_) => {}
            }
        }
        let begun = counter(
            "ferrolb_speaker_announcements_begun_total",
            "How often this node began to announce a Service.",
            &[],
        )?;
        begun.with_label_values::<&str>(&[]).inc_by(self.begun);
        let ended = counter(
            "ferrolb_speaker_announcements_ended_total",
            "How often this node ceased to announce a Service, by reason.",
            &["reason"],
        )?;
        for (reason, count) in &self.ended {
            ended.with_label_values(&[*reason]).inc_by(*count);
        }
        let probes = counter(
            "ferrolb_speaker_probes_total",
            "Services that waited until it was known whether another host has their address.",
            &["outcome"],
        )?;
        probes.with_label_values(&["free"]).inc_by(self.found_free);
        probes.with_label_values(&["taken"]).inc_by(self.found_taken);
        let gauges = [announced, services, deputised].map(Family::Gauge);
        let counters = [begun, ended, probes].map(Family::Counter);
        Ok(gauges.into_iter().chain(counters).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crds::model::ids::MacAddr;

    use super::*;
    use crate::engine::Announcement;

    fn announcement() -> Announcement {
        Announcement {
            uid: "u".to_owned(),
            addresses: vec![[192, 0, 2, 1].into()],
            pool: "p".into(),
            interfaces: BTreeSet::new(),
            links: BTreeSet::new(),
            claim: 1,
        }
    }

    #[test]
    fn beginnings_ends_and_probes_are_counted_once_each() {
        let mut standings = Standings::default();
        let service = || ServiceKey::new("default", "web");
        let mut set = |standing: Option<Standing>| standings.set(service(), standing.as_ref());
        let in_use =
            Why::InUse { address: [192, 0, 2, 1].into(), mac: MacAddr([2, 0, 0, 0, 0, 9]) };
        set(Some(Standing::Silent(Why::Probing)));
        set(Some(Standing::Silent(in_use)));
        set(Some(Standing::Silent(Why::Probing)));
        set(Some(Standing::Announced(announcement())));
        // Another claim, no other beginning.
        set(Some(Standing::Announced(Announcement { claim: 2, ..announcement() })));
        set(Some(Standing::Silent(Why::NoEndpoints)));
        set(Some(Standing::Announced(announcement())));
        set(None);
        assert_eq!((standings.begun, standings.found_free, standings.found_taken), (2, 1, 1));
        assert_eq!(standings.ended, [("noEndpoints", 1), ("serviceDeleted", 1)].into());
        assert!(standings.now.is_empty());
    }

    #[test]
    fn what_is_answered_for_another_is_shown_by_its_name_while_it_is() {
        let mut standings = Standings::default();
        let owner = NodeName::from("n2");
        let (macs, announcement) = (BTreeMap::new(), announcement());
        let deputising = Standing::Deputising { owner: owner.clone(), macs, announcement };
        standings.set(ServiceKey::new("default", "web"), Some(&deputising));
        let expected = Measured::Deputising(owner, 1);
        assert_eq!(standings.now.values().collect::<Vec<_>>(), [&expected]);
        assert_eq!((standings.begun, standings.ended.len()), (0, 0));
    }
}
