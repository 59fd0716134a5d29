//! What users see of announcements: the Event `nodeAssigned` and a ServiceL2Status for each Service
//! announced from here; and what they see of the speaker, in [`speaker`].
//!
//! Runs beside the engine and may lag behind it: no answer on the wire waits for the API server.
//! What is to be written follows from comparing what should be with what is there ([`plan`]), so
//! that a restarted speaker finds its own objects and writes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::api::v1beta1::ServiceL2Status;
use crds::model::ids::{NodeName, ServiceKey};
use crds::names::{CLAIM, event};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kit::events::{Event, Recorder, Severity};
use kit::feed::feed;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use prometheus::IntCounter;
use serde_json::json;
use tokio::sync::mpsc;

use crate::engine::{Event as EngineEvent, Standing};
use crate::ownership::Why;
use crate::view;
use crate::watch::{self, Events, Translation};

mod object;
mod plan;
pub mod speaker;
mod state;

use object::object;
use plan::{Seen, Step};
use state::{Done, State};

/// Services whose objects are written at one time; the API server has other things to do.
const CONCURRENCY: usize = 8;

/// What there is to know here.
#[derive(Debug)]
pub enum Report {
    /// How a Service stands here now.
    Standing {
        /// The Service.
        service: ServiceKey,
        /// Its UID.
        uid: String,
        /// How it stands; `None`: it is gone.
        standing: Option<Box<Standing>>,
    },
    /// The nodes whose speakers are alive.
    Members(BTreeSet<NodeName>),
    /// Every Service has been told of: what was not, is not announced here.
    Settled,
}

/// Who writes, and where.
#[derive(Clone)]
pub struct Reporter {
    /// The API.
    pub client: Client,
    /// Where the status objects are.
    pub namespace: String,
    /// This node.
    pub node: String,
    /// What the status objects belong to, so that they go with it.
    pub owner: Option<OwnerReference>,
    /// Where Events go.
    pub recorder: Recorder,
    /// Counts writes that failed.
    pub update_errors: IntCounter,
    /// Where the records go of who announced what: the engine reads them too, and one watch of them
    /// is enough.
    pub events: Events,
}

impl Reporter {
    /// Takes reports until there are none to come.
    pub async fn run(self, mut reports: mpsc::UnboundedReceiver<Report>) {
        let api: Api<ServiceL2Status> = Api::namespaced(self.client.clone(), &self.namespace);
        let objects = feed(
            Api::namespaced(self.client.clone(), &self.namespace),
            watcher::Config::default(),
            |_: &mut ServiceL2Status| (),
        );
        let mut objects = std::pin::pin!(objects);
        let record: fn(&ServiceL2Status) -> _ = view::recorded;
        let (key, wrap) = (watch::name, EngineEvent::Recorded);
        let translation = Translation { key, view: record, wrap };
        let mut jobs = FuturesUnordered::new();
        let mut state = State::default();
        loop {
            while jobs.len() < CONCURRENCY {
                let Some((service, steps, pause)) = state.next(&self.node) else {
                    break;
                };
                jobs.push(self.work(&api, service, steps, pause).boxed());
            }
            tokio::select! {
                report = reports.recv() => match report {
                    Some(report) => self.take(&mut state, report),
                    None => return,
                },
                Some(change) = objects.next() => {
                    if let Some(event) = translation.translate(&change)
                        && self.events.send(event).await.is_err()
                    {
                        return;
                    }
                    state.observe(change);
                }
                Some(done) = jobs.next() => state.finish(done),
            }
        }
    }

    fn take(&self, state: &mut State, report: Report) {
        match report {
            Report::Standing { service, uid, standing } => {
                let standing = standing.as_deref();
                if let Some(Standing::Silent(Why::NoInterface(ip))) = standing {
                    let message = format!(
                        "the interfaces specified by LB IP \"{ip}\" doesn't exist in assigned node \"{}\" with protocol \"layer2\"",
                        self.node
                    );
                    let (severity, reason) = (Severity::Warning, event::ANNOUNCE_FAILED);
                    self.publish(&service, &uid, severity, reason, message);
                }
                if let Some(Standing::Silent(Why::Probing | Why::InUse { .. })) = standing {
                    return state.suspend(service);
                }
                let announcement = standing.and_then(Standing::announcement);
                let announced = announcement
                    .map(|announcement| (announcement.interfaces.clone(), announcement.claim));
                state.announce(service, uid, announced);
            }
            Report::Members(members) => {
                state.set_alive(members.iter().map(ToString::to_string).collect());
            }
            Report::Settled => state.settle(),
        }
    }

    /// Carries out `steps` for `service`, after `pause`.
    async fn work(
        &self,
        api: &Api<ServiceL2Status>,
        service: ServiceKey,
        steps: Vec<Step>,
        pause: Duration,
    ) -> Done {
        tokio::time::sleep(pause).await;
        let mut done = Vec::new();
        for step in steps {
            match self.carry_out(api, &service, step).await {
                Ok(change) => done.extend(change),
                Err(error) => {
                    self.update_errors.inc();
                    tracing::warn!(service = %service, %error, "cannot write ServiceL2Status, trying again");
                    return (service, Err(error));
                }
            }
        }
        (service, Ok(done))
    }

    async fn carry_out(
        &self,
        api: &Api<ServiceL2Status>,
        service: &ServiceKey,
        step: Step,
    ) -> Result<Option<(String, Option<Seen>)>, kube::Error> {
        match step {
            Step::Tell { uid } => {
                let message =
                    format!("announcing from node \"{}\" with protocol \"layer2\"", self.node);
                self.publish(service, &uid, Severity::Normal, event::NODE_ASSIGNED, message);
                Ok(None)
            }
            Step::Create { interfaces, claim } => {
                let object = object(&self.node, self.owner.clone(), service, claim);
                let object = api.create(&PostParams::default(), &object).await?;
                let name = object.metadata.name.unwrap_or_default();
                self.patch(api, name, service, interfaces).await
            }
            Step::Mark { name, claim } => {
                let patch = json!({"metadata": {"annotations": {CLAIM: claim.to_string()}}});
                let patched = api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
                after(name, patched)
            }
            Step::Update { name, interfaces } => self.patch(api, name, service, interfaces).await,
            Step::Delete { name } => match api.delete(&name, &DeleteParams::default()).await {
                Err(error) if is_gone(&error) => Ok(Some((name, None))),
                Err(error) => Err(error),
                Ok(_) => Ok(Some((name, None))),
            },
        }
    }

    /// Writes the status of the object `name`; gives what is there afterwards.
    async fn patch(
        &self,
        api: &Api<ServiceL2Status>,
        name: String,
        service: &ServiceKey,
        interfaces: BTreeSet<String>,
    ) -> Result<Option<(String, Option<Seen>)>, kube::Error> {
        let patch = object::status(&self.node, service, &interfaces);
        let patched = api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
        after(name, patched)
    }

    fn publish(
        &self,
        service: &ServiceKey,
        uid: &str,
        severity: Severity,
        reason: &'static str,
        message: String,
    ) {
        let about = about_service(service, uid);
        self.recorder.publish(Event { about, severity, reason, message });
    }
}

/// What is there after a patch of the object `name`: what the API server says, or nothing.
fn after(
    name: String,
    patched: Result<ServiceL2Status, kube::Error>,
) -> Result<Option<(String, Option<Seen>)>, kube::Error> {
    match patched {
        Ok(object) => Ok(Some((name, Some(state::seen(&object))))),
        Err(error) if is_gone(&error) => Ok(Some((name, None))),
        Err(error) => Err(error),
    }
}

/// What an Event about a Service refers to.
pub(crate) fn about_service(service: &ServiceKey, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Service".to_owned()),
        name: Some(service.name.clone()),
        namespace: Some(service.namespace.clone()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

/// Whether somebody else has deleted the object.
fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
