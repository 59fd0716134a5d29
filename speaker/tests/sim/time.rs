//! Virtual time, and the queue of what happens when.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Microseconds since the simulation began.
pub(crate) type At = u64;

pub(crate) const MS: At = 1_000;
pub(crate) const SEC: At = 1_000_000;

/// For people: seconds with microseconds.
pub(crate) fn show(at: At) -> String {
    format!("{:>3}.{:06}", at / SEC, at % SEC)
}

#[derive(Debug)]
struct Item<T> {
    key: (At, u64),
    what: T,
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl<T> Eq for Item<T> {}
impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

/// What happens when; what was put in first comes out first where times are equal.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<Item<T>>>,
    count: u64,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), count: 0 }
    }

    pub(crate) fn push(&mut self, at: At, what: T) {
        self.count += 1;
        self.heap.push(Reverse(Item { key: (at, self.count), what }));
    }

    pub(crate) fn pop(&mut self) -> Option<(At, T)> {
        self.heap.pop().map(|Reverse(item)| (item.key.0, item.what))
    }

    /// When the next comes.
    pub(crate) fn next_at(&self) -> Option<At> {
        self.heap.peek().map(|Reverse(item)| item.key.0)
    }

    /// How much was ever put in: the measure of a run's size.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }
}
