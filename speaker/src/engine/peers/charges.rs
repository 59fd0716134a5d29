//! Who watches whom: each member has a few fixed watchers, which everybody computes alike.
//!
//! The members stand in a ring, and the next few watch each: so everybody has as many to watch as
//! anybody else, and nobody has none, who would then never learn that it is in touch.

use std::collections::BTreeSet;
use std::ops::Bound;

use crds::model::group::stable_hash;
use crds::model::ids::NodeName;

use super::super::effect::Effect;
use super::Peers;
use crate::moment::Moment;

/// How many watch each member.
const WATCHERS: usize = 3;

impl Peers {
    /// Takes charge of those that are this one's to watch.
    pub(super) fn assign_charges(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.sync.is_same_crowd(&self.lives) {
            return;
        }
        let me = self.book.me().clone();
        let able = self.lives.present().chain([&me]).map(place).collect::<BTreeSet<_>>();
        let all: Vec<&NodeName> = self.lives.iter().map(|(node, _)| node).collect();
        let mine = all.into_iter().filter(|node| {
            let from = place(node);
            let after = able.range((Bound::Excluded(from), Bound::Unbounded));
            let around = after.chain(able.range(..from));
            around.take(WATCHERS).any(|(_, watcher)| **watcher == me)
        });
        let mine: BTreeSet<NodeName> = mine.cloned().collect();
        self.watch.set_charges(&mine, now);
        let attended: BTreeSet<_> =
            mine.iter().filter_map(|node| self.book.head(node)).map(|head| head.addr).collect();
        if self.attended != attended {
            self.attended.clone_from(&attended);
            effects.push(Effect::Attend(attended));
        }
    }
}

/// Where `node` stands on the ring: by chance, but the same everywhere.
fn place(node: &NodeName) -> (u64, &NodeName) {
    (stable_hash(node.as_str().as_bytes()), node)
}
