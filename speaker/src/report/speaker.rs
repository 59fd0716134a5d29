//! The Speaker object of this node, which says how its speaker stands; and knocks, written into the
//! objects of others.
//!
//! As with the other reports, what is to be written follows from comparing what should be there with
//! what is, and no answer on the wire waits for it. One write at a time; what is to be said may
//! change meanwhile, and then the latest counts. The engine reads the objects too, by the same watch.

use std::time::Duration;

use crds::api::v1alpha1::{Speaker, SpeakerSpec, SpeakerStatus};
use crds::model::ids::NodeName;
use crds::names::{l2_status, ownership_event};
use futures::future::{BoxFuture, OptionFuture};
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kit::events::{Event, Recorder, Severity};
use kit::feed::{Change, feed};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use prometheus::IntCounter;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::{Description, Event as EngineEvent};
use crate::io::clock::wall_clock_millis;
use crate::view;
use crate::watch::{self, Events, Translation};

mod desk;
mod status;

use desk::{Desk, Step};

/// The shortest time between two writes of a status, unless it is urgent.
const PACE: Duration = Duration::from_secs(1);
/// The pause after a failed write, doubling from the first to the last. Short, as for watches:
/// somebody may be waiting to hear whether this speaker is alive.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What there is to say.
#[derive(Debug)]
pub enum Said {
    /// How the speaker of this node stands now.
    Described(Description),
    /// A speaker is not heard any more: is it alive?
    Knock {
        /// Whose.
        node: NodeName,
        /// To be echoed.
        nonce: String,
    },
}

/// Who says it, and where.
#[derive(Clone)]
pub struct Herald {
    /// The API.
    pub client: Client,
    /// Where the Speaker objects are.
    pub namespace: String,
    /// This node.
    pub node: String,
    /// What the object belongs to, so that it goes with it.
    pub owner: Option<OwnerReference>,
    /// Where Events go.
    pub recorder: Recorder,
    /// Counts writes that failed.
    pub update_errors: IntCounter,
    /// Where the objects go, for the engine.
    pub events: Events,
}

/// What came of a step: the step, and the status of this node's object if it is known now.
type Done = (Step, Result<Option<SpeakerStatus>, kube::Error>);

impl Herald {
    /// Says what it is told to say until there is nothing to come.
    pub async fn run(self, mut said: mpsc::UnboundedReceiver<Said>) {
        let api: Api<Speaker> = Api::namespaced(self.client.clone(), &self.namespace);
        let objects = feed(
            Api::namespaced(self.client.clone(), &self.namespace),
            watcher::Config::default(),
            |_: &mut Speaker| (),
        );
        let mut objects = std::pin::pin!(objects);
        let translation = Translation {
            key: |metadata| NodeName::from(watch::name(metadata)),
            view: |object: &Speaker| Some(view::speaker(object)),
            wrap: EngineEvent::Speakers,
        };
        let mut desk = Desk::new(self.node.clone());
        let mut job: Option<BoxFuture<'_, Done>> = None;
        let mut rest = Rest::default();
        loop {
            if job.is_none() && !rest.is_back_off {
                let step = desk.next(rest.until.is_some(), wall_clock_millis());
                job = step.map(|step| self.carry_out(&api, step).boxed());
            }
            tokio::select! {
                news = said.recv() => match news {
                    Some(Said::Described(description)) => desk.describe(description),
                    Some(Said::Knock { node, nonce }) => desk.knock(node, nonce),
                    None => return,
                },
                Some(change) = objects.next() => {
                    if let Some(event) = translation.translate(&change)
                        && self.events.send(event).await.is_err()
                    {
                        return;
                    }
                    observe(&mut desk, change);
                }
                Some((step, result)) = OptionFuture::from(job.as_mut()) => {
                    job = None;
                    rest.begin(&step, result.is_ok());
                    match result {
                        Ok(status) => {
                            if let (Step::Status { is_drained_now: true, .. }, Some(_)) =
                                (&step, &status)
                            {
                                self.tell_drained();
                            }
                            desk.finish(step, status);
                        }
                        Err(error) => {
                            self.update_errors.inc();
                            tracing::warn!(%error, "cannot write a Speaker object, trying again");
                        }
                    }
                }
                Some(()) = OptionFuture::from(rest.until.map(tokio::time::sleep_until)) => rest.end(),
            }
        }
    }

    async fn carry_out(&self, api: &Api<Speaker>, step: Step) -> Done {
        let result = self.write(api, &step).await;
        (step, result)
    }

    async fn write(
        &self,
        api: &Api<Speaker>,
        step: &Step,
    ) -> Result<Option<SpeakerStatus>, kube::Error> {
        let params = PatchParams::default();
        let result = match step {
            Step::Create => api.create(&PostParams::default(), &self.object()).await,
            Step::Status { status, is_drained_now: _ } => {
                let patch = Patch::Merge(status::patch(status));
                api.patch_status(&self.node, &params, &patch).await
            }
            Step::Knock { node, nonce } => {
                let knock = json!({"spec": {"knock": {"nonce": nonce, "by": self.node}}});
                api.patch(node.as_str(), &params, &Patch::Merge(knock)).await
            }
        };
        match (result, step) {
            (Ok(object), Step::Create | Step::Status { .. }) => {
                Ok(Some(object.status.unwrap_or_default()))
            }
            // Made by a predecessor on this node, and not seen yet; the watch will show its status.
            (Err(kube::Error::Api(status)), Step::Create) if status.code == 409 => {
                Ok(Some(SpeakerStatus::default()))
            }
            // Nobody to knock at, or our own object was deleted: then it is made again.
            (Err(kube::Error::Api(status)), Step::Knock { .. } | Step::Status { .. })
                if status.code == 404 =>
            {
                Ok(None)
            }
            (Ok(_), Step::Knock { .. }) => Ok(None),
            (Err(error), _) => Err(error),
        }
    }

    fn object(&self) -> Speaker {
        let mut object = Speaker::new(&self.node, SpeakerSpec::default());
        object.metadata = ObjectMeta {
            name: Some(self.node.clone()),
            labels: Some([(l2_status::NODE.to_owned(), self.node.clone())].into()),
            owner_references: self.owner.clone().map(|owner| vec![owner]),
            ..ObjectMeta::default()
        };
        object
    }

    fn tell_drained(&self) {
        let about = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(self.node.clone()),
            // As the kubelet does; `kubectl describe node` looks for this.
            uid: Some(self.node.clone()),
            ..ObjectReference::default()
        };
        let message = format!(
            "all addresses that node \"{}\" announced have been handed over; it takes no others",
            self.node
        );
        let (severity, reason) = (Severity::Normal, ownership_event::DRAINED);
        self.recorder.publish(Event { about, severity, reason, message });
    }
}

fn observe(desk: &mut Desk, change: Change<Speaker>) {
    match change {
        Change::Reset { objects, unreadable: _ } => {
            let own = |object: &Speaker| watch::name(&object.metadata) == desk.node();
            let own = objects.into_iter().find(own);
            desk.observe(own.map(|own| own.status.unwrap_or_default()));
        }
        Change::Put(object) if watch::name(&object.metadata) == desk.node() => {
            desk.observe(Some(object.status.unwrap_or_default()));
        }
        Change::Gone(metadata) if watch::name(&metadata) == desk.node() => desk.observe(None),
        Change::Put(_) | Change::Gone(_) | Change::Unreadable(_) => {}
    }
}

/// When to write again.
#[derive(Debug, Default)]
struct Rest {
    until: Option<Instant>,
    /// After a failure nothing is written at all; after a success only what is urgent.
    is_back_off: bool,
    failures: u32,
}

impl Rest {
    fn begin(&mut self, step: &Step, is_ok: bool) {
        self.is_back_off = !is_ok;
        if is_ok {
            self.failures = 0;
            if let Step::Status { .. } = step {
                self.until = Some(Instant::now() + PACE);
            }
        } else {
            let pause = PAUSES.0.saturating_mul(1 << self.failures.min(10)).min(PAUSES.1);
            self.failures += 1;
            self.until = Some(Instant::now() + pause);
        }
    }

    fn end(&mut self) {
        (self.until, self.is_back_off) = (None, false);
    }
}

#[cfg(test)]
mod tests;
