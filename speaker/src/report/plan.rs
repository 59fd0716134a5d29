//! What is to be written about one Service: the difference between what should be there and what
//! is. Plain data in, plain data out; nothing where nothing differs.

use std::collections::{BTreeMap, BTreeSet};

/// A status object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The node it names.
    pub(super) node: String,
    /// The interfaces in its status; `None` while it has no status.
    pub(super) interfaces: Option<BTreeSet<String>>,
}

/// One thing to do, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Say by an Event that this node announces the Service from now on.
    Tell {
        /// The Service's UID.
        uid: String,
    },
    /// Make a status object.
    Create {
        /// With these interfaces.
        interfaces: BTreeSet<String>,
    },
    /// Mend the status object of this name.
    Update {
        /// Which.
        name: String,
        /// With these interfaces.
        interfaces: BTreeSet<String>,
    },
    /// Delete the status object of this name.
    Delete {
        /// Which.
        name: String,
    },
}

/// What `node` must do about a Service that it announces (its UID and the interfaces named for it)
/// or does not, given the status objects that are `there`.
///
/// The announcer deletes what others left behind: a dead node cannot. That it has an object of its
/// own already means that it announced before, so it says nothing new.
pub(super) fn plan(
    announced: Option<&(String, BTreeSet<String>)>,
    there: &BTreeMap<String, Seen>,
    node: &str,
) -> Vec<Step> {
    let delete = |(name, _): (&String, &Seen)| Step::Delete { name: name.clone() };
    let mut own = there.iter().filter(|(_, seen)| seen.node == node);
    let Some((uid, interfaces)) = announced else {
        return own.map(delete).collect();
    };
    let kept = own.next();
    let mut steps = match kept {
        None => {
            vec![Step::Tell { uid: uid.clone() }, Step::Create { interfaces: interfaces.clone() }]
        }
        Some((_, seen)) if seen.interfaces.as_ref() == Some(interfaces) => Vec::new(),
        Some((name, _)) => {
            vec![Step::Update { name: name.clone(), interfaces: interfaces.clone() }]
        }
    };
    let others = there.iter().filter(|(name, _)| kept.is_none_or(|(kept, _)| kept != *name));
    steps.extend(others.map(delete));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(objects: &[(&str, &str, Option<&[&str]>)]) -> BTreeMap<String, Seen> {
        let seen = |(name, node, interfaces): &(&str, &str, Option<&[&str]>)| {
            let seen = Seen { node: (*node).to_owned(), interfaces: interfaces.map(set) };
            ((*name).to_owned(), seen)
        };
        objects.iter().map(seen).collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn delete(name: &str) -> Step {
        Step::Delete { name: name.to_owned() }
    }

    fn announced(interfaces: &[&str]) -> Option<(String, BTreeSet<String>)> {
        Some(("u".to_owned(), set(interfaces)))
    }

    #[test]
    fn a_new_announcer_says_so_and_clears_away_what_the_old_one_left() {
        let steps = plan(announced(&[]).as_ref(), &there(&[("l2-a", "n2", Some(&[]))]), "n1");
        let expected = [
            Step::Tell { uid: "u".to_owned() },
            Step::Create { interfaces: set(&[]) },
            delete("l2-a"),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_restarted_announcer_finds_its_object_and_writes_nothing() {
        let objects = there(&[("l2-a", "n1", Some(&["eth0"]))]);
        assert_eq!(plan(announced(&["eth0"]).as_ref(), &objects, "n1"), []);
    }

    #[test]
    fn an_object_without_status_or_with_another_is_mended() {
        for interfaces in [None, Some(&["eth1"][..])] {
            let objects = there(&[("l2-a", "n1", interfaces)]);
            let update = Step::Update { name: "l2-a".to_owned(), interfaces: set(&["eth0"]) };
            assert_eq!(plan(announced(&["eth0"]).as_ref(), &objects, "n1"), [update]);
        }
    }

    #[test]
    fn one_who_does_not_announce_deletes_its_own_and_no_others() {
        let objects =
            there(&[("l2-a", "n1", Some(&[])), ("l2-b", "n2", Some(&[])), ("l2-c", "n1", None)]);
        assert_eq!(plan(None, &objects, "n1"), [delete("l2-a"), delete("l2-c")]);
        assert_eq!(plan(None, &objects, "n3"), []);
    }

    #[test]
    fn duplicates_are_deleted() {
        let objects = there(&[("l2-a", "n1", Some(&[])), ("l2-b", "n1", Some(&[]))]);
        assert_eq!(plan(announced(&[]).as_ref(), &objects, "n1"), [delete("l2-b")]);
    }
}
