//! The folder that one run of the lab leaves behind: who runs (`pids/`), what they say (`logs/`),
//! keys, sockets, and `lab.json`, which is written last and so says that the lab is up.
//!
//! What is large or wants a disk (image layers, etcd's data) lies in a second folder: `/run` is
//! often a small tmpfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::namespace;
use crate::plan::Plan;
use crate::process::Process;

/// Names another folder for the lab's state.
pub const VARIABLE: &str = "FERROLB_LAB";
const DEFAULT: &str = "/run/ferrolb-lab";

/// The state folder, and the paths in it.
#[derive(Debug, Clone)]
pub struct Folder {
    pub root: PathBuf,
    pub bulk: PathBuf,
}

/// What a lab that is up says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    #[serde(flatten)]
    pub plan: Plan,
    /// Where kubectl, helm and the rest are.
    pub parts: PathBuf,
}

impl Folder {
    /// The folder named by the environment, or the usual one.
    pub fn from_env() -> Self {
        Self::at(&std::env::var_os(VARIABLE).map_or_else(|| DEFAULT.into(), PathBuf::from))
    }

    fn at(root: &Path) -> Self {
        let name = root.file_name().unwrap_or_else(|| "ferrolb-lab".as_ref());
        Self { root: root.to_owned(), bulk: Path::new("/var/lib").join(name) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn pki(&self, name: &str) -> PathBuf {
        self.root.join("pki").join(name)
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    pub fn kubeconfig(&self, who: &str) -> PathBuf {
        self.root.join("kubeconfig").join(who)
    }

    /// A file or folder of one node.
    pub fn node(&self, node: &str, name: &str) -> PathBuf {
        self.root.join(node).join(name)
    }

    /// The container runtime's socket of a node.
    pub fn socket(&self, node: &str) -> PathBuf {
        self.node(node, "containerd.sock")
    }

    /// The containers' cgroup, relative to each hierarchy. By it clean-up finds what runs in them.
    pub fn cgroup(&self) -> String {
        format!("/{}", self.bulk.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Whether anything of an earlier run is here.
    pub fn exists(&self) -> bool {
        self.root.exists() || self.bulk.exists()
    }

    pub fn create(&self) -> Result<()> {
        for name in ["pids", "logs", "pki", "kubeconfig", "bin"] {
            create_dir(&self.path(name))?;
        }
        create_dir(&self.bulk)
    }

    pub fn facts(&self) -> Result<Facts> {
        let file = self.path("lab.json");
        let text = fs::read(&file).with_context(|| format!("no lab is up ({})", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))
    }

    pub fn write_facts(&self, facts: &Facts) -> Result<()> {
        write(&self.path("lab.json"), serde_json::to_string_pretty(facts)?)
    }

    /// Starts a long-running program in a namespace, its output in a log, its pid on record. The
    /// record is written at once: an interrupted start leaves nothing unknown behind.
    pub fn spawn(&self, name: &str, space: &str, program: &Path, args: &[String]) -> Result<()> {
        self.spawn_with(name, space, program, args, &[])
    }

    /// The same with more in its environment.
    pub fn spawn_with(
        &self,
        name: &str,
        space: &str,
        program: &Path,
        args: &[String],
        env: &[(String, String)],
    ) -> Result<()> {
        use std::os::unix::process::CommandExt;

        anyhow::ensure!(!crate::interrupt::requested(), "interrupted before starting {name}");
        let log = fs::File::create(self.log(name)).context("creating a log")?;
        let child = namespace::inside(space, program)
            .args(args)
            // The runtime looks for runc and iptables here; the caller's PATH may lack sbin.
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &self.root)
            .envs(env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Out of the terminal's foreground group: an interrupt is ours to handle.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let pid = i32::try_from(child.id())?;
        let process = Process::with_pid(pid).with_context(|| format!("{name} ended at once"))?;
        write(&self.path("pids").join(name), process.to_string())
    }

    /// The recorded process of this name.
    pub fn process(&self, name: &str) -> Result<Process> {
        fs::read_to_string(self.path("pids").join(name))
            .with_context(|| format!("no pid of {name} on record"))?
            .parse()
    }

    /// Every recorded process, by name.
    pub fn processes(&self) -> Vec<(String, Process)> {
        let Ok(entries) = fs::read_dir(self.path("pids")) else {
            return Vec::new();
        };
        let mut found: Vec<_> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| Some((name.clone(), self.process(&name).ok()?)))
            .collect();
        found.sort();
        found
    }

    /// The last lines of a program's log, to be shown when it failed.
    pub fn tail(&self, name: &str, lines: usize) -> String {
        let text = fs::read(self.log(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

pub fn write(file: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

pub fn create_dir(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))
}
