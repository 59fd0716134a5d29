//! What programs of ours use: memory and processor time, from the kernel's own accounts.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::process::{Process, all};

/// One process, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Resident memory in bytes, mapped pages of the binary included.
    pub resident: u64,
    /// Processor time in user and kernel mode since its start.
    pub processor: Duration,
}

/// The processes called `name` that run in pods: the cluster's own have other names.
pub fn programs(name: &str) -> Vec<Process> {
    let called = |process: &Process| process.is_alive() && process.name().as_deref() == Some(name);
    all().into_iter().filter(called).collect()
}

/// What `process` uses.
pub fn of(process: Process) -> Result<Usage> {
    let read = |file: &str| {
        let path = format!("/proc/{}/{file}", process.pid);
        std::fs::read_to_string(&path).with_context(|| path)
    };
    let status = read("status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident: u64 =
        resident.and_then(|text| text.trim().strip_suffix(" kB")).context("VmRSS")?.parse()?;
    // proc(5): after the name in parentheses, utime and stime are the 12th and 13th, in ticks.
    let stat = read("stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    ensure!(fields.len() > 12, "short stat: {stat}");
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Usage {
        resident: resident * 1024,
        processor: Duration::from_millis(ticks * 1000 / ticks_per_second()),
    })
}

fn ticks_per_second() -> u64 {
    // USER_HZ, which is 100 on every architecture that Kubernetes runs on.
    100
}
