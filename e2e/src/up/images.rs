//! Brings image archives into the nodes: each has its own containerd, so each gets its own copy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::node::snapshotter;
use crate::cluster::Lab;
use crate::namespace::output;
use crate::plan::Node;
use crate::wait::{Look, until_blocking};

/// Holds a pod's namespaces open; the name is that of `e2e/images/pause`.
pub(super) const PAUSE: &str = "docker.io/ferrolb-lab/pause:1";

/// The archives in a folder.
pub(super) fn archives(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "tar"))
        .collect();
    found.sort();
    Ok(found)
}

/// Cluster DNS is large, and has one pod: `manifests/coredns.yaml` puts it on the first node.
const OF_THE_FIRST: &str = "coredns.tar";

/// Imports archives into every node that needs them, all nodes at once.
pub fn import(lab: &Lab, archives: &[PathBuf]) -> Result<()> {
    std::thread::scope(|scope| {
        let nodes: Vec<_> = lab
            .facts
            .plan
            .kubelets()
            .map(|node| scope.spawn(move || import_into(lab, node, archives)))
            .collect();
        nodes
            .into_iter()
            .try_for_each(|node| node.join().map_err(|_| anyhow!("an import thread died"))?)
    })
}

fn import_into(lab: &Lab, node: &Node, archives: &[PathBuf]) -> Result<()> {
    let socket = lab.folder.socket(&node.name);
    // A socket needs no namespace; ctr speaks to it from here.
    let ctr = || {
        let mut command = Command::new("ctr");
        command.arg("-a").arg(&socket).args(["-n", "k8s.io"]);
        command
    };
    until_blocking(Duration::from_secs(30), &format!("containerd of {}", node.name), || {
        output(ctr().arg("version")).map(Look::Seen)
    })?;
    let snapshotter = snapshotter(&lab.folder);
    let is_first = lab.facts.plan.nodes.first() == Some(node);
    let is_needed = |archive: &&PathBuf| is_first || !archive.ends_with(OF_THE_FIRST);
    for archive in archives.iter().filter(is_needed) {
        output(ctr().args(["images", "import", "--snapshotter", snapshotter]).arg(archive))
            .with_context(|| format!("importing {} into {}", archive.display(), node.name))?;
    }
    Ok(())
}
