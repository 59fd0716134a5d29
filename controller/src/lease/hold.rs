//! The loop that watches, takes, renews and gives back the lease.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kit::feed::{Change, feed};
use kube::api::PostParams;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::decide::{Election, Record, Step, Terms};
use super::fence::{Clock, Fence};
use crate::reconcile::desk::Role;

/// The lease this replica runs for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// Who we are.
    pub identity: String,
    /// How it is held.
    pub terms: Terms,
}

/// Why the loop ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The watch is never to end.
    #[error("the watch of the lease ended")]
    Watch,
}

/// Runs for the lease until `stop`, and then gives it back, so that a standby need not wait for it
/// to expire. `roles` says what we are; `fence` is open exactly while we may write.
///
/// # Errors
/// [`Error`], never expected.
pub async fn hold(
    client: Client,
    settings: Settings,
    (clock, fence): (Clock, Fence),
    roles: watch::Sender<Role>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let api: Api<Lease> = Api::namespaced(client.clone(), &settings.namespace);
    let guarded = Api::namespaced(client, &settings.namespace);
    let only = watcher::Config::default().fields(&format!("metadata.name={}", settings.name));
    let mut changes = pin!(feed(guarded, only, |_: &mut Lease| ()));
    let mut holder = Holder {
        election: Election::new(settings.identity.clone(), settings.terms),
        api,
        settings,
        clock,
        fence,
        roles,
    };
    loop {
        let wake = holder.step().await;
        let wake = wake.unwrap_or_else(|| clock.elapsed() + Duration::from_mins(1));
        tokio::select! {
            () = stop.cancelled() => {
                holder.give_back().await;
                return Ok(());
            }
            change = changes.next() => holder.observe(change.ok_or(Error::Watch)?),
            () = tokio::time::sleep_until(clock.at(wake)) => {}
        }
    }
}

struct Holder {
    election: Election,
    api: Api<Lease>,
    settings: Settings,
    clock: Clock,
    fence: Fence,
    roles: watch::Sender<Role>,
}

impl Holder {
    fn observe(&mut self, change: Change<Lease>) {
        let record = match change {
            Change::Reset { objects, .. } => objects.first().map(|lease| self.record(lease)),
            Change::Put(lease) => Some(self.record(&lease)),
            Change::Gone(_) => None,
            // Somebody's, then; the one seen before still counts.
            Change::Unreadable(_) => return,
        };
        self.election.observe(record, self.clock.elapsed());
        self.publish();
    }

    fn record(&self, lease: &Lease) -> Record {
        if let Some(made) = &lease.metadata.creation_timestamp {
            self.fence.set_installed(made.0.as_second());
        }
        record(lease)
    }

    /// Does what is to be done now, and says when to come back.
    async fn step(&mut self) -> Option<Duration> {
        let sent = self.clock.elapsed();
        let step = self.election.decide(sent);
        self.publish();
        let (version, transitions) = match step {
            Step::Wait(until) => return until,
            Step::Create => (None, 0),
            Step::Take(version, transitions) | Step::Renew(version, transitions) => {
                (Some(version), transitions)
            }
        };
        let lease = self.lease(Some(&self.settings.identity), version, transitions);
        let written = self.write(&lease).await;
        let now = self.clock.elapsed();
        if let Some(lease) = written {
            self.election.written(self.record(&lease), sent, now);
        } else {
            self.election.failed(now);
            // Whoever was faster is seen sooner this way than by a watch that may lag.
            let get = self.api.get_opt(&self.settings.name);
            if let Ok(Ok(found)) = tokio::time::timeout(self.limit(), get).await {
                let found = found.map(|lease| self.record(&lease));
                self.election.observe(found, self.clock.elapsed());
            }
        }
        self.publish();
        Some(self.clock.elapsed())
    }

    /// A request must not outlast the time in which its failure could still be made good.
    fn limit(&self) -> Duration {
        self.settings.terms.duration / 5
    }

    async fn write(&self, lease: &Lease) -> Option<Lease> {
        let params = PostParams::default();
        let name = &self.settings.name;
        let request = async {
            if lease.metadata.resource_version.is_some() {
                self.api.replace(name, &params, lease).await
            } else {
                self.api.create(&params, lease).await
            }
        };
        match tokio::time::timeout(self.limit(), request).await {
            Ok(Ok(lease)) => Some(lease),
            Ok(Err(error)) => {
                let error = kit::client::brief(&error);
                tracing::warn!(error, "lease not written");
                None
            }
            Err(_) => {
                tracing::warn!(error = "timeout", "lease not written");
                None
            }
        }
    }

    async fn give_back(&mut self) {
        let held = self.election.held();
        let held = held.map(|(version, transitions)| (version.to_owned(), transitions));
        // First stop writing, then let others begin.
        self.fence.set(None);
        self.roles.send_replace(Role::Standby);
        if let Some((version, transitions)) = held {
            let lease = self.lease(None, Some(version), transitions);
            self.write(&lease).await;
            tracing::info!("lease given back");
        }
    }

    #[expect(clippy::disallowed_methods, reason = "people read these times; no decision does")]
    fn lease(&self, holder: Option<&str>, version: Option<String>, transitions: i32) -> Lease {
        let now = Timestamp::now();
        let duration = self.settings.terms.duration.as_millis().div_ceil(1000);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.settings.name.clone()),
                namespace: Some(self.settings.namespace.clone()),
                resource_version: version,
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: holder.map(ToOwned::to_owned),
                lease_duration_seconds: i32::try_from(duration).ok(),
                lease_transitions: Some(transitions),
                renew_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Tells the others what we are, if that changed.
    fn publish(&self) {
        let until = self.election.leads_until().filter(|until| *until > self.clock.elapsed());
        if let Some((_, transitions)) = self.election.held() {
            self.fence.begin(u64::try_from(transitions).unwrap_or_default());
        }
        self.fence.set(until);
        let role = if until.is_some() { Role::Leader } else { Role::Standby };
        self.roles.send_if_modified(|known| {
            let is_news = *known != role;
            if is_news {
                tracing::info!(role = ?role, "role changed");
            }
            *known = role;
            is_news
        });
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    Record {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}
