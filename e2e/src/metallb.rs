//! MetalLB itself, as its users install it; built from its sources by `e2e/parts/metallb.sh`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cluster::Lab;
use crate::config::{self, NAMESPACE};
use crate::procedure::Variant;
use crate::wait::{Look, until};

/// Names the folder that `e2e/parts/metallb.sh` has printed.
const FOLDER: &str = "FERROLB_METALLB";
/// Readiness is looked at after ten seconds, and the webhook wants a certificate first.
const STARTED: Duration = Duration::from_mins(2);

/// What both programs leave outside their namespace has one of these in its name.
const OURS: [&str; 2] = ["metallb", "ferrolb"];
/// The kinds of it.
const OUTSIDE: &str =
    "validatingwebhookconfigurations,customresourcedefinitions,clusterroles,clusterrolebindings";

/// Removes MetalLB and ferrolb, whichever is there, when it is dropped.
#[must_use = "everything goes when this is dropped"]
#[derive(Debug)]
pub struct Removal(Lab);

/// MetalLB in a cluster that has neither it nor ferrolb. Whatever of both is there is removed when this
/// is dropped.
#[must_use = "everything goes when this is dropped"]
#[derive(Debug)]
pub struct Metallb {
    folder: PathBuf,
    _removal: Removal,
}

impl Metallb {
    /// Installs it, and waits until all of it is ready. `values` are settings of its chart, each
    /// `key=value`; manifests have none.
    pub fn install(lab: &Lab, variant: Variant, values: &[&str]) -> Result<Self> {
        let folder = std::env::var_os(FOLDER).with_context(|| {
            format!(
                "{FOLDER} is not set; `make e2e` does it, with what e2e/parts/metallb.sh prints"
            )
        })?;
        let made = Self { folder: folder.into(), _removal: Removal::of_both(lab) };
        match variant {
            Variant::Helm => {
                let chart = made.folder.join("chart").display().to_string();
                let args = ["install", "metallb", &chart, "-n", NAMESPACE, "--create-namespace"];
                let set = ["frrk8s.enabled=false"].into_iter().chain(values.iter().copied());
                let set: Vec<&str> = set.flat_map(|value| ["--set", value]).collect();
                lab.helm(&[&args[..], &set, &["--wait", "--timeout", "120s"]].concat())?;
            }
            Variant::Manifests => {
                let file = made.folder.join("metallb-native.yaml").display().to_string();
                lab.kubectl(&["apply", "-f", &file])?;
                for what in ["deployment/controller", "daemonset/speaker"] {
                    let status = ["rollout", "status", what, "--timeout=120s"];
                    lab.kubectl(&[&["-n", NAMESPACE], &status[..]].concat())?;
                }
            }
        }
        Ok(made)
    }

    /// What its users have: the chart as Helm finds it in a folder, and the manifests.
    pub fn files(&self) -> [(&'static str, PathBuf); 2] {
        let manifests = "metallb-native.yaml";
        [("metallb/metallb", self.folder.join("chart")), (manifests, self.folder.join(manifests))]
    }
}

impl Removal {
    /// For a test that is about to install one of them.
    pub fn of_both(lab: &Lab) -> Self {
        Self(lab.clone())
    }

    fn remove(&self) -> Result<()> {
        let names = self.0.kubectl(&["get", OUTSIDE, "-o", "name"])?;
        let names = names.lines().filter(|name| OURS.iter().any(|word| name.contains(word)));
        // First whoever has an opinion on what is deleted, then what is in definitions, then these.
        let (first, rest): (Vec<&str>, _) = names.partition(|name| name.contains("webhook"));
        for objects in [first, vec![&*format!("namespace/{NAMESPACE}")], rest] {
            let args = ["delete", "--ignore-not-found", "--timeout=60s"];
            if !objects.is_empty() {
                self.0.kubectl(&[&args[..], &objects].concat())?;
            }
        }
        Ok(())
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("MetalLB or ferrolb stay: {error:#}");
        }
    }
}

/// Waits until the API server has pools judged: takes a good one, and denies a bad one.
pub async fn await_checks(lab: &Lab) -> Result<()> {
    let tried = |addresses: &str| {
        lab.feed(&["create", "--dry-run=server", "-f", "-"], &config::pool("tried", addresses))
    };
    until(STARTED, "pools to be judged", async || {
        let good = tried("198.51.100.0/24");
        let bad = tried("198.51.100.9-198.51.100.1");
        let denied = matches!(&bad, Err(error) if format!("{error:#}").contains("denied"));
        Ok(Look::when((good.is_ok() && denied).then_some(()), || format!("{good:?}, {bad:?}")))
    })
    .await
}
