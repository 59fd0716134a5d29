//! Nodes by number. A hundred names compared a million times would cost more than all the rest.

use std::collections::BTreeMap;

use crds::model::ids::NodeName;

/// Numbers for names, in the order they are first seen.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    seen: Vec<&'a NodeName>,
    numbers: BTreeMap<&'a NodeName, usize>,
    /// The name asked for last. Candidates of most groups come in the same order, so that the next
    /// is found by one comparison.
    last: usize,
}

impl<'a> Names<'a> {
    /// The number of `name`; a new one if it was never seen.
    pub(super) fn number(&mut self, name: &'a NodeName) -> usize {
        let next = (self.last + 1) % self.seen.len().max(1);
        self.last = if self.seen.get(next) == Some(&name) {
            next
        } else {
            *self.numbers.entry(name).or_insert_with(|| {
                self.seen.push(name);
                self.seen.len() - 1
            })
        };
        self.last
    }

    /// The names in their own order, and the place of each number in it.
    pub(super) fn sorted(self) -> (Vec<&'a NodeName>, Vec<usize>) {
        let mut places = vec![0; self.seen.len()];
        for (place, number) in self.numbers.values().enumerate() {
            places[*number] = place;
        }
        (self.numbers.into_keys().collect(), places)
    }
}
