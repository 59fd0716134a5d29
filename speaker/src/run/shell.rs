//! Carries out the engine's effects. It decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crds::model::ids::ServiceKey;
use tokio::sync::mpsc;

use crate::announce::table::Table;
use crate::engine::{Effect, Standing};
use crate::io::mesh_socket::MeshSocket;
use crate::io::ports::Ports;
use crate::metrics::Metrics;
use crate::report::Report;

/// Everything effects act on.
pub(super) struct Shell {
    pub(super) ports: Ports,
    pub(super) table: Arc<ArcSwap<Table>>,
    pub(super) mesh: Option<MeshSocket>,
    pub(super) metrics: Metrics,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    /// The Services announced, for the log.
    pub(super) announced: BTreeSet<ServiceKey>,
}

impl Shell {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Ports(specs) => {
                self.ports.set(specs);
                self.metrics.set_ports(self.ports.open());
            }
            Effect::Ranges(ranges) => self.ports.set_ranges(ranges),
            Effect::Publish(desired) => {
                let next = Table::following(&self.table.load(), desired);
                self.table.store(Arc::new(next));
            }
            Effect::Transmit { link, address, frame } => {
                let sent = self.ports.send(link, &frame);
                if let Some(announced) = self.table.load().get(address).filter(|_| sent) {
                    announced.counters.count_gratuitous();
                }
            }
            Effect::Send { to, bytes } => {
                if let Some(mesh) = &self.mesh {
                    mesh.send(to, &bytes);
                }
            }
            Effect::Members(members) => {
                let names: Vec<_> = members.iter().map(ToString::to_string).collect();
                let members_json = kit::telemetry::json(&names);
                tracing::info!(
                    event = "members",
                    members = members_json.as_slice(),
                    "the speakers alive changed"
                );
                self.metrics.set_members(&members);
                let _ending = self.reports.send(Report::Members(members));
            }
            Effect::Report { service, uid, standing } => {
                self.log(&service, standing.as_ref());
                let addresses = standing.as_ref().and_then(Standing::announcement);
                let addresses = addresses.map(|announcement| announcement.addresses.clone());
                self.metrics.set_announced(service.clone(), addresses.unwrap_or_default());
                // Nobody takes reports any more only when the process is ending.
                let _ending = self.reports.send(Report::Standing { service, uid, standing });
            }
            Effect::Question { .. }
            | Effect::Frame { .. }
            | Effect::Renew(_)
            | Effect::Attend(_)
            | Effect::Count
            | Effect::Knock { .. }
            | Effect::Describe(_)
            | Effect::Conflict(_)
            | Effect::Checked { .. } => {}
            // The loop that calls this ends on it.
            Effect::Halt => {}
        }
    }

    /// Every Service has been decided about once.
    pub(super) fn settle(&self) {
        tracing::info!("all is known, the table is in force");
        // Nobody takes reports any more only when the process is ending.
        let _ending = self.reports.send(Report::Settled);
    }

    fn log(&mut self, service: &ServiceKey, standing: Option<&Standing>) {
        match standing {
            Some(Standing::Announced(announcement)) => {
                let ips = kit::telemetry::json(&announcement.addresses);
                let pool = announcement.pool.as_str();
                tracing::info!(
                    event = "serviceAnnounced", service = %service, ips = ips.as_slice(), pool,
                    protocol = "layer2", "service has IP, announcing"
                );
                self.announced.insert(service.clone());
            }
            silent => {
                let reason = match silent {
                    Some(Standing::Silent(why)) => why.reason(),
                    Some(Standing::Announced(_)) | None => "serviceDeleted",
                };
                if self.announced.remove(service) {
                    tracing::info!(
                        event = "serviceWithdrawn", service = %service, reason, protocol = "layer2",
                        "withdrawing service announcement"
                    );
                } else {
                    tracing::debug!(service = %service, reason, "not announced from here");
                }
            }
        }
    }
}
