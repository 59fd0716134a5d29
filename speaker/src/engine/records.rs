//! Who announced each Service by the API's records: of each Service the record that counts. A change of one
//! record looks at the records of its Service alone.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crds::model::ids::ServiceKey;

use super::event::Change;
use crate::facts::Recorded;

/// All records, by name and by Service.
#[derive(Debug, Default)]
pub(super) struct Records {
    is_listed: bool,
    all: BTreeMap<String, Recorded>,
    names: BTreeMap<ServiceKey, BTreeSet<String>>,
    best: BTreeMap<ServiceKey, Recorded>,
}

impl Records {
    pub(super) fn take(&mut self, change: Change<String, Recorded>) {
        self.is_listed = true;
        match change {
            Change::Replace(all) => {
                (self.all, self.names, self.best) = Default::default();
                for (name, record) in all {
                    self.set(name, record);
                }
            }
            Change::Set(name, record) => self.set(name, record),
            Change::Remove(name) => self.remove(&name),
        }
    }

    /// Whether it was ever told which records there are.
    pub(super) const fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// Of each Service the record that counts: ours before another program's, and of those the one with the
    /// highest claim.
    pub(super) const fn best(&self) -> &BTreeMap<ServiceKey, Recorded> {
        &self.best
    }

    fn set(&mut self, name: String, record: Recorded) {
        self.remove(&name);
        let service = record.service.clone();
        self.names.entry(service.clone()).or_default().insert(name.clone());
        self.all.insert(name, record);
        self.choose(service);
    }

    fn remove(&mut self, name: &str) {
        let Some(Recorded { service, .. }) = self.all.remove(name) else { return };
        if let Entry::Occupied(mut names) = self.names.entry(service.clone()) {
            names.get_mut().remove(name);
            if names.get().is_empty() {
                names.remove();
            }
        }
        self.choose(service);
    }

    fn choose(&mut self, service: ServiceKey) {
        let names = self.names.get(&service).into_iter().flatten();
        let records = names.filter_map(|name| self.all.get(name));
        // Of equals the first by name, so in reverse: the last of the highest counts.
        let best = records.rev().max_by_key(|record| (record.is_ours, record.claim)).cloned();
        match best {
            Some(best) => self.best.insert(service, best),
            None => self.best.remove(&service),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(service: &str, node: &str, claim: u64, is_ours: bool) -> Recorded {
        let service = ServiceKey::new("default", service);
        Recorded { service, node: node.into(), claim, is_ours }
    }

    fn best(records: &Records, service: &str) -> Option<String> {
        let best = records.best().get(&ServiceKey::new("default", service))?;
        Some(best.node.as_str().to_owned())
    }

    #[test]
    fn ours_goes_before_anothers_the_higher_claim_before_the_lower_and_the_first_of_equals() {
        let mut records = Records::default();
        assert!(!records.is_listed());
        for (name, node, claim, is_ours, expected) in [
            ("m", "theirs", 99, false, "theirs"),
            ("k", "ours", 3, true, "ours"),
            ("j", "lower", 2, true, "ours"),
            ("l", "equal", 3, true, "ours"),
            ("a", "first", 3, true, "first"),
            ("z", "higher", 4, true, "higher"),
        ] {
            records.take(Change::Set(name.to_owned(), record("s", node, claim, is_ours)));
            assert_eq!(best(&records, "s").as_deref(), Some(expected), "after {name}");
        }
        for (name, expected) in [("z", Some("first")), ("a", Some("ours")), ("k", Some("equal"))] {
            records.take(Change::Remove(name.to_owned()));
            assert_eq!(best(&records, "s").as_deref(), expected, "without {name}");
        }
    }

    #[test]
    fn a_record_may_come_to_be_about_another_service_and_a_relist_forgets_what_is_not_in_it() {
        let mut records = Records::default();
        records.take(Change::Set("x".to_owned(), record("s", "n1", 1, true)));
        records.take(Change::Set("x".to_owned(), record("t", "n1", 1, true)));
        assert_eq!((best(&records, "s"), best(&records, "t")), (None, Some("n1".to_owned())));
        let all = [("y".to_owned(), record("s", "n2", 1, true))].into();
        records.take(Change::Replace(all));
        assert_eq!((best(&records, "s"), best(&records, "t")), (Some("n2".to_owned()), None));
        records.take(Change::Remove("nobody".to_owned()));
        records.take(Change::Remove("y".to_owned()));
        assert!(records.best().is_empty() && records.names.is_empty() && records.is_listed());
    }
}
