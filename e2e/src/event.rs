//! Kubernetes Events, as `kubectl describe` shows them.

use std::fmt;

use anyhow::Result;
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, ListParams};

use crate::wait::{Look, SOON, until};

/// What an Event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `Normal` or `Warning`.
    pub kind: String,
    pub reason: String,
    /// `source.component`.
    pub source: String,
    pub message: String,
}

impl Event {
    fn new(kind: &str, reason: &str, source: &str, message: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            reason: reason.to_owned(),
            source: source.to_owned(),
            message: message.to_owned(),
        }
    }

    /// One by the controller that all is well.
    pub fn controller(reason: &str, message: &str) -> Self {
        Self::new("Normal", reason, "metallb-controller", message)
    }

    /// One by the controller that something is not.
    pub fn controller_warning(reason: &str, message: &str) -> Self {
        Self::new("Warning", reason, "metallb-controller", message)
    }

    /// A speaker says that it announces.
    pub fn node_assigned(node: &str) -> Self {
        let message = format!("announcing from node \"{node}\" with protocol \"layer2\"");
        Self::new("Normal", "nodeAssigned", "metallb-speaker", &message)
    }

    /// A speaker says that it cannot announce.
    pub fn announce_failed(message: &str) -> Self {
        Self::new("Warning", "announceFailed", "metallb-speaker", message)
    }

    /// No address was found for a Service, and why.
    pub fn allocation_failed(service: &str, why: &str) -> Self {
        let message = format!("Failed to allocate IP for \"{service}\": {why}");
        Self::controller_warning("AllocationFailed", &message)
    }
}

/// As a line of `kubectl describe`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, reason, source, message } = self;
        write!(f, "{kind} {reason} {source} {message}")
    }
}

/// The Events about the object with this UID, and how often each was said. By UID: those about an
/// earlier object of the same name stay for an hour.
pub async fn about(client: &kube::Client, namespace: &str, uid: &str) -> Result<Vec<(Event, i32)>> {
    let api: Api<core::Event> = Api::namespaced(client.clone(), namespace);
    list(&api, &format!("involvedObject.uid={uid}")).await
}

/// The Events about a node, and how often each was said. By name: what stands for a node's UID
/// differs from writer to writer.
pub async fn about_node(client: &kube::Client, node: &str) -> Result<Vec<(Event, i32)>> {
    let fields = format!("involvedObject.kind=Node,involvedObject.name={node}");
    list(&Api::all(client.clone()), &fields).await
}

async fn list(api: &Api<core::Event>, fields: &str) -> Result<Vec<(Event, i32)>> {
    let only = ListParams::default().fields(fields);
    let said = api.list(&only).await?.items.into_iter().map(|event| {
        let source = event.source.and_then(|source| source.component).unwrap_or_default();
        let it = Event {
            kind: event.type_.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            source,
            message: event.message.unwrap_or_default(),
        };
        (it, event.count.unwrap_or(1))
    });
    Ok(said.collect())
}

/// Waits for exactly this Event about the object with this UID.
pub async fn await_about(
    client: &kube::Client,
    namespace: &str,
    uid: &str,
    expected: &Event,
) -> Result<()> {
    until(SOON, &format!("the event {expected}"), async || {
        let told = about(client, namespace, uid).await?;
        let found = told.iter().any(|(event, _)| event == expected);
        Ok(Look::when(found.then_some(()), || lines(&told)))
    })
    .await
}

/// One line for each.
pub fn lines(events: &[(Event, i32)]) -> String {
    let lines = events.iter().map(|(event, count)| format!("\n  {count}x {event}"));
    lines.collect()
}
