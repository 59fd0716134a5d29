//! Tells people that another host answers for an address: a log line and an Event for each host and
//! address that is news to the engine, and a metric. What to do about it the engine has decided.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::ids::ServiceKey;
use crds::names::ownership_event::ADDRESS_CONFLICT;
use kit::events::{Event as KubernetesEvent, Recorder, Severity};

use crate::engine::{Change, Conflict, Event};
use crate::facts::ServiceFacts;
use crate::metrics::Metrics;
use crate::report::about_service;

/// Who has been told of what, and who is to be told.
pub(super) struct Conflicts {
    pub(super) node: String,
    pub(super) recorder: Recorder,
    pub(super) metrics: Metrics,
    /// UID and addresses of every Service, announced here or not.
    services: BTreeMap<ServiceKey, (String, Vec<IpAddr>)>,
}

impl Conflicts {
    pub(super) fn new(node: String, recorder: Recorder, metrics: Metrics) -> Self {
        Self { node, recorder, metrics, services: BTreeMap::new() }
    }

    /// Takes note of Services on their way to the engine.
    pub(super) fn note(&mut self, event: &Event) {
        let Event::Services(change) = event else { return };
        let entry = |facts: &ServiceFacts| (facts.uid.clone(), facts.addresses.clone());
        match change {
            Change::Replace(all) => {
                self.services =
                    all.iter().map(|(key, facts)| (key.clone(), entry(facts))).collect();
            }
            Change::Set(key, facts) => {
                self.services.insert(key.clone(), entry(facts));
            }
            Change::Remove(key) => {
                self.services.remove(key);
            }
        }
    }

    /// Tells of `conflict`, found on `interface`.
    pub(super) fn tell(&mut self, conflict: &Conflict, interface: &str) {
        let Conflict { address, mac, .. } = conflict;
        // There is a series for each address: none for those that no Service has any more.
        let kept: BTreeSet<&IpAddr> = self.services.values().flat_map(|(_, all)| all).collect();
        self.metrics.retain_conflicts(|address| kept.contains(&address));
        self.metrics.count_conflict(*address);
        let message = message(conflict, interface, &self.node);
        tracing::warn!(event = "addressConflict", ip = %address, mac = %mac, interface, "{message}");
        for (service, (uid, addresses)) in &self.services {
            if addresses.contains(address) {
                self.recorder.publish(KubernetesEvent {
                    about: about_service(service, uid),
                    severity: Severity::Warning,
                    reason: ADDRESS_CONFLICT,
                    message: message.clone(),
                });
            }
        }
    }
}

fn message(conflict: &Conflict, interface: &str, node: &str) -> String {
    let Conflict { address, mac, link: _, served, member } = conflict;
    let who = match member {
        None => "which is no node of this cluster".to_owned(),
        Some(member) => format!(
            "which is node \"{member}\": something else than its speaker answers there (another \
             load balancer, a leftover address, or kube-proxy in IPVS mode without strictARP)"
        ),
    };
    let what = if *served {
        "it is kept, and defended while it is announced"
    } else {
        "it is not announced"
    };
    format!(
        "address {address} is answered for by {mac}, seen on interface {interface} of node \
         \"{node}\", {who}; {what}"
    )
}

#[cfg(test)]
mod tests {
    use crds::model::ids::{IfIndex, MacAddr};

    use super::*;

    #[test]
    fn the_message_says_who_where_and_what_follows() {
        let mut conflict = Conflict {
            address: [192, 0, 2, 1].into(),
            mac: MacAddr([2, 0, 0, 0, 0, 9]),
            link: IfIndex(2),
            served: false,
            member: None,
        };
        assert_eq!(
            message(&conflict, "eth0", "n1"),
            "address 192.0.2.1 is answered for by 02:00:00:00:00:09, seen on interface eth0 of \
             node \"n1\", which is no node of this cluster; it is not announced"
        );
        conflict.served = true;
        conflict.member = Some("n2".into());
        let text = message(&conflict, "eth0", "n1");
        assert!(text.contains("which is node \"n2\": something else than its speaker"), "{text}");
        assert!(text.ends_with("it is kept, and defended while it is announced"), "{text}");
    }
}
