//! Which Events are new, which repeat an earlier one, and which are too many. Plain data; time is
//! an argument. Figures and texts are client-go's, so that `kubectl describe` shows what it always
//! showed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Event, Severity};

/// A repetition within this time counts the earlier Event up.
const MEMORY: i128 = 10 * 60 * SECOND;

/// Events on one object at once, and how long until one more is allowed: client-go's figures.
const BURST: u32 = 25;
const REFILL: i128 = 300 * SECOND;

/// From so many different texts on, for one reason on one object and within the time above, Events
/// are one, which is counted and has the text that came last.
const SIMILAR: usize = 10;
const MERGED: &str = "(combined from similar events): ";

/// How many Events and objects are remembered; beyond it everything is forgotten, which at worst
/// makes a new Event where an old one could have been counted up.
const REMEMBERED: usize = 4096;

const SECOND: i128 = 1_000_000_000;

/// What identifies the object of an Event: namespace, kind, name, uid.
type Object = [Option<String>; 4];

/// What Events are alike in that differ in their texts only.
type Matter = (Object, Severity, &'static str);

/// What has been written lately.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// Under no text: those that are one for many.
    written: BTreeMap<(Matter, Option<String>), (Entry, i128)>,
    /// The texts of a matter, and when the last came.
    texts: BTreeMap<Matter, (BTreeSet<String>, i128)>,
    budgets: BTreeMap<Object, Budget>,
    last_stamp: i128,
}

/// An Event that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) count: u32,
}

#[derive(Debug)]
struct Budget {
    left: u32,
    since: i128,
}

/// What to do about an Event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Make it, by this name.
    Create(String),
    /// It repeats this one.
    Count(Entry),
    /// Too many on this object.
    Drop,
}

impl Series {
    /// Judges `event` at `now`, in nanoseconds since the epoch. One that stands for many gets a text
    /// that says so.
    pub(super) fn judge(&mut self, event: &mut Event, now: i128) -> Verdict {
        let about = &event.about;
        let object = [&about.namespace, &about.kind, &about.name, &about.uid].map(Clone::clone);
        if !self.spend(&object, now) {
            return Verdict::Drop;
        }
        let matter = (object, event.severity, event.reason);
        let text = if self.is_one_of_many(&matter, &event.message, now) {
            event.message.insert_str(0, MERGED);
            None
        } else {
            Some(event.message.clone())
        };
        let key = (matter, text);
        if let Some((entry, at)) = self.written.get_mut(&key)
            && now - *at < MEMORY
        {
            entry.count += 1;
            *at = now;
            return Verdict::Count(entry.clone());
        }
        // client-go's scheme, except that two Events never share a name.
        self.last_stamp = now.max(self.last_stamp + 1);
        let object_name = event.about.name.as_deref().unwrap_or_default();
        let name = format!("{object_name}.{:x}", self.last_stamp);
        if self.written.len() >= REMEMBERED {
            self.written.clear();
        }
        let entry = Entry { name: name.clone(), count: 1 };
        self.written.insert(key, (entry, now));
        Verdict::Create(name)
    }

    fn is_one_of_many(&mut self, matter: &Matter, text: &str, now: i128) -> bool {
        if self.texts.len() >= REMEMBERED && !self.texts.contains_key(matter) {
            self.texts.clear();
        }
        let (texts, last) = self.texts.entry(matter.clone()).or_default();
        if now - *last > MEMORY {
            texts.clear();
        }
        *last = now;
        texts.insert(text.to_owned());
        if texts.len() < SIMILAR {
            return false;
        }
        // One is forgotten, so that there are never more.
        texts.pop_first();
        true
    }

    fn spend(&mut self, object: &Object, now: i128) -> bool {
        if self.budgets.len() >= REMEMBERED && !self.budgets.contains_key(object) {
            self.budgets.clear();
        }
        let fresh = || Budget { left: BURST, since: now };
        let budget = self.budgets.entry(object.clone()).or_insert_with(fresh);
        let refills = (now - budget.since).max(0) / REFILL;
        budget.since += refills * REFILL;
        let refills = u32::try_from(refills).unwrap_or(BURST);
        budget.left = budget.left.saturating_add(refills).min(BURST);
        let allowed = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ObjectReference;

    use super::*;

    fn event(name: &str, message: &str) -> Event {
        Event {
            about: ObjectReference { name: Some(name.to_owned()), ..ObjectReference::default() },
            severity: Severity::Normal,
            reason: "IPAllocated",
            message: message.to_owned(),
        }
    }

    fn created(verdict: Verdict) -> String {
        match verdict {
            Verdict::Create(name) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_repeated_event_is_counted_and_not_made_again() {
        let mut series = Series::default();
        let name = created(series.judge(&mut event("web", "a"), 255));
        assert_eq!(name, "web.ff");
        let entry = |count| Entry { name: name.clone(), count };
        assert_eq!(series.judge(&mut event("web", "a"), 256), Verdict::Count(entry(2)));
        assert_eq!(series.judge(&mut event("web", "a"), 257), Verdict::Count(entry(3)));
        created(series.judge(&mut event("web", "another"), 258));
    }

    #[test]
    fn a_repetition_after_a_long_time_is_a_new_event() {
        let mut series = Series::default();
        created(series.judge(&mut event("web", "a"), 0));
        created(series.judge(&mut event("web", "a"), MEMORY));
    }

    #[test]
    fn two_events_of_one_moment_have_two_names() {
        let mut series = Series::default();
        let first = created(series.judge(&mut event("web", "a"), 7));
        let second = created(series.judge(&mut event("web", "b"), 7));
        assert_ne!(first, second);
    }

    #[test]
    fn one_object_cannot_flood_and_does_not_silence_others() {
        let mut series = Series::default();
        for n in 0..BURST {
            let verdict = series.judge(&mut event("web", &n.to_string()), 0);
            assert_ne!(verdict, Verdict::Drop, "{n}");
        }
        assert_eq!(series.judge(&mut event("web", "one more"), 1), Verdict::Drop);
        created(series.judge(&mut event("other", "a"), 1));
        assert_ne!(series.judge(&mut event("web", "one more"), REFILL), Verdict::Drop);
        assert_eq!(series.judge(&mut event("web", "yet one"), REFILL), Verdict::Drop);
    }

    #[test]
    fn many_that_differ_in_their_texts_only_become_one_that_is_counted() {
        let mut series = Series::default();
        // The figure itself is client-go's.
        for n in 1..10 {
            created(series.judge(&mut event("web", &format!("text {n}")), 0));
        }
        let mut tenth = event("web", "text x");
        let name = created(series.judge(&mut tenth, 1));
        assert_eq!(tenth.message, "(combined from similar events): text x");
        let mut eleventh = event("web", "text y");
        let counted = Verdict::Count(Entry { name, count: 2 });
        assert_eq!(series.judge(&mut eleventh, 2), counted);
        assert_eq!(eleventh.message, "(combined from similar events): text y");

        let mut other = Event { reason: "ClearAssignment", ..event("web", "text z") };
        created(series.judge(&mut other, 3));
        assert_eq!(other.message, "text z", "another reason");
        let mut later = event("web", "text z");
        created(series.judge(&mut later, 3 + MEMORY));
        assert_eq!(later.message, "text z", "after a long time");
    }
}
