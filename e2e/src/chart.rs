//! Settings of the installed chart that a test needs to be others.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cluster::Lab;
use crate::config::NAMESPACE;
use crate::scene::SETTLED;
use crate::wait::{Look, until_blocking};

const RELEASE: &str = "ferrolb";

/// Changed settings of the release; they are what they were when this is dropped.
#[must_use = "the settings change back when this is dropped"]
#[derive(Debug)]
pub struct Settings {
    lab: Lab,
    revision: String,
}

impl Settings {
    /// Upgrades the release to these settings, each `key=value`, and waits until all is ready.
    pub fn with(lab: &Lab, settings: &[&str]) -> Result<Self> {
        let revision = revision(lab)?;
        let made = Self { lab: lab.clone(), revision };
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/ferrolb");
        let chart = chart.display().to_string();
        let fixed = ["upgrade", RELEASE, &chart, "-n", NAMESPACE, "--reset-then-reuse-values"];
        let set = settings.iter().flat_map(|setting| ["--set", *setting]);
        let wait = ["--wait", "--timeout", "120s"];
        let args: Vec<&str> = fixed.into_iter().chain(set).chain(wait).collect();
        lab.helm(&args)?;
        await_ends(lab)?;
        Ok(made)
    }
}

/// Waits until the pods that were replaced have ended: Helm waits for the new ones only, and whoever counts
/// pods, or reads all their logs, finds both.
fn await_ends(lab: &Lab) -> Result<()> {
    until_blocking(SETTLED, "the replaced pods to end", || {
        let path = "jsonpath={.items[*].metadata.deletionTimestamp}";
        let ending = lab.kubectl(&["-n", NAMESPACE, "get", "pods", "-o", path])?;
        Ok(Look::when(ending.trim().is_empty().then_some(()), || ending.clone()))
    })
}

/// The revision that is deployed.
fn revision(lab: &Lab) -> Result<String> {
    let text = lab.helm(&["-n", NAMESPACE, "status", RELEASE, "-o", "json"])?;
    let status: serde_json::Value = serde_json::from_str(&text)?;
    Ok(status["version"].as_u64().context("helm tells no revision")?.to_string())
}

impl Drop for Settings {
    fn drop(&mut self) {
        let args =
            ["-n", NAMESPACE, "rollback", RELEASE, &self.revision, "--wait", "--timeout", "120s"];
        let restored = self.lab.helm(&args).and_then(|_| await_ends(&self.lab));
        if let Err(error) = restored {
            eprintln!("the chart's settings stay changed: {error:#}");
        }
    }
}
