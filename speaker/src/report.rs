//! What users see of announcements: the Event `nodeAssigned` and a ServiceL2Status for each Service
//! announced from here.
//!
//! Runs beside the engine and may lag behind it: no answer on the wire waits for the API server.
//! What is to be written follows from comparing what should be with what is there ([`plan`]), so
//! that a restarted speaker finds its own objects and writes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::api::v1beta1::ServiceL2Status;
use crds::model::ids::ServiceKey;
use crds::names::{event, l2_status};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kit::events::{Event, Recorder, Severity};
use kit::feed::feed;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;

use crate::engine::Standing;
use crate::ownership::Why;

mod plan;
mod state;

use plan::{Seen, Step};
use state::{Done, State};

/// Services whose objects are written at one time; the API server has other things to do.
const CONCURRENCY: usize = 8;

/// How a Service stands here now.
#[derive(Debug)]
pub struct Report {
    /// The Service.
    pub service: ServiceKey,
    /// Its UID.
    pub uid: String,
    /// How it stands; `None`: it is gone.
    pub standing: Option<Standing>,
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
                Some(change) = objects.next() => state.observe(change),
                Some(done) = jobs.next() => state.finish(done),
            }
        }
    }

    fn take(&self, state: &mut State, report: Report) {
        let Report { service, uid, standing } = report;
        if let Some(Standing::Silent(Why::NoInterface(ip))) = &standing {
            let message = format!(
                "the interfaces specified by LB IP \"{ip}\" doesn't exist in assigned node \"{}\" with protocol \"layer2\"",
                self.node
            );
            self.publish(&service, &uid, Severity::Warning, event::ANNOUNCE_FAILED, message);
        }
        let announcement = standing.as_ref().and_then(Standing::announcement);
        let interfaces = announcement.map(|announcement| announcement.interfaces.clone());
        state.announce(service, interfaces.map(|interfaces| (uid, interfaces)));
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
            Step::Create { interfaces } => {
                let object = api.create(&PostParams::default(), &self.object(service)).await?;
                let name = object.metadata.name.unwrap_or_default();
                self.patch(api, &name, service, &interfaces).await?;
                let seen = Seen { node: self.node.clone(), interfaces: Some(interfaces) };
                Ok(Some((name, Some(seen))))
            }
            Step::Update { name, interfaces } => {
                self.patch(api, &name, service, &interfaces).await?;
                let seen = Seen { node: self.node.clone(), interfaces: Some(interfaces) };
                Ok(Some((name, Some(seen))))
            }
            Step::Delete { name } => match api.delete(&name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(Some((name, None))),
                Err(error) => Err(error),
                Ok(_) => Ok(Some((name, None))),
            },
        }
    }

    fn object(&self, service: &ServiceKey) -> ServiceL2Status {
        let mut object =
            ServiceL2Status::new("", crds::api::v1beta1::ServiceL2StatusBody::default());
        let labels = [
            (l2_status::NODE, &self.node),
            (l2_status::SERVICE_NAME, &service.name),
            (l2_status::SERVICE_NAMESPACE, &service.namespace),
        ];
        object.metadata = ObjectMeta {
            generate_name: Some(l2_status::NAME_PREFIX.to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.clone())).into()),
            owner_references: self.owner.clone().map(|owner| vec![owner]),
            ..ObjectMeta::default()
        };
        object
    }

    async fn patch(
        &self,
        api: &Api<ServiceL2Status>,
        name: &str,
        service: &ServiceKey,
        interfaces: &BTreeSet<String>,
    ) -> Result<(), kube::Error> {
        let interfaces: Vec<_> = interfaces.iter().map(|name| json!({ "name": name })).collect();
        let patch = json!({"status": {
            "node": self.node,
            "serviceName": service.name,
            "serviceNamespace": service.namespace,
            "interfaces": interfaces,
        }});
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
    }

    fn publish(
        &self,
        service: &ServiceKey,
        uid: &str,
        severity: Severity,
        reason: &'static str,
        message: String,
    ) {
        let about = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            name: Some(service.name.clone()),
            namespace: Some(service.namespace.clone()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        self.recorder.publish(Event { about, severity, reason, message });
    }
}
