//! ferrolb away for a while: what a test puts into the cluster then was there before it came.

use anyhow::{Context as _, Result};

use crate::cluster::Lab;
use crate::config::NAMESPACE;
use crate::speakers::DAEMON_SET;

const DEPLOYMENT: &str = "ferrolb-controller";
/// A label that no node has: where the speakers are sent.
const NOWHERE: &str = "ferrolb.io/nowhere";

/// Neither controllers nor speakers, until this is dropped.
#[must_use = "they are back when this is dropped"]
#[derive(Debug)]
pub struct Away {
    lab: Lab,
    controllers: String,
}

impl Away {
    /// Stops all of them, and waits until they have gone. Objects that a webhook would be asked about
    /// are taken only while there is none: see [`crate::checks::Unchecked`].
    pub fn begin(lab: &Lab) -> Result<Self> {
        let replicas = "jsonpath={.spec.replicas}";
        let controllers = kubectl(lab, &["get", "deployment", DEPLOYMENT, "-o", replicas])?;
        let this = Self { lab: lab.clone(), controllers };
        this.scale("0")?;
        this.send_speakers("\"true\"")?;
        let both = "app.kubernetes.io/component in (controller,speaker)";
        kubectl(lab, &["wait", "--for=delete", "pods", "-l", both, "--timeout=60s"])?;
        Ok(this)
    }

    /// Brings them back, and waits until they are ready.
    pub fn end(self) -> Result<()> {
        let back = self.bring_back();
        std::mem::forget(self);
        back
    }

    fn bring_back(&self) -> Result<()> {
        self.scale(&self.controllers)?;
        self.send_speakers("null")?;
        for what in [format!("deployment/{DEPLOYMENT}"), format!("daemonset/{DAEMON_SET}")] {
            kubectl(&self.lab, &["rollout", "status", &what, "--timeout=120s"])
                .with_context(|| format!("{what} is not back"))?;
        }
        Ok(())
    }

    fn scale(&self, replicas: &str) -> Result<()> {
        let replicas = format!("--replicas={replicas}");
        kubectl(&self.lab, &["scale", "deployment", DEPLOYMENT, &replicas]).map(drop)
    }

    /// To the nodes with this value of the label that none has; `null`: to all.
    fn send_speakers(&self, value: &str) -> Result<()> {
        let selector = format!("{{\"nodeSelector\": {{\"{NOWHERE}\": {value}}}}}");
        let patch = format!("{{\"spec\": {{\"template\": {{\"spec\": {selector}}}}}}}");
        kubectl(&self.lab, &["patch", "daemonset", DAEMON_SET, "--type=merge", "-p", &patch])
            .map(drop)
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        if let Err(error) = self.bring_back() {
            eprintln!("ferrolb stays away: {error:#}");
        }
    }
}

fn kubectl(lab: &Lab, args: &[&str]) -> Result<String> {
    lab.kubectl(&[&["-n", NAMESPACE], args].concat())
}
