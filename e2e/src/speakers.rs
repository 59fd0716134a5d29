//! The speakers as a whole: their DaemonSet, and what each says of itself in its Speaker object.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use serde_json::Value;

use crate::cluster::Lab;
use crate::config::NAMESPACE;
use crate::wait::{Look, SOON, until};

/// The DaemonSet of the chart, under the release's usual name.
pub const DAEMON_SET: &str = "ferrolb-speaker";
/// What the speakers' own flag says when the chart is silent.
const ANNOUNCEMENTS_PER_SECOND: u32 = 500;

/// Replaces all speakers, one after the other, and waits until the last is ready. Also what a test
/// does that is going to kill them: the kubelet's back-off grows with each death of one pod.
pub fn roll_out(lab: &Lab) -> Result<()> {
    let speakers = format!("daemonset/{DAEMON_SET}");
    lab.kubectl(&["-n", NAMESPACE, "rollout", "restart", &speakers])?;
    lab.kubectl(&["-n", NAMESPACE, "rollout", "status", &speakers, "--timeout=180s"]).map(drop)
}

/// How many addresses each speaker announces a second at most.
pub async fn announcements_per_second(client: &kube::Client) -> Result<u32> {
    let api: Api<DaemonSet> = Api::namespaced(client.clone(), NAMESPACE);
    let spec = api.get(DAEMON_SET).await?.spec.template.spec;
    let args = spec.into_iter().flat_map(|pod| pod.containers).filter_map(|it| it.args).flatten();
    let mut given = args
        .filter_map(|arg| arg.strip_prefix("--announcements-per-second=").map(str::parse::<u32>));
    Ok(given.next().transpose()?.unwrap_or(ANNOUNCEMENTS_PER_SECOND))
}

/// What a node's speaker says of itself: the status of its Speaker object.
pub async fn status(client: &kube::Client, node: &str) -> Result<Value> {
    let kind = GroupVersionKind::gvk("ferrolb.io", "v1alpha1", "Speaker");
    let resource = ApiResource::from_gvk_with_plural(&kind, "speakers");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &resource);
    let speaker = api.get(node).await.with_context(|| format!("the Speaker {node}"))?;
    Ok(speaker.data.get("status").cloned().unwrap_or_default())
}

/// Waits until a node's speaker says that it is in this state: `Active`, `Drained`.
pub async fn await_state(client: &kube::Client, node: &str, state: &str) -> Result<Value> {
    await_status(client, node, state, SOON, |status| status["state"] == state).await
}

/// Waits until what a node's speaker says `fits`.
pub async fn await_status(
    client: &kube::Client,
    node: &str,
    what: &str,
    deadline: Duration,
    fits: impl Fn(&Value) -> bool,
) -> Result<Value> {
    until(deadline, &format!("{what} in the status of the Speaker {node}"), async || {
        let status = status(client, node).await?;
        let said = status.to_string();
        Ok(Look::when(Some(status).filter(&fits), || said))
    })
    .await
}
