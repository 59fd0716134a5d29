//! Criterion's results, as it leaves them under `target/criterion`: a folder for each benchmark,
//! with the last run in `new/`. Found by what the files say, since folder names are shortened.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Criterion's default, and the page's word for the interval.
const LEVEL: f64 = 0.95;

/// The time of one call, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub median: f64,
    /// The bounds of the median's confidence interval.
    pub low: f64,
    pub high: f64,
    /// How many samples, each the mean of many calls.
    pub samples: usize,
}

/// All benchmarks, by group, function and parameter: `packet/hit/1000`.
pub type Benchmarks = BTreeMap<String, Measured>;

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

#[derive(Deserialize)]
struct Sample {
    times: Vec<f64>,
}

/// What is under `folder`; nothing if there is no such folder.
pub fn read(folder: &Path) -> Result<Benchmarks> {
    let mut found = Benchmarks::new();
    collect(folder, &mut found)?;
    Ok(found)
}

fn collect(folder: &Path, found: &mut Benchmarks) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.ends_with("new") && path.join("benchmark.json").is_file() {
            let (name, measured) = one(&path)?;
            found.insert(name, measured);
        } else if path.is_dir() {
            collect(&path, found)?;
        }
    }
    Ok(())
}

fn one(folder: &Path) -> Result<(String, Measured)> {
    let Benchmark { full_id } = json(&folder.join("benchmark.json"))?;
    let Estimates { median } = json(&folder.join("estimates.json"))?;
    let Sample { times } = json(&folder.join("sample.json"))?;
    let Interval { confidence_level, lower_bound, upper_bound } = median.confidence_interval;
    ensure!(
        (confidence_level - LEVEL).abs() < 1e-9,
        "{full_id}: confidence level {confidence_level}, and the page says {LEVEL}"
    );
    let measured = Measured {
        median: median.point_estimate,
        low: lower_bound,
        high: upper_bound,
        samples: times.len(),
    };
    Ok((full_id, measured))
}

/// A file that must be there, and in order.
pub fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}
