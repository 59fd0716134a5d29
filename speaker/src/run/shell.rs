//! Carries out the engine's effects. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use crds::model::ids::{NodeName, ServiceKey};
use tokio::sync::mpsc;

use super::conflicts::Conflicts;
use super::journal::Journal;
use crate::announce::table::Table;
use crate::engine::{Description, Effect, Standing, State};
use crate::io::attendance::Attendance;
use crate::io::counts::Counts;
use crate::io::deadline::Deadline;
use crate::io::mesh_socket::MeshSocket;
use crate::io::ports::Ports;
use crate::link::Ineligible;
use crate::metrics::Metrics;
use crate::report::Report;
use crate::report::speaker::Said;

/// Everything effects act on.
pub(super) struct Shell {
    pub(super) ports: Ports,
    pub(super) table: Arc<ArcSwap<Table>>,
    pub(super) deadline: Deadline,
    pub(super) mesh: Option<MeshSocket>,
    pub(super) attendance: Option<Attendance>,
    pub(super) counts: Counts,
    pub(super) metrics: Metrics,
    pub(super) conflicts: Conflicts,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    pub(super) said: mpsc::UnboundedSender<Said>,
    /// Which interfaces are not used, for the log.
    pub(super) unused: BTreeMap<String, Ineligible>,
    /// What is announced, for the log.
    pub(super) journal: Journal,
    /// How the speaker stood when it was last told, for the log.
    pub(super) standing: State,
    /// Who has been knocked at since the members last changed, for the log.
    pub(super) knocked: BTreeSet<NodeName>,
}

impl Shell {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Ports(specs) => {
                self.ports.set(specs);
                self.metrics.set_ports(self.ports.open());
            }
            Effect::Unused(unused) => self.leave(unused),
            Effect::Ranges(ranges) => self.ports.set_ranges(ranges),
            Effect::Publish(desired) => {
                // First: joining a thousand multicast groups takes a while, and IPv4 needs none.
                let next = Table::following(&self.table.load(), desired.clone());
                self.table.store(Arc::new(next));
                self.ports.listen_for(&desired);
            }
            Effect::Renew(until) => self.deadline.renew(until),
            Effect::Transmit { link, address, frame } => {
                let sent = self.ports.announce(link, &frame);
                if let Some(announced) = self.table.load().get(address).filter(|_| sent) {
                    announced.counters.count_gratuitous();
                }
            }
            Effect::Question { link, frame } => {
                // An error is counted by the port. No answer is an answer, too.
                let _sent = self.ports.send(link, &frame);
            }
            Effect::Frame { link, to, bytes } => self.ports.send_frame(link, to, &bytes),
            Effect::Send { to, bytes } => {
                if let Some(mesh) = &self.mesh {
                    mesh.send(to, &bytes);
                }
            }
            Effect::Attend(members) => {
                if let Some(attendance) = &mut self.attendance {
                    attendance.set(&members);
                }
            }
            Effect::Count => self.counts.ask(self.ports.links()),
            Effect::Members { alive: members, certain } => {
                let names: Vec<_> = members.iter().map(ToString::to_string).collect();
                let members_json = kit::telemetry::json(&names);
                tracing::info!(
                    event = "members",
                    members = members_json.as_slice(),
                    "the speakers alive changed"
                );
                self.metrics.set_members(members.len(), certain);
                self.knocked.clear();
                // What a node left behind that is merely out of sight is still its own.
                if certain {
                    self.report(Report::Members(members));
                }
            }
            Effect::Report { service, uid, standing } => {
                self.log(&service, standing.as_ref());
                self.metrics.set_standing(service.clone(), standing.as_ref());
                let standing = standing.map(Box::new);
                self.report(Report::Standing { service, uid, standing });
            }
            Effect::Describe(description) => {
                self.stand(&description);
                self.say(Said::Described(description));
            }
            Effect::Knock { node, nonce } => {
                self.metrics.count_knock();
                // Repeated every few seconds, for as long as nobody is heard.
                if self.knocked.insert(node.clone()) {
                    tracing::info!(event = "knock", node = %node, "asking by the API whether a speaker is alive");
                }
                self.say(Said::Knock { node, nonce });
            }
            Effect::Conflict(conflict) => {
                let interface = self.ports.name(conflict.link);
                self.conflicts.tell(&conflict, &interface);
            }
            Effect::Checked { address, macs } => {
                self.metrics.count_check(macs.len());
                let macs = kit::telemetry::json(&macs);
                tracing::debug!(event = "checked", ip = %address, macs = macs.as_slice(), "who answers");
            }
            // The loop that calls this ends on it.
            Effect::Halt => {}
        }
    }

    /// Tries again to open what was refused.
    pub(super) fn try_again(&mut self) {
        self.ports.try_again();
        self.metrics.set_ports(self.ports.open());
    }

    /// Every Service has been decided about once.
    pub(super) fn settle(&self) {
        tracing::info!("all is known, the table is in force");
        self.report(Report::Settled);
    }

    fn report(&self, report: Report) {
        // Nobody takes reports any more only when the process is ending.
        let _ending = self.reports.send(report);
    }

    fn say(&self, said: Said) {
        let _ending = self.said.send(said);
    }

    fn leave(&mut self, unused: BTreeMap<String, Ineligible>) {
        self.metrics.set_unused(&unused);
        let told = std::mem::replace(&mut self.unused, unused);
        for (interface, why) in &self.unused {
            if told.get(interface) != Some(why) {
                let reason = why.reason();
                tracing::info!(event = "interfaceUnused", interface, reason, "not used: {why}");
            }
        }
    }

    fn stand(&mut self, description: &Description) {
        self.metrics.set_description(description);
        let Description { state, waiting, .. } = description;
        if *state == std::mem::replace(&mut self.standing, *state) {
            return;
        }
        let waiting = kit::telemetry::json(waiting);
        let message = match state {
            State::Active => "this node takes addresses",
            State::Draining => "this node is to be drained, handing over its addresses",
            State::Drained => "this node is drained, all its addresses are handed over",
            State::Excluded => "this node is excluded, it announces nothing",
        };
        tracing::info!(event = "stateChanged", waiting = waiting.as_slice(), "{message}");
    }

    fn log(&mut self, service: &ServiceKey, standing: Option<&Standing>) {
        let withdrawn = self.journal.note(service, standing);
        let reason = match standing {
            Some(Standing::Announced(announcement)) => {
                let ips = kit::telemetry::json(&announcement.addresses);
                let pool = announcement.pool.as_str();
                tracing::info!(
                    event = "serviceAnnounced", service = %service, ips = ips.as_slice(), pool,
                    protocol = "layer2", "service has IP, announcing"
                );
                if withdrawn.is_empty() {
                    return;
                }
                "loadBalancerIPChanged"
            }
            Some(Standing::Deputising { owner, macs: _, announcement }) => {
                let ips = kit::telemetry::json(&announcement.addresses);
                tracing::info!(
                    event = "serviceDeputised", service = %service, ips = ips.as_slice(),
                    node = %owner, protocol = "layer2", "answering for a node whose speaker is away"
                );
                "deputising"
            }
            Some(Standing::Silent(why)) => why.reason(),
            None => "serviceDeleted",
        };
        if withdrawn.is_empty() {
            tracing::debug!(service = %service, reason, "not announced from here");
        } else {
            let ip = kit::telemetry::json(&withdrawn);
            tracing::info!(
                event = "serviceWithdrawn", service = %service, ip = ip.as_slice(), reason,
                protocol = "layer2", "withdrawing service announcement"
            );
        }
    }
}

#[cfg(test)]
mod tests;
