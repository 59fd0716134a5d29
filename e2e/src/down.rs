//! Takes a lab down, whole, half-built or crashed: what ran in it is found by where it lives (its
//! pid file, its namespace, its cgroup, its folder), so nothing has to have been recorded, and
//! nothing that is not the lab's is touched. Doing it twice is doing it once.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::namespace::{self, output};
use crate::process::{self, Process, all, in_network, with_descendants};
use crate::state::Folder;
use crate::up::CONTAINERS;
use crate::wait::{Look, until_blocking};

/// Whether the logs stay: they do when they have to explain a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logs {
    Keep,
    Remove,
}

pub fn down(folder: &Folder, logs: Logs) -> Result<()> {
    end_processes(folder)?;
    // Before the folder goes: it says which files and groups elsewhere are the lab's.
    let groups = cgroups(folder);
    remove_strays(folder);
    unmount(folder)?;
    for name in namespace::existing() {
        output(Command::new("ip").args(["netns", "del", &name]))?;
    }
    remove_cgroups(&groups)?;
    match logs {
        Logs::Remove => remove(&folder.root)?,
        Logs::Keep => {
            for entry in fs::read_dir(&folder.root).into_iter().flatten().flatten() {
                if entry.file_name() != "logs" {
                    remove(&entry.path())?;
                }
            }
        }
    }
    remove(&folder.bulk)
}

/// Kills until nothing is left: a process may have started another while the list was made.
fn end_processes(folder: &Folder) -> Result<()> {
    let spared = process::ancestors();
    for _ in 0..10 {
        let mut found = with_descendants(residents(folder));
        found.retain(|process| !spared.contains(&process.pid) && process.is_alive());
        if found.is_empty() {
            return Ok(());
        }
        process::kill_all(&found)?;
    }
    bail!("processes of the lab keep starting: {:?}", residents(folder));
}

/// Every process that lives in the lab.
fn residents(folder: &Folder) -> BTreeSet<Process> {
    let mut found: BTreeSet<Process> =
        folder.processes().into_iter().map(|(_, process)| process).collect();
    for name in namespace::existing() {
        found.extend(in_network(&namespace::path(&name)));
    }
    for group in cgroups(folder) {
        let pids = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        found.extend(pids.lines().filter_map(|pid| Process::with_pid(pid.parse().ok()?)));
    }
    let root = folder.root.display().to_string();
    let is_shim = |process: &Process| {
        process.name().is_some_and(|name| name.starts_with("containerd-shim"))
            && process.arguments().contains(&root)
    };
    found.extend(all().into_iter().filter(is_shim));
    found
}

/// The lab's cgroups in all hierarchies, its containers' own among them; children before parents.
fn cgroups(folder: &Folder) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let lab = PathBuf::from(folder.cgroup().trim_start_matches('/'));
    let container = |path: PathBuf| Some(Path::new(CONTAINERS).join(path.file_name()?));
    let ours = containers(folder).into_iter().filter_map(container);
    let ours: Vec<PathBuf> = ours.chain([lab]).collect();
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten();
    // Version 1 mounts a controller under several names; the links lead to the same groups.
    let hierarchies = hierarchies.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found = Vec::new();
    for hierarchy in hierarchies.map(|it| it.path()).chain([root.to_owned()]) {
        for group in &ours {
            collect_groups(&hierarchy.join(group), &mut found);
        }
    }
    found
}

fn collect_groups(group: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(group) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_groups(&entry.path(), found);
        }
    }
    found.push(group.to_owned());
}

fn remove_cgroups(groups: &[PathBuf]) -> Result<()> {
    // A killed process leaves its group a moment after it has left the process table.
    until_blocking(Duration::from_secs(5), "empty cgroups", || {
        let is_left = |group: &&PathBuf| fs::remove_dir(group).is_err() && group.exists();
        let left: Vec<_> = groups.iter().filter(is_left).collect();
        Ok(Look::when(left.is_empty().then_some(()), || format!("{left:?}")))
    })
}

fn unmount(folder: &Folder) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("reading the mounts")?;
    let mounts = mounts_under(&table, &[&folder.root, &folder.bulk]);
    if mounts.is_empty() {
        return Ok(());
    }
    // Lazily: a namespace file that something still looks at must not keep the lab alive.
    output(Command::new("umount").args(["-l", "--"]).args(mounts)).map(drop)
}

/// Mount points in these folders, the youngest first.
fn mounts_under(table: &str, folders: &[&Path]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|field| PathBuf::from(field.replace("\\040", " ")))
        .filter(|place| folders.iter().any(|folder| place.starts_with(folder)))
        .collect();
    found.reverse();
    found
}

/// The folders of the containers that the nodes' runtimes know; each is named by its id.
fn containers(folder: &Folder) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for node in fs::read_dir(&folder.root).into_iter().flatten().flatten() {
        let tasks = node.path().join("containerd/io.containerd.runtime.v2.task/k8s.io");
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        found.extend(tasks.map(|task| task.path()));
    }
    found
}

/// Removes what kubelet, containerd and the CNI library wrote to places of their own choice.
fn remove_strays(folder: &Folder) {
    let entries = |place: &str| fs::read_dir(place).into_iter().flatten().flatten();
    let containers = containers(folder);
    for container in &containers {
        // Each shim names its socket here; the socket itself lies among those of others.
        let address = fs::read_to_string(container.join("address")).unwrap_or_default();
        if let Some(socket) = address.trim().strip_prefix("unix://") {
            let _ = fs::remove_file(socket);
        }
    }
    for entry in entries("/var/log/containers") {
        if fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(&folder.root)) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let ids: Vec<_> = containers.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    for entry in entries("/var/lib/cni/results") {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(crate::up::NETWORK) || ids.iter().any(|id| name.contains(id)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn remove(path: &Path) -> Result<()> {
    let result = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_mounts_in_its_folders_only_and_the_youngest_first() {
        let table = "\
1 0 8:1 / / rw - ext4 /dev/x rw
2 1 0:1 / /run/lab/n1/a rw - tmpfs x rw
3 2 0:1 / /run/lab/n1/a/b\\040c rw - tmpfs x rw
4 1 0:1 / /run/laboratory rw - tmpfs x rw
5 1 0:1 / /var/lib/lab/n1 rw - overlay x rw
";
        let folders = [Path::new("/run/lab"), Path::new("/var/lib/lab")];
        let want = ["/var/lib/lab/n1", "/run/lab/n1/a/b c", "/run/lab/n1/a"];
        assert_eq!(mounts_under(table, &folders), want.map(PathBuf::from));
    }
}
