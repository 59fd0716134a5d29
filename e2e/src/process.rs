//! Knows processes by pid *and* start time, so that a pid which the kernel gave to somebody else in
//! the meantime is never signalled. Reads `/proc`; finds processes by namespace, cgroup and
//! descent, never by name alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::raw;

/// One process, this one and no later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks after boot, from `/proc/PID/stat`.
    started: u64,
}

/// What `/proc/PID/stat` says, as far as anybody here asks.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    state: char,
    parent: i32,
    started: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(line: &str) -> Option<Self> {
        // The name stands in parentheses and may itself hold spaces and parentheses.
        let (open, close) = (line.find('(')?, line.rfind(')')?);
        let mut rest = line.get(close + 1..)?.split_whitespace();
        let state = rest.next()?.chars().next()?;
        let parent = rest.next()?.parse().ok()?;
        // starttime is field 22; state was 3 and the parent 4.
        let started = rest.nth(17)?.parse().ok()?;
        Some(Self { name: line.get(open + 1..close)?.to_owned(), state, parent, started })
    }
}

impl Process {
    pub fn with_pid(pid: i32) -> Option<Self> {
        Stat::read(pid).map(|stat| Self { pid, started: stat.started })
    }

    /// The process that asks.
    pub fn this() -> Result<Self> {
        Self::with_pid(i32::try_from(std::process::id())?).context("/proc does not know us")
    }

    fn stat(self) -> Option<Stat> {
        Stat::read(self.pid).filter(|stat| stat.started == self.started)
    }

    /// Whether it runs. One that has ended and waits for its parent to notice does not.
    pub fn is_alive(self) -> bool {
        self.stat().is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
    }

    /// Whether SIGSTOP has taken effect.
    pub fn is_stopped(self) -> bool {
        self.stat().is_some_and(|stat| stat.state == 'T')
    }

    /// The kernel's name for it: the first 15 bytes of the program's file name.
    pub fn name(self) -> Option<String> {
        self.stat().map(|stat| stat.name)
    }

    /// Its arguments, separated by spaces.
    pub fn arguments(self) -> String {
        let bytes = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    }

    /// The inode of its network namespace.
    pub fn network(self) -> Option<u64> {
        Some(fs::metadata(format!("/proc/{}/ns/net", self.pid)).ok()?.ino())
    }

    pub fn signal(self, signal: i32) -> Result<()> {
        if self.stat().is_none() {
            bail!("process {} is gone", self.pid);
        }
        raw::kill(self.pid, signal).with_context(|| format!("signal {signal} to {}", self.pid))
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pid, self.started)
    }
}

impl FromStr for Process {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        let (pid, started) = text.trim().split_once(' ').context("not 'PID START'")?;
        Ok(Self { pid: pid.parse()?, started: started.parse()? })
    }
}

/// All processes of the machine.
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Process::with_pid)
        .collect()
}

/// The processes whose network namespace is the one bound at this file.
pub fn in_network(file: &Path) -> Vec<Process> {
    let Ok(meta) = fs::metadata(file) else {
        return Vec::new();
    };
    all().into_iter().filter(|process| process.network() == Some(meta.ino())).collect()
}

/// These processes and everything that descends from them.
pub fn with_descendants(roots: impl IntoIterator<Item = Process>) -> BTreeSet<Process> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in all() {
        if let Some(stat) = process.stat() {
            children.entry(stat.parent).or_default().push(process);
        }
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<Process> = roots.into_iter().collect();
    while let Some(process) = open.pop() {
        if process.stat().is_some() && found.insert(process) {
            open.extend(children.get(&process.pid).into_iter().flatten());
        }
    }
    found
}

/// This process and all above it: never to be killed by a clean-up that one of them asked for.
pub fn ancestors() -> BTreeSet<i32> {
    let mut found = BTreeSet::from([1]);
    let mut pid = i32::try_from(std::process::id()).unwrap_or(1);
    while pid > 1 && found.insert(pid) {
        pid = Stat::read(pid).map_or(1, |stat| stat.parent);
    }
    found
}

/// Kills them all and waits until they are gone.
pub fn kill_all(processes: &BTreeSet<Process>) -> Result<()> {
    for process in processes {
        // One that is gone already is what we want.
        let _ = process.signal(libc::SIGKILL);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    for process in processes {
        while process.is_alive() {
            if Instant::now() > deadline {
                bail!("process {} ({}) survives SIGKILL", process.pid, process.arguments());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_name_with_parentheses() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            stat,
            Stat { name: "a) b (c".to_owned(), state: 'S', parent: 7, started: 98765 }
        );
    }

    #[test]
    fn knows_itself_and_survives_writing() {
        let this = Process::this().unwrap();
        assert!(this.is_alive());
        assert_eq!(this.to_string().parse::<Process>().unwrap(), this);
    }

    #[test]
    fn takes_a_recycled_pid_for_gone() {
        let this = Process::this().unwrap();
        let earlier = Process { started: this.started + 1, ..this };
        assert!(!earlier.is_alive());
        assert!(earlier.signal(0).is_err());
    }

    #[test]
    fn finds_descendants() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = with_descendants([Process::this().unwrap()]);
        let child_process = Process::with_pid(i32::try_from(child.id()).unwrap()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&child_process));
        assert!(ancestors().contains(&i32::try_from(std::process::id()).unwrap()));
    }
}
