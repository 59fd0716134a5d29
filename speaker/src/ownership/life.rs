//! What is believed of the other members: who is there, and who is not.

use std::collections::BTreeMap;

use crds::model::ids::NodeName;

use crate::moment::Moment;

/// What is believed of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Its agent answers.
    Present,
    /// Watchers miss it; being looked into.
    Suspected,
    /// Its node lives, its agent does not answer.
    Away,
    /// It is heard neither on the wire nor by the mesh, and answers by way of the API: it works,
    /// and something keeps us apart.
    Hidden,
    /// Its node is gone, or cut off.
    Gone,
}

/// What is believed of one member, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belief {
    /// What.
    pub life: Life,
    /// Since when.
    pub since: Moment,
    /// The machine's own kernel has said that the process ended: so it is the agent that is away,
    /// and no switch answers in the place of a dead machine.
    pub hung_up: bool,
}

/// What is believed of all other members.
#[derive(Debug, Default)]
pub struct Lives(BTreeMap<NodeName, Belief>);

impl Lives {
    /// What is believed of `node`; nobody knows it: gone.
    pub fn of(&self, node: &NodeName) -> Life {
        self.0.get(node).map_or(Life::Gone, |belief| belief.life)
    }

    /// The whole belief.
    pub fn belief(&self, node: &NodeName) -> Option<Belief> {
        self.0.get(node).copied()
    }

    /// Whether its agent answers, as far as anybody knows.
    pub fn is_present(&self, node: &NodeName) -> bool {
        self.of(node) == Life::Present
    }

    /// Whether a claim of `node` still counts.
    pub fn is_alive(&self, node: &NodeName) -> bool {
        self.of(node) != Life::Gone
    }

    /// Changes the belief; whether that is a change.
    pub fn set(&mut self, node: &NodeName, life: Life, now: Moment) -> bool {
        match self.0.get_mut(node) {
            Some(belief) if belief.life == life => false,
            Some(belief) => {
                // From one kind of silence to another its length goes on counting.
                if life == Life::Present || belief.life == Life::Present {
                    belief.since = now;
                }
                if life == Life::Present {
                    belief.hung_up = false;
                }
                belief.life = life;
                true
            }
            None => {
                self.0.insert(node.clone(), Belief { life, since: now, hung_up: false });
                true
            }
        }
    }

    /// Notes that the process of `node` ended by its kernel's word.
    pub fn hang_up(&mut self, node: &NodeName) {
        if let Some(belief) = self.0.get_mut(node) {
            belief.hung_up = true;
        }
    }

    /// Forgets `node` for good.
    pub fn forget(&mut self, node: &NodeName) {
        self.0.remove(node);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeName, Life)> {
        self.0.iter().map(|(node, belief)| (node, belief.life))
    }

    /// Those whose agents answer.
    pub fn present(&self) -> impl Iterator<Item = &NodeName> {
        self.iter().filter(|(_, life)| *life == Life::Present).map(|(node, _)| node)
    }

    /// How many there are, present or not.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no other member at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
