//! The watch: asking the members in this one's charge, several times a second, whether they are
//! there, and finding out what is the matter when one does not answer.
//!
//! ```text
//!          answered                       vetoed, answered
//!    +------------------+           +---------------------------+
//!    v                  |           |                           |
//!  asking --miss--> asking again --miss--> doubt: ask it, its peers and the wire, for 150 ms
//!    ^    everywhere                        |            |
//!    |                              kernel answers    silence, and we are not the ones cut off
//!    |                                      v            v
//!    +---- heard again ---------------- Verdict: away   Verdict: gone
//! ```
//!
//! Each member has a few fixed watchers, so the cost does not grow with the cluster. A verdict is
//! about a node, never about an address. Suspicion costs nothing: until the verdict others answer
//! in the owner's place with the owner's MAC.

mod charge;
mod doubt;

use std::collections::{BTreeMap, BTreeSet};

use crds::model::ids::NodeName;

use self::charge::Charge;
use super::life::{Life, Lives};
use crate::moment::Moment;

/// Something the watch wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Ask this member, on the paths known to work or on all there are.
    Ask {
        /// Whom.
        node: NodeName,
        /// To be repeated in its answer.
        nonce: u64,
        /// On all paths.
        everywhere: bool,
    },
    /// Ask the wire about this member: its kernel for its own address, and all for one of those it
    /// holds.
    Question(NodeName),
    /// Tell all that it is missed.
    Suspect {
        /// Who.
        node: NodeName,
        /// Under which number.
        nonce: u64,
    },
    /// Tell all that it was heard.
    Hears {
        /// Who.
        node: NodeName,
        /// The number of the suspicion, if there was one.
        nonce: u64,
    },
    /// Tell all what became of it.
    Verdict {
        /// Of whom.
        node: NodeName,
        /// Its node is gone, too.
        gone: bool,
    },
    /// Find out whether any host's frames still arrive.
    Count,
}

/// What the watch knows besides its own questions.
pub struct Surroundings<'a> {
    /// What is believed of the members.
    pub lives: &'a Lives,
    /// When the latest question to anybody was sent that was answered.
    pub proof: Option<Moment>,
    /// When frames of any host last arrived, as far as it was counted.
    pub frames: Option<Moment>,
    /// Whether a member ever spoke by frames of ours, which no switch answers in its place.
    pub spoke_by_frame: &'a dyn Fn(&NodeName) -> bool,
    /// Whether the mesh has given a member up.
    pub mesh_lost: &'a dyn Fn(&NodeName) -> bool,
    /// Numbers that nobody can foresee.
    pub nonce: &'a mut dyn FnMut() -> u64,
}

impl Surroundings<'_> {
    /// When anybody at all was heard, if that was since then: a member that answered, by the time
    /// of the question, or any host's frame.
    fn heard_since(&self, since: Moment) -> Option<Moment> {
        self.proof.max(self.frames).filter(|heard| *heard >= since)
    }
}

/// The members in this one's charge.
#[derive(Debug, Default)]
pub struct Watch {
    charges: BTreeMap<NodeName, Charge>,
}

impl Watch {
    /// These are in this one's charge from now on.
    pub fn set_charges(&mut self, nodes: &BTreeSet<NodeName>, now: Moment) {
        self.charges.retain(|node, _| nodes.contains(node));
        for node in nodes {
            self.charges.entry(node.clone()).or_insert_with(|| Charge::new(now));
        }
    }

    /// Who is in this one's charge.
    pub fn charges(&self) -> impl Iterator<Item = &NodeName> {
        self.charges.keys()
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.charges.values().map(Charge::next).min()
    }

    /// `node` has answered the question with this nonce; gives when that was asked, if it was.
    pub fn answered(&mut self, node: &NodeName, nonce: u64) -> Option<Moment> {
        self.charges.get_mut(node)?.answered(nonce)
    }

    /// Ends the doubt about `node`, if there is one; gives its number.
    pub fn settle(&mut self, node: &NodeName) -> Option<u64> {
        self.charges.get_mut(node)?.settle()
    }

    /// Another watcher hears `node`, which is missed here under `nonce`.
    pub fn veto(&mut self, node: &NodeName, nonce: u64) {
        self.of(node, |charge| charge.veto(nonce));
    }

    /// The kernel of `node` answered for the node's own address.
    pub fn testify(&mut self, node: &NodeName, now: Moment) {
        self.of(node, |charge| charge.testify(now));
    }

    /// The agent of `node` itself answered on the wire for an address it holds.
    pub fn seen_answering(&mut self, node: &NodeName, now: Moment) {
        self.of(node, |charge| charge.seen_answering(now));
    }

    /// Looks into `node` at once: there is reason to think that its agent has ended.
    pub fn doubt(&mut self, node: &NodeName, now: Moment) {
        self.of(node, |charge| charge.suspect(now));
    }

    /// Asks `node` right away, on all paths.
    pub fn hurry(&mut self, node: &NodeName, now: Moment) {
        self.of(node, |charge| charge.hurry(now));
    }

    fn of(&mut self, node: &NodeName, then: impl FnOnce(&mut Charge)) {
        if let Some(charge) = self.charges.get_mut(node) {
            then(charge);
        }
    }

    /// Asks, and judges, what is due.
    pub fn tick(&mut self, around: &mut Surroundings<'_>, now: Moment) -> Vec<Act> {
        let mut acts = Vec::new();
        // While one is doubted, the others are asked at once: that they answer shows that we are not
        // the ones who are cut off.
        if self.charges.values().any(|charge| charge.begins_to_doubt(now)) {
            let heard = self.charges.values_mut().filter(|charge| !charge.is_missed());
            heard.for_each(|charge| charge.hurry(now));
        }
        for (node, charge) in &mut self.charges {
            match around.lives.of(node) {
                Life::Present | Life::Suspected => charge.watch(node, around, now, &mut acts),
                Life::Away => charge.watch_node(node, around, now, &mut acts),
                Life::Gone | Life::Hidden => charge.watch_missing(node, around, now, &mut acts),
            }
        }
        acts
    }
}

#[cfg(test)]
mod tests;
