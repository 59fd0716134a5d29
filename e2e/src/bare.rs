//! Nodes without a kubelet: a network namespace, a Node object, and a speaker as a plain process.
//! A cluster of thirty speakers then costs thirty small processes, and the mesh, the wire and the
//! API see no difference.
//!
//! The DaemonSet controller makes a Pod for each such node, as for any other. Nobody runs it; we
//! write into its status where it would run, since that is how speakers find one another, and start
//! the program with the arguments and files that the Pod asks for.

mod pod;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use self::pod::{Recipe, Start};
use crate::cluster::Lab;
use crate::config::NAMESPACE;
use crate::plan::{API_PORT, Node};
use crate::speakers::DAEMON_SET;
use crate::state::write;
use crate::wait::{Look, until};

/// For thirty Pods, one API server, two cores.
const MADE: Duration = Duration::from_mins(1);

/// Registers the lab's nodes without a kubelet, and starts `program` as each one's speaker. The
/// chart must be installed.
pub async fn join(lab: &Lab, program: &Path) -> Result<()> {
    let client = lab.kube_client().await?;
    let bare: Vec<&Node> = lab.nodes().iter().filter(|node| node.bare).collect();
    register(&client, &bare).await?;
    let sets: Api<DaemonSet> = Api::namespaced(client.clone(), NAMESPACE);
    let template = sets.get(DAEMON_SET).await?.spec.template;
    let recipe = Recipe::read(&client, template.spec.context("a DaemonSet without a pod")?).await?;
    let config = configure(lab, &recipe.account)?;
    for node in bare {
        let pod = scheduled(&client, node).await?;
        let folder = lab.folder.node(&node.name, "");
        let Start { args, mut env } = recipe.cook(&folder, node, &pod)?;
        env.push(("KUBECONFIG".to_owned(), config.clone()));
        let name = format!("speaker-{}", node.name);
        lab.folder.spawn_with(&name, &node.namespace, program, &args, &env)?;
    }
    Ok(())
}

async fn register(client: &Client, nodes: &[&Node]) -> Result<()> {
    let api: Api<core::Node> = Api::all(client.clone());
    for node in nodes {
        let object: core::Node = serde_json::from_value(object(node))?;
        api.create(&PostParams::default(), &object).await.with_context(|| node.name.clone())?;
    }
    Ok(())
}

fn object(node: &Node) -> Value {
    let room = json!({"cpu": "1", "memory": "1Gi", "pods": "10"});
    json!({
        "metadata": {"name": node.name, "labels": {
            "kubernetes.io/os": "linux", "kubernetes.io/hostname": node.name,
        }},
        "spec": {
            "podCIDR": node.pods, "podCIDRs": [node.pods, node.pods6],
            // Speakers tolerate that, and nothing else is put where nobody would run it.
            "taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}],
        },
        "status": {
            "addresses": [{"type": "InternalIP", "address": node.ip}],
            "capacity": room, "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// The Pod that the DaemonSet controller made for this node, as if it ran.
async fn scheduled(client: &Client, node: &Node) -> Result<core::Pod> {
    let api: Api<core::Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let there = ListParams::default()
        .labels("app.kubernetes.io/component=speaker")
        .fields(&format!("spec.nodeName={}", node.name));
    let pod = until(MADE, &format!("the Pod of {}", node.name), async || {
        let found = api.list(&there).await?.items;
        let one = found.into_iter().next();
        Ok(Look::when(one, || "none".to_owned()))
    })
    .await?;
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .map(|kind| json!({"type": kind, "status": "True"}));
    let status = json!({"status": {
        "phase": "Running",
        "hostIP": node.ip, "hostIPs": [{"ip": node.ip}],
        "podIP": node.ip, "podIPs": [{"ip": node.ip}],
        "conditions": conditions,
    }});
    let params = PatchParams::default();
    Ok(api.patch_status(&pod.name_any(), &params, &Patch::Strategic(status)).await?)
}

/// A configuration with the rights of the speakers' service account.
fn configure(lab: &Lab, account: &str) -> Result<String> {
    let token = lab.kubectl(&["-n", NAMESPACE, "create", "token", account, "--duration=24h"])?;
    let server = format!("https://{}:{API_PORT}", lab.facts.plan.control.ip);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": account}}],
        "clusters": [{"name": "lab", "cluster": {
            "server": server, "certificate-authority": lab.folder.pki("ca.crt"),
        }}],
        "users": [{"name": account, "user": {"token": token.trim()}}],
    });
    let file = lab.folder.kubeconfig("speaker");
    write(&file, config.to_string())?;
    Ok(file.display().to_string())
}
