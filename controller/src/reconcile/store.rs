//! The last known state of objects, by key. An object can be learned from a watch and from the
//! answer to our own write, in either order; the newer state stays.

use std::collections::BTreeMap;

/// Objects of type `T` by key.
#[derive(Debug, Clone)]
pub struct Store<K, T> {
    entries: BTreeMap<K, (Option<u64>, T)>,
    is_synced: bool,
}

impl<K: Ord + Clone, T> Default for Store<K, T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), is_synced: false }
    }
}

impl<K: Ord + Clone, T> Store<K, T> {
    /// Whether a full list has arrived.
    pub fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// The object at `key`.
    pub fn get(&self, key: &K) -> Option<&T> {
        self.entries.get(key).map(|(_, object)| object)
    }

    /// All objects, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &T)> {
        self.entries.iter().map(|(key, (_, object))| (key, object))
    }

    /// Takes `object` in, unless a newer or the same state is known; says whether it was taken.
    ///
    /// Versions are numbers that only grow, which Kubernetes documents since 1.35 and etcd has
    /// always provided; where one is not a number, what comes last counts as newest.
    pub fn put(&mut self, key: K, version: Option<&str>, object: T) -> bool {
        let version = version.and_then(|text| text.parse().ok());
        let known = self.entries.get(&key).and_then(|(known, _)| *known);
        let is_stale = version.zip(known).is_some_and(|(new, known)| new <= known);
        if !is_stale {
            self.entries.insert(key, (version, object));
        }
        !is_stale
    }

    /// Removes the object at `key`.
    pub fn remove(&mut self, key: &K) -> Option<T> {
        self.entries.remove(key).map(|(_, object)| object)
    }

    /// Takes in a full list: what is not in it is gone. Returns the keys that changed or went.
    pub fn reset(&mut self, list: impl IntoIterator<Item = (K, Option<String>, T)>) -> Vec<K> {
        self.is_synced = true;
        let mut old = std::mem::take(&mut self.entries);
        let mut touched = Vec::new();
        for (key, version, object) in list {
            if let Some(known) = old.remove(&key) {
                self.entries.insert(key.clone(), known);
            }
            if self.put(key.clone(), version.as_deref(), object) {
                touched.push(key);
            }
        }
        touched.extend(old.into_keys());
        touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_state_that_arrives_late_changes_nothing() {
        let mut store = Store::default();
        assert!(store.put("a", Some("7"), "our own write"));
        assert!(!store.put("a", Some("5"), "what was before"));
        assert!(!store.put("a", Some("7"), "the same, by the watch"));
        assert_eq!(store.get(&"a"), Some(&"our own write"));
        assert!(store.put("a", Some("10"), "newer"));
    }

    #[test]
    fn a_list_says_what_changed_and_what_went() {
        let mut store = Store::default();
        store.reset([("a", Some("1".to_owned()), 1), ("b", Some("2".to_owned()), 2)]);
        let list = [("b", Some("2".to_owned()), 2), ("c", Some("3".to_owned()), 3)];
        assert_eq!(store.reset(list), ["c", "a"]);
        assert_eq!(store.iter().collect::<Vec<_>>(), [(&"b", &2), (&"c", &3)]);
    }

    #[test]
    fn versions_that_are_no_numbers_count_as_they_come() {
        let mut store = Store::default();
        assert!(store.put("a", Some("x"), 1));
        assert!(store.put("a", Some("w"), 2));
    }
}
