//! A speaker that the kernel gives no packet socket: it says so, and others answer.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::Lab;
use e2e::config::{Config, NAMESPACE};
use e2e::observer::Observer;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::web;
use serde_json::Value;

const DAEMONSET: &str = "ferrolb-speaker";
/// How long an address may go unanswered when its speaker comes back without the right to answer: its
/// deputies go on meanwhile.
const UNANSWERED: Duration = Duration::from_secs(2);

/// Speakers that are started from now on have no right to open packet sockets; until it is dropped.
struct WithoutTheRight<'a>(&'a Lab);

impl<'a> WithoutTheRight<'a> {
    fn from_now_on(lab: &'a Lab) -> Result<Self> {
        let patch = r#"[
            {"op": "replace", "path": "/spec/updateStrategy", "value": {"type": "OnDelete"}},
            {"op": "remove", "path": "/spec/template/spec/containers/0/securityContext/capabilities/add"}
        ]"#;
        let made = Self(lab);
        lab.kubectl(&[
            "-n",
            NAMESPACE,
            "patch",
            "daemonset",
            DAEMONSET,
            "--type=json",
            "-p",
            patch,
        ])?;
        Ok(made)
    }
}

impl Drop for WithoutTheRight<'_> {
    fn drop(&mut self) {
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/ferrolb");
        let wait = ["--wait", "--timeout", "120s"];
        let args = ["upgrade", "ferrolb", chart, "-n", NAMESPACE, "--reset-then-reuse-values"];
        if let Err(error) = self.0.helm(&[&args[..], &wait[..]].concat()) {
            eprintln!("speakers stay without their right: {error:#}");
        }
    }
}

/// The pod of the speaker on this node.
fn pod(lab: &Lab, node: &str) -> Result<Value> {
    let selector = "app.kubernetes.io/component=speaker";
    let field = format!("spec.nodeName={node}");
    let args = ["-n", NAMESPACE, "get", "pods", "-l", selector, "--field-selector", &field];
    let list: Value = serde_json::from_str(&lab.kubectl(&[&args[..], &["-o", "json"]].concat())?)?;
    let pods = list["items"].as_array().context("no list")?;
    let living = pods.iter().find(|pod| pod["metadata"].get("deletionTimestamp").is_none());
    Ok(living.cloned().unwrap_or_default())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_speaker_without_a_packet_socket_is_not_ready_and_others_answer() -> Result<()> {
    let lab = Lab::attach()?;
    let _config = Config::pool(&lab, "first-pool", "172.17.255.1-172.17.255.9")?;
    TempNamespace::with(&lab, "refused", async |space| {
        web::deploy(space, 1).await?;
        let service = space.balance("web").await?;
        let ip = service.address().await?;
        let home = service.announcer().await?;
        let observer = Observer::watch(&lab, &[ip])?;
        let before = pod(&lab, &home.name)?["metadata"]["name"].clone();
        let without = WithoutTheRight::from_now_on(&lab)?;
        let name = before.as_str().context("no pod")?;
        lab.kubectl(&["-n", NAMESPACE, "delete", "pod", name])?;

        let heir = service.announcer_that(|node| node.name != home.name).await?;
        let logs = until(SOON, "the new speaker to say why", async || {
            let pod = pod(&lab, &home.name)?;
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let logs = lab.kubectl(&["-n", NAMESPACE, "logs", name]).unwrap_or_default();
            let is_told = pod["metadata"]["name"] != before && logs.contains("socketRefused");
            let state = pod["status"]["containerStatuses"].to_string();
            Ok(Look::when(is_told.then_some((pod, logs)), || state))
        })
        .await?;
        let (new, logs) = logs;
        ensure!(logs.contains("Operation not permitted"), "{logs}");
        let ready = &new["status"]["containerStatuses"][0]["ready"];
        ensure!(*ready == Value::Bool(false), "{new}");
        let trace = observer.finish()?;
        eprintln!(
            "{ip} went from {} to {}, longest gap {:?}",
            home.name,
            heir.name,
            trace.longest_gap(ip).length()
        );
        ensure!(trace.longest_gap(ip).length() < UNANSWERED, "{trace}");
        drop(without);
        until(SOON, "the speaker to be ready again", async || {
            let pod = pod(&lab, &home.name)?;
            let ready = pod["status"]["containerStatuses"][0]["ready"] == Value::Bool(true);
            Ok(Look::when(ready.then_some(()), || pod["status"].to_string()))
        })
        .await
    })
    .await
}
