//! Services that wait for their turn: first come, first served, each once.

use std::collections::{BTreeSet, VecDeque};

use crds::model::ids::ServiceKey;

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: VecDeque<ServiceKey>,
    present: BTreeSet<ServiceKey>,
}

impl Queue {
    pub(super) fn push(&mut self, key: ServiceKey) {
        if self.present.insert(key.clone()) {
            self.order.push_back(key);
        }
    }

    pub(super) fn extend(&mut self, keys: impl IntoIterator<Item = ServiceKey>) {
        for key in keys {
            self.push(key);
        }
    }

    pub(super) fn pop(&mut self) -> Option<ServiceKey> {
        let key = self.order.pop_front()?;
        self.present.remove(&key);
        Some(key)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}
