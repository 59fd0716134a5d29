//! Kubernetes Events, written as client-go's recorder writes them: core/v1 objects whose `source`
//! names the component, since that is what `kubectl describe` shows and people search for.
//!
//! Publishing never waits and never fails: what does not fit into the queue, or exceeds the rate
//! of one object, is dropped and counted. An identical Event is counted up instead of repeated.
//! Many that only differ in their texts become one.

use std::future::Future;
use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Event as CoreEvent, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use prometheus::IntCounter;
use serde_json::json;
use tokio::sync::mpsc;

mod series;

use series::{Entry, Series, Verdict};

/// What fits into the queue: a mass deployment's worth.
const QUEUE: usize = 4096;

/// Writes under way at one time.
const CONCURRENCY: usize = 8;

/// Whether something went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// For information.
    Normal,
    /// Somebody should look.
    Warning,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// One thing that happened to one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The object; see [`about`].
    pub about: ObjectReference,
    /// Whether it went well.
    pub severity: Severity,
    /// A word that scripts search for.
    pub reason: &'static str,
    /// What happened, for people.
    pub message: String,
}

/// The reference to `object` that an Event needs.
pub fn about<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    let mut reference = object.object_ref(&());
    // Events about one object in several states are still about one object.
    reference.resource_version = None;
    reference
}

/// The place to hand Events in; cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Event>,
    dropped: IntCounter,
}

impl Recorder {
    /// A recorder for `component`, running in the pod `instance`, and the task that writes what it
    /// is given; the task ends when the last recorder is gone. `dropped` counts what is lost.
    pub fn new(
        client: Client,
        component: &'static str,
        instance: &str,
        dropped: IntCounter,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, incoming) = mpsc::channel(QUEUE);
        let writer =
            Writer { client, component, instance: instance.to_owned(), dropped: dropped.clone() };
        (Self { queue, dropped }, writer.run(incoming))
    }

    /// Hands in `event`, or drops it when too many wait already.
    pub fn publish(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.dropped.inc();
        }
    }
}

struct Writer {
    client: Client,
    component: &'static str,
    instance: String,
    dropped: IntCounter,
}

impl Writer {
    async fn run(self, incoming: mpsc::Receiver<Event>) {
        let this = Arc::new(self);
        let mut series = Series::default();
        let incoming = futures::stream::unfold(incoming, |mut incoming| async {
            incoming.recv().await.map(|event| (event, incoming))
        });
        incoming
            .for_each_concurrent(CONCURRENCY, move |mut event| {
                let now = now();
                let verdict = series.judge(&mut event, now.as_nanosecond());
                let this = Arc::clone(&this);
                async move { this.write(event, verdict, Time(now)).await }
            })
            .await;
    }

    async fn write(&self, event: Event, verdict: Verdict, now: Time) {
        let namespace = event.about.namespace.as_deref().unwrap_or("default");
        let api = Api::<CoreEvent>::namespaced(self.client.clone(), namespace);
        let written = match verdict {
            Verdict::Create(name) => {
                let object = self.object(&event, name, now);
                api.create(&PostParams::default(), &object).await
            }
            Verdict::Count(Entry { name, count }) => {
                // One that stands for many has the text that came last.
                let text = &event.message;
                let patch = json!({"count": count, "lastTimestamp": now, "message": text});
                api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await
            }
            Verdict::Drop => {
                self.dropped.inc();
                return;
            }
        };
        // An Event is not worth a second try: what it tells is in the logs and in the status too.
        if let Err(error) = written {
            self.dropped.inc();
            tracing::debug!(reason = event.reason, %error, "event not written");
        }
    }

    fn object(&self, event: &Event, name: String, now: Time) -> CoreEvent {
        CoreEvent {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(
                    event.about.namespace.clone().unwrap_or_else(|| "default".to_owned()),
                ),
                ..ObjectMeta::default()
            },
            involved_object: event.about.clone(),
            type_: Some(event.severity.as_str().to_owned()),
            reason: Some(event.reason.to_owned()),
            message: Some(event.message.clone()),
            count: Some(1),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            source: Some(EventSource { component: Some(self.component.to_owned()), host: None }),
            reporting_component: Some(self.component.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..CoreEvent::default()
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "an Event says when it happened")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[cfg(test)]
mod tests;
