//! Labels on nodes, for as long as a test needs them.

use anyhow::Result;

use crate::cluster::Lab;
use crate::plan::Node;

/// The label that takes a node out of service for load balancers. Kubernetes' own.
pub const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The mark that asks a node to hand over what it announces. Ours; an annotation counts as well.
pub const DRAIN: &str = "ferrolb.io/drain";

/// A label or annotation that goes when this is dropped.
#[must_use = "the label goes when this is dropped"]
#[derive(Debug)]
pub struct Label {
    lab: Lab,
    node: String,
    key: String,
    /// What kubectl calls putting it there.
    verb: &'static str,
}

impl Label {
    /// Puts the label on the node, with this value.
    pub fn put(lab: &Lab, node: &Node, key: &str, value: &str) -> Result<Self> {
        Self::write(lab, node, "label", key, value)
    }

    /// Puts an annotation on the node.
    pub fn annotate(lab: &Lab, node: &Node, key: &str, value: &str) -> Result<Self> {
        Self::write(lab, node, "annotate", key, value)
    }

    /// One that somebody else puts on the node; it goes like the others.
    pub fn of_another(lab: &Lab, node: &Node, key: &str) -> Self {
        Self { lab: lab.clone(), node: node.name.clone(), key: key.to_owned(), verb: "label" }
    }

    fn write(lab: &Lab, node: &Node, verb: &'static str, key: &str, value: &str) -> Result<Self> {
        let (node, key) = (node.name.clone(), key.to_owned());
        let made = Self { lab: lab.clone(), node, key, verb };
        let pair = format!("{}={value}", made.key);
        lab.kubectl(&[verb, "node", &made.node, "--overwrite", &pair])?;
        Ok(made)
    }

    /// Takes it off now, and says whether it worked.
    pub fn remove(self) -> Result<()> {
        let done = self.take_off();
        std::mem::forget(self);
        done
    }

    fn take_off(&self) -> Result<()> {
        self.lab.kubectl(&[self.verb, "node", &self.node, &format!("{}-", self.key)]).map(drop)
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        if let Err(error) = self.take_off() {
            eprintln!("{} stays on {}: {error:#}", self.key, self.node);
        }
    }
}
