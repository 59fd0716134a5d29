//! Builds a cluster: wire first, then the control plane, then the nodes, then cluster DNS. Starting
//! is mostly waiting for other programs, so whatever does not need the API server runs beside its
//! start.

mod addons;
mod certs;
mod control;
mod host;
mod images;
mod node;
mod wire;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cluster::Lab;
use crate::kubectl;
use crate::plan::Plan;
use crate::state::{Facts, Folder, write};
use crate::wait::{Look, until_blocking};

pub(crate) use host::CONTAINERS;
pub use images::import;
pub use node::NETWORK;
pub use wire::{plug, route_outside, unplug};

/// Tells what happens, with the time since the start.
pub struct Progress<'a> {
    start: Instant,
    say: &'a dyn Fn(&str),
}

impl<'a> Progress<'a> {
    pub fn new(say: &'a dyn Fn(&str)) -> Self {
        Self { start: Instant::now(), say }
    }

    pub fn tell(&self, what: &str) {
        (self.say)(&format!("{:6.1}s  {what}", self.start.elapsed().as_secs_f32()));
    }
}

/// Brings a lab up; removes an earlier one first. On failure everything but the logs is removed.
pub fn up(folder: &Folder, plan: Plan, progress: &Progress<'_>) -> Result<Lab> {
    let cgroups = host::check()?;
    // Building takes minutes the first time: before anything runs, so that an interrupt leaves
    // nothing behind.
    let parts = built("parts", &[])?;
    let images = built("images", &[&parts])?;
    if folder.exists() || !crate::namespace::existing().is_empty() {
        progress.tell("an earlier lab is up or was left behind; removing it");
        crate::down::down(folder, crate::down::Logs::Remove)?;
    }
    let facts = Facts { plan, parts };
    let lab = Lab { folder: folder.clone(), facts };
    let built = assemble(&lab, &images, cgroups, progress);
    if let Err(error) = built {
        crate::interrupt::clear();
        crate::down::down(folder, crate::down::Logs::Keep)?;
        let logs = folder.path("logs");
        return Err(error.context(format!("the lab did not come up; logs: {}", logs.display())));
    }
    Ok(lab)
}

fn assemble(
    lab: &Lab,
    images: &Path,
    cgroups: host::Cgroups,
    progress: &Progress<'_>,
) -> Result<()> {
    let (folder, plan) = (&lab.folder, &lab.facts.plan);
    folder.create()?;
    progress.tell(&format!("machines: control plane, {} nodes, client", plan.nodes.len()));
    host::prepare(folder, cgroups)?;
    wire::lay(plan)?;
    certs::issue(folder, plan)?;
    write_tools(lab)?;
    serve_kubectl(lab)?;

    progress.tell("starting the API server and the container runtimes");
    control::start_api(lab)?;
    for node in plan.kubelets() {
        node::start_runtime(lab, node)?;
    }
    let archives = images::archives(images)?;
    import(lab, &archives)?;
    progress.tell("images are in every node");
    control::await_api(lab)?;
    progress.tell("the API server answers");

    control::start_controllers(lab)?;
    for node in plan.kubelets() {
        node::start_kubelet(lab, node)?;
    }
    addons::apply(lab)?;
    await_nodes(lab, "registered", |node| node["metadata"]["name"].is_string())?;
    // After the Node objects: kube-proxy asks for its own and backs off for seconds without it.
    node::start_proxies(lab)?;
    await_nodes(lab, "Ready", is_ready)?;
    progress.tell("nodes are Ready");
    addons::await_ready(lab)?;
    progress.tell("cluster DNS answers, service accounts exist");
    folder.write_facts(&lab.facts)
}

fn is_ready(node: &serde_json::Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

fn await_nodes(lab: &Lab, what: &str, holds: fn(&serde_json::Value) -> bool) -> Result<()> {
    let want = lab.facts.plan.kubelets().count();
    await_in(lab, &format!("{want} nodes {what}"), || {
        let list: serde_json::Value =
            serde_json::from_str(&lab.kubectl(&["get", "nodes", "-o", "json"])?)?;
        let nodes = list["items"].as_array().map_or(&[][..], Vec::as_slice);
        let good = nodes.iter().filter(|node| holds(node)).count();
        Ok(Look::when((good == want).then_some(()), || {
            lab.kubectl(&["get", "nodes", "-o", "wide"]).unwrap_or_else(|error| error.to_string())
        }))
    })
}

/// Waits for something in the cluster, unless a program that has to run for it has ended.
fn await_in<T>(lab: &Lab, what: &str, mut look: impl FnMut() -> Result<Look<T>>) -> Result<T> {
    until_blocking(Duration::from_secs(90), what, || {
        for (name, process) in lab.folder.processes() {
            if !process.is_alive() {
                let words = lab.folder.tail(&name, 15);
                if restarted(lab, &name, &words)? {
                    continue;
                }
                return Ok(Look::Never(format!("{name} has ended; its last words:\n{words}")));
            }
        }
        look()
    })
}

/// Starts a kubelet anew that has met another in the one folder that no setting moves: each removes
/// the socket for device plugins and binds its own, and between the two another may have bound.
fn restarted(lab: &Lab, name: &str, words: &str) -> Result<bool> {
    let node = name.strip_prefix("kubelet-").and_then(|name| lab.node(name).ok());
    let clashed = words.contains("device-plugins/kubelet.sock: bind: address already in use");
    match node.filter(|_| clashed) {
        Some(node) => node::start_kubelet(lab, node).map(|()| true),
        None => Ok(false),
    }
}

/// Runs `e2e/WHAT/build.sh`, which says on stdout where the result lies.
fn built(what: &str, args: &[&Path]) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(what).join("build.sh");
    let output = Command::new(&script)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {}", script.display()))?;
    if !output.status.success() {
        bail!("{} failed", script.display());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// Starts what runs the commands of [`crate::kubectl`], and waits until it listens.
fn serve_kubectl(lab: &Lab) -> Result<()> {
    let (name, socket) = (kubectl::SERVER, kubectl::socket(&lab.folder));
    let program = lab.facts.parts.join(name);
    let config = lab.folder.kubeconfig("admin").display().to_string();
    let environment = [("KUBECONFIG".to_owned(), config)];
    let args = [socket.display().to_string()];
    lab.folder.spawn_with(name, crate::plan::CLIENT, &program, &args, &environment)?;
    await_in(lab, name, || {
        Ok(Look::when(socket.exists().then_some(()), || "no socket yet".to_owned()))
    })
}

/// `bin/kubectl` and `bin/helm`, for a person's shell: they enter the client and bring their
/// configuration.
fn write_tools(lab: &Lab) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    for tool in ["kubectl", "helm"] {
        let file = lab.folder.path("bin").join(tool);
        let text = format!(
            "#!/bin/sh\nexport KUBECONFIG={config} HOME={home}\n\
             exec nsenter --net={client} -- {program} \"$@\"\n",
            config = lab.folder.kubeconfig("admin").display(),
            home = lab.folder.root.display(),
            client = crate::namespace::path(crate::plan::CLIENT).display(),
            program = lab.facts.parts.join(tool).display(),
        );
        write(&file, text)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
