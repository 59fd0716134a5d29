//! A validated advertisement: which addresses may be announced from which nodes and links.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ids::PoolName;
use super::selector::{Labels, Selector, any_matches};

/// An `L2Advertisement` that has been judged valid, its pools already resolved to names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advertisement {
    /// The object's name.
    pub name: String,
    /// The pools it announces, those that cannot be read at the moment included.
    pub pools: BTreeSet<PoolName>,
    /// Nodes must match one of these; empty: every node.
    pub node_selectors: Vec<Selector>,
    /// The interfaces to announce on, by name; empty: all.
    pub interfaces: BTreeSet<String>,
    /// Services must match one of these; empty: every Service.
    pub service_selectors: Vec<Selector>,
    /// Weights of nodes that should go first.
    pub preferences: Vec<Preference>,
}

/// Nodes that match `selector` weigh `weight` more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// From 1 to 100.
    pub weight: u32,
    /// The nodes preferred.
    pub selector: Selector,
}

impl Advertisement {
    /// Whether it is meant for a Service with `labels` that has an address from `pool`.
    pub fn applies_to(&self, pool: &PoolName, labels: &Labels) -> bool {
        self.pools.contains(pool)
            && (self.service_selectors.is_empty() || any_matches(&self.service_selectors, labels))
    }

    /// Whether a node with `labels` may announce for it.
    pub fn selects_node(&self, labels: &Labels) -> bool {
        self.node_selectors.is_empty() || any_matches(&self.node_selectors, labels)
    }

    /// The sum of the weights that a node with `labels` has here; 0 for nodes not selected.
    pub fn preference_for(&self, labels: &Labels) -> u32 {
        if !self.selects_node(labels) {
            return 0;
        }
        let matching =
            self.preferences.iter().filter(|preference| preference.selector.matches(labels));
        matching.map(|preference| preference.weight).sum()
    }
}
