//! Labels on nodes, for as long as a test needs them.

use anyhow::Result;

use crate::cluster::Lab;
use crate::plan::Node;

/// The label that takes a node out of service for load balancers. Kubernetes' own.
pub const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// A label that goes when this is dropped.
#[must_use = "the label goes when this is dropped"]
#[derive(Debug)]
pub struct Label {
    lab: Lab,
    node: String,
    key: String,
}

impl Label {
    /// Puts the label on the node, with this value.
    pub fn put(lab: &Lab, node: &Node, key: &str, value: &str) -> Result<Self> {
        let made = Self { lab: lab.clone(), node: node.name.clone(), key: key.to_owned() };
        lab.kubectl(&["label", "node", &node.name, "--overwrite", &format!("{key}={value}")])?;
        Ok(made)
    }

    /// Takes it off now, and says whether it worked.
    pub fn remove(self) -> Result<()> {
        let done = self.take_off();
        std::mem::forget(self);
        done
    }

    fn take_off(&self) -> Result<()> {
        self.lab.kubectl(&["label", "node", &self.node, &format!("{}-", self.key)]).map(drop)
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        if let Err(error) = self.take_off() {
            eprintln!("label {} stays on {}: {error:#}", self.key, self.node);
        }
    }
}
