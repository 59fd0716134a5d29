//! Runs programs inside the lab's network namespaces.
//!
//! By `nsenter --net`, not `ip netns exec`: the latter mounts a new `/sys`, which hides the
//! cgroups, and without them the container runtime starts nothing.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::runner::record::Busy;

/// Where a named network namespace is bound.
pub fn path(namespace: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(namespace)
}

/// A command that runs `program` in the namespace. The process becomes the program itself, so its
/// pid is the one to signal.
pub fn inside(namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", path(namespace).display())).arg("--").arg(program);
    command
}

/// Runs a command to its end and returns what it printed; what it complained of is the error.
pub fn output(command: &mut Command) -> Result<String> {
    let _running = running(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start {}", line(command)))?;
    if !output.status.success() {
        bail!(
            "{}: {}\n{}{}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout),
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command with this input; returns what it printed.
pub fn feed(command: &mut Command, input: &str) -> Result<String> {
    let _running = running(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {}", line(command)))?;
    // A child that ends before it has read everything says why on stderr; that is the better error.
    let written = child.stdin.take().context("no stdin")?.write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{}: {}\n{}", line(command), output.status, String::from_utf8_lossy(&output.stderr));
    }
    written.with_context(|| format!("writing to {}", line(command)))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `ip -batch` in the namespace: one process for many changes.
pub fn ip(namespace: &str, script: &str) -> Result<()> {
    feed(Command::new("ip").args(["-n", namespace, "-batch", "-"]), script).map(drop)
}

/// Writes kernel parameters of the namespace. `/proc/sys/net` shows the namespace of whoever opens
/// it, so a process inside has to do it.
pub fn sysctl(namespace: &str, settings: &[(&str, &str)]) -> Result<()> {
    let lines: Vec<_> =
        settings.iter().map(|(key, value)| format!("echo {value} >/proc/sys/{key}")).collect();
    output(inside(namespace, "sh").args(["-ec", &lines.join("\n")])).map(drop)
}

/// The namespaces of the lab that exist now.
pub fn existing() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/run/netns") else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(crate::plan::PREFIX))
        .collect();
    names.sort();
    names
}

/// The time of a command counts as that of the program it runs: `kubectl apply`, in the namespace.
fn running(command: &Command) -> Busy {
    let words = line(command);
    let inner = words.split_once(" -- ").map_or(words.as_str(), |(_, inner)| inner);
    let mut words = inner.split_whitespace();
    Busy::command(words.next().unwrap_or_default(), words)
}

fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|word| word.to_string_lossy()));
    words.join(" ")
}
