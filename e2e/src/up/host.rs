//! Decides whether this machine can carry a lab, and how its cgroups are arranged: version 1, 2 and
//! both at once are all met in practice, so this is looked at and not assumed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::state::{Folder, create_dir};

/// How control groups are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cgroups {
    V1,
    /// Version 1 carries the controllers; version 2 is mounted beside it, without any.
    Hybrid,
    V2,
}

/// Without these the container runtime starts nothing on version 1.
const NEEDED: [&str; 6] = ["cpu", "cpuset", "devices", "freezer", "memory", "pids"];

impl Cgroups {
    /// Judges the text of `/proc/mounts`.
    fn from_mounts(mounts: &str) -> Result<Self> {
        let mut controllers = Vec::new();
        let mut unified = None;
        for line in mounts.lines() {
            let mut fields = line.split_whitespace();
            let (Some(place), Some(kind), Some(options)) =
                (fields.nth(1), fields.next(), fields.next())
            else {
                continue;
            };
            match kind {
                "cgroup" => controllers.extend(options.split(',')),
                "cgroup2" => unified = Some(place),
                _ => {}
            }
        }
        if unified == Some("/sys/fs/cgroup") {
            return Ok(Self::V2);
        }
        if let Some(missing) = NEEDED.iter().find(|name| !controllers.contains(name)) {
            bail!("cgroup version 1 without the {missing} controller under /sys/fs/cgroup");
        }
        Ok(if unified.is_some() { Self::Hybrid } else { Self::V1 })
    }
}

/// Checks rights, programs and cgroups; every complaint says what to do.
pub(super) fn check() -> Result<Cgroups> {
    if !is_root()? {
        bail!("the lab makes network namespaces: run it as root");
    }
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let has = |program: &str| path.split(':').any(|dir| Path::new(dir).join(program).exists());
    let programs = [
        "buildah",
        "busybox",
        "conntrack",
        "containerd",
        "ctr",
        "ip",
        "iptables",
        "nsenter",
        "runc",
    ];
    let missing: Vec<_> = programs.into_iter().filter(|program| !has(program)).collect();
    if !missing.is_empty() || !Path::new("/usr/lib/cni/bridge").exists() {
        bail!("missing programs {missing:?} or the CNI plugins: run e2e/deps.sh");
    }
    Cgroups::from_mounts(&fs::read_to_string("/proc/mounts")?)
}

fn is_root() -> Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("Uid:")).context("no Uid line")?;
    Ok(line.split_whitespace().nth(2) == Some("0"))
}

/// Where containers run whose kubelet names no cgroup, as one without groups per quality of service
/// does: containerd's own choice.
pub(crate) const CONTAINERS: &str = "k8s.io";
/// The weight of all containers against the rest of the machine, in the units of each version. Three
/// nodes and a control plane share its cores, and every start of a pod or of kubectl would keep the
/// speakers waiting, on all nodes at once: machines of their own do not do that to one another.
const SHARES: &str = "16384";
const WEIGHT: &str = "1600";

/// Makes the cgroups under which all containers of the lab run.
pub(super) fn prepare(folder: &Folder, cgroups: Cgroups) -> Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    match cgroups {
        Cgroups::V2 => {
            delegate(root)?;
            let ours = under(root, folder);
            create_dir(&ours)?;
            delegate(&ours)?;
            prefer(&root.join(CONTAINERS), "cpu.weight", WEIGHT)
        }
        Cgroups::V1 | Cgroups::Hybrid => {
            for entry in fs::read_dir(root)?.flatten() {
                // `cpuset` starts without CPUs and memory nodes: the runtime copies its parent's.
                if entry.path().join("cgroup.procs").exists() {
                    create_dir(&under(&entry.path(), folder))?;
                }
            }
            prefer(&root.join("cpu").join(CONTAINERS), "cpu.shares", SHARES)
        }
    }
}

fn prefer(group: &Path, setting: &str, weight: &str) -> Result<()> {
    create_dir(group)?;
    let file = group.join(setting);
    fs::write(&file, weight).with_context(|| format!("writing {}", file.display()))
}

/// The lab's cgroup in this hierarchy.
pub(super) fn under(hierarchy: &Path, folder: &Folder) -> std::path::PathBuf {
    hierarchy.join(folder.cgroup().trim_start_matches('/'))
}

/// Passes on to the children of this group every controller that it has itself.
fn delegate(group: &Path) -> Result<()> {
    let available = fs::read_to_string(group.join("cgroup.controllers"))?;
    let all: Vec<_> = available.split_whitespace().map(|name| format!("+{name}")).collect();
    fs::write(group.join("cgroup.subtree_control"), all.join(" ")).with_context(|| {
        format!(
            "{} cannot pass its controllers on. In a container, its own processes stand in the way: \
             move them to a child group, or share the host's cgroup namespace",
            group.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "\
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0
cgroup /sys/fs/cgroup/devices cgroup rw,devices 0 0
cgroup /sys/fs/cgroup/freezer cgroup rw,freezer 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0
";

    #[test]
    fn tells_the_three_arrangements_apart() {
        let both = format!("{V1}cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");
        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        for (mounts, want) in
            [(V1, Cgroups::V1), (both.as_str(), Cgroups::Hybrid), (unified, Cgroups::V2)]
        {
            assert_eq!(Cgroups::from_mounts(mounts).unwrap(), want, "{mounts}");
        }
    }

    #[test]
    fn names_the_missing_controller() {
        let error = Cgroups::from_mounts("tmpfs / tmpfs rw 0 0\n").unwrap_err().to_string();
        assert!(error.contains("cpu"), "{error}");
    }
}
