//! A claim: under what right a member answers for an address, and which of two claims is higher.

use std::cmp::Ordering;

use crds::model::ids::NodeName;
use serde::{Deserialize, Serialize};

/// How much a claim is worth before its counter is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rank {
    /// Its holder could not be sure of the others for a while, and has stopped answering: whoever
    /// claimed the address meanwhile keeps it.
    Lapsed,
    /// Made with no more than half of the members in sight: gives way to a holder that never
    /// stopped, so that a flapping trunk moves nothing.
    Provisional,
    /// Made with most members in sight.
    Firm,
}

/// One address in a member's statement: it holds a claim to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// How much it is worth.
    pub rank: Rank,
    /// Grows with each change of owner.
    pub counter: u64,
    /// Its holder asks this member to take it over, and stops when it has.
    pub offer: Option<NodeName>,
}

/// A claim and who makes it; the greater one wins. Totally ordered: by rank, counter, and then the
/// name, so that every speaker picks the same winner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// What is claimed.
    pub held: &'a Held,
    /// By whom.
    pub node: &'a NodeName,
}

impl Ord for Claim<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |claim: &Self| (claim.held.rank, claim.held.counter);
        key(self).cmp(&key(other)).then_with(|| other.node.cmp(self.node))
    }
}

impl PartialOrd for Claim<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_goes_before_counter_and_counter_before_name() {
        let held = |rank, counter| Held { rank, counter, offer: None };
        let (a, b): (NodeName, NodeName) = ("a".into(), "b".into());
        let (low, high) = (held(Rank::Firm, 1), held(Rank::Provisional, 9));
        assert!(Claim { held: &low, node: &b } > Claim { held: &high, node: &a });
        let newer = held(Rank::Firm, 2);
        assert!(Claim { held: &newer, node: &b } > Claim { held: &low, node: &a });
        assert!(Claim { held: &low, node: &a } > Claim { held: &low, node: &b });
        let lapsed = held(Rank::Lapsed, 99);
        assert!(Claim { held: &high, node: &b } > Claim { held: &lapsed, node: &a });
    }
}
