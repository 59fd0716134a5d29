//! Everything that was measured, read from where the benchmarks leave it. What is missing stays
//! missing, and is told; what is there but cannot be understood is an error.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::criterion::{self, Benchmarks, json};
use crate::machine::Machine;
use crate::scale::Scale;
use crate::wire::Wire;

/// The circumstances of some results, as `e2e/bench` and `e2e/bench-failover` note them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Run {
    pub date: String,
    /// Absent outside a git checkout.
    pub commit: Option<String>,
    /// The first field of /proc/loadavg before it began.
    pub load_average_at_start: String,
}

/// What one kind of fault did, as `e2e/bench-failover` leaves it; one value a run.
#[derive(Debug, Deserialize)]
pub struct Fault {
    #[serde(rename = "fault")]
    pub name: String,
    /// Speakers in the cluster.
    pub nodes: u64,
    /// How long addresses went unanswered.
    pub milliseconds: Vec<f64>,
    /// For how long two MACs answered for one address afterwards.
    #[serde(default)]
    pub two_answered_ms: Vec<f64>,
    /// How often owners changed afterwards, all addresses together.
    #[serde(default)]
    pub owner_changes: Vec<u64>,
    /// Asks that nobody answered, all addresses together, where nobody was away.
    #[serde(default)]
    pub unanswered_asks: Vec<u64>,
    /// Runs that do not count, because the observer was late.
    #[serde(default)]
    pub discarded: u64,
}

/// One file of the product, in bytes.
#[derive(Debug)]
pub struct Size {
    pub what: &'static str,
    pub bytes: u64,
}

#[derive(Debug)]
pub struct Input {
    /// The day on which the page is made.
    pub date: String,
    pub machine: Machine,
    /// Of the criterion benchmarks and the one on the wire.
    pub micro_run: Option<Run>,
    /// Of everything in the lab but the faults.
    pub lab_run: Option<Run>,
    pub failover_run: Option<Run>,
    pub benchmarks: Benchmarks,
    pub wire: Option<Wire>,
    pub scale: Option<Scale>,
    pub failover: Option<Vec<Fault>>,
    pub sizes: Vec<Size>,
    /// What could not be found.
    pub missing: Vec<String>,
}

impl Input {
    /// All results in the checkout at `root`.
    pub fn read(root: &Path, date: String, machine: Machine) -> Result<Self> {
        let mut missing = Vec::new();
        let benchmarks = criterion::read(&root.join("target/criterion"))?;
        let wire = optional(root, "target/bench/arp_wire.json", &mut missing)?;
        let scale = optional(root, "target/bench/scale.json", &mut missing)?;
        let failover = optional(root, "target/bench/failover.json", &mut missing)?;
        let something = !benchmarks.is_empty() || wire.is_some() || scale.is_some();
        ensure!(something || failover.is_some(), "no results under target: run e2e/bench");
        Ok(Self {
            micro_run: optional(root, "target/bench/micro.run.json", &mut missing)?,
            lab_run: optional(root, "target/bench/lab.run.json", &mut missing)?,
            failover_run: optional(root, "target/bench/failover.run.json", &mut missing)?,
            sizes: sizes(root, &machine.host, &mut missing)?,
            date,
            machine,
            benchmarks,
            wire,
            scale,
            failover,
            missing,
        })
    }
}

fn optional<T: DeserializeOwned>(
    root: &Path,
    file: &str,
    missing: &mut Vec<String>,
) -> Result<Option<T>> {
    let path = root.join(file);
    if path.exists() {
        return json(&path).map(Some);
    }
    missing.push(file.to_owned());
    Ok(None)
}

fn sizes(root: &Path, host: &str, missing: &mut Vec<String>) -> Result<Vec<Size>> {
    let files = [
        ("controller, program", format!("target/{host}/release/controller")),
        ("speaker, program", format!("target/{host}/release/speaker")),
        ("controller, image archive", "target/images/controller.tar".to_owned()),
        ("speaker, image archive", "target/images/speaker.tar".to_owned()),
    ];
    let mut sizes = Vec::new();
    for (what, file) in files {
        let path = root.join(&file);
        if path.exists() {
            sizes.push(Size { what, bytes: fs::metadata(&path)?.len() });
        } else {
            missing.push(file);
        }
    }
    Ok(sizes)
}
