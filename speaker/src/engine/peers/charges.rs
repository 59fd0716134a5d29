//! Who watches whom: each member has a few fixed watchers, which everybody computes alike.

use std::collections::BTreeSet;

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
        let able: Vec<&NodeName> = self.lives.present().chain([&me]).collect();
        let all: Vec<&NodeName> = self.lives.iter().map(|(node, _)| node).collect();
        let mine = all.into_iter().filter(|node| {
            let mut rivals: Vec<u64> = able
                .iter()
                .filter(|watcher| **watcher != *node && **watcher != &me)
                .map(|watcher| suits(watcher, node))
                .collect();
            rivals.sort_unstable_by(|a, b| b.cmp(a));
            rivals.get(WATCHERS - 1).is_none_or(|last| suits(&me, node) > *last)
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

/// How well `watcher` suits `node`: chance, but the same everywhere.
fn suits(watcher: &NodeName, node: &NodeName) -> u64 {
    stable_hash(format!("{node} {watcher}").as_bytes())
}
