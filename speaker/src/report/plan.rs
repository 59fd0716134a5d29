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

/// A Service that is announced here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced {
    /// Its UID.
    pub(super) uid: String,
    /// The interfaces that its advertisements name.
    pub(super) interfaces: BTreeSet<String>,
    /// Nobody has been told yet that it is announced from here.
    pub(super) is_news: bool,
}

/// What `node` must do about a Service that it announces or does not, given the status objects that
/// are `there`.
///
/// An object of its own means that it announced before, so that a restarted speaker says nothing
/// new. The announcer deletes what the dead left behind; those who live (`alive`; `None`: not known)
/// delete their own when they learn that they no longer announce, and may know that later than we.
pub(super) fn plan(
    announced: Option<&Announced>,
    there: &BTreeMap<String, Seen>,
    node: &str,
    alive: Option<&BTreeSet<String>>,
) -> Vec<Step> {
    let delete = |(name, _): (&String, &Seen)| Step::Delete { name: name.clone() };
    let mut own = there.iter().filter(|(_, seen)| seen.node == node);
    let Some(Announced { uid, interfaces, is_news }) = announced else {
        return own.map(delete).collect();
    };
    let mut steps = match own.next() {
        None => {
            let tell = is_news.then(|| Step::Tell { uid: uid.clone() });
            let create = Step::Create { interfaces: interfaces.clone() };
            tell.into_iter().chain([create]).collect()
        }
        Some((_, seen)) if seen.interfaces.as_ref() == Some(interfaces) => Vec::new(),
        Some((name, _)) => {
            vec![Step::Update { name: name.clone(), interfaces: interfaces.clone() }]
        }
    };
    let is_dead = |node: &String| alive.is_none_or(|alive| !alive.contains(node));
    let dead = there.iter().filter(|(_, seen)| seen.node != node && is_dead(&seen.node));
    // More than one of its own: those after the first are duplicates.
    steps.extend(own.chain(dead).map(delete));
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

    fn announced(interfaces: &[&str], is_news: bool) -> Announced {
        Announced { uid: "u".to_owned(), interfaces: set(interfaces), is_news }
    }

    #[test]
    fn a_new_announcer_says_so_and_clears_away_what_a_dead_one_left() {
        let objects = there(&[("l2-a", "n2", Some(&[])), ("l2-b", "n3", Some(&[]))]);
        let steps = plan(Some(&announced(&[], true)), &objects, "n1", Some(&set(&["n1", "n3"])));
        let create = Step::Create { interfaces: set(&[]) };
        assert_eq!(steps, [Step::Tell { uid: "u".to_owned() }, create, delete("l2-a")]);
    }

    #[test]
    fn without_a_mesh_everybody_elses_objects_go() {
        let objects = there(&[("l2-a", "n1", Some(&[])), ("l2-b", "n3", Some(&[]))]);
        assert_eq!(plan(Some(&announced(&[], false)), &objects, "n1", None), [delete("l2-b")]);
    }

    #[test]
    fn a_restarted_announcer_finds_its_object_and_writes_nothing() {
        let objects = there(&[("l2-a", "n1", Some(&["eth0"]))]);
        assert_eq!(plan(Some(&announced(&["eth0"], true)), &objects, "n1", None), []);
    }

    #[test]
    fn an_object_that_somebody_deleted_is_made_again_without_a_word() {
        let create = Step::Create { interfaces: set(&[]) };
        assert_eq!(plan(Some(&announced(&[], false)), &there(&[]), "n1", None), [create]);
    }

    #[test]
    fn an_object_without_status_or_with_another_is_mended() {
        for interfaces in [None, Some(&["eth1"][..])] {
            let objects = there(&[("l2-a", "n1", interfaces)]);
            let update = Step::Update { name: "l2-a".to_owned(), interfaces: set(&["eth0"]) };
            assert_eq!(plan(Some(&announced(&["eth0"], false)), &objects, "n1", None), [update]);
        }
    }

    #[test]
    fn one_who_does_not_announce_deletes_its_own_and_no_others() {
        let objects =
            there(&[("l2-a", "n1", Some(&[])), ("l2-b", "n2", Some(&[])), ("l2-c", "n1", None)]);
        assert_eq!(plan(None, &objects, "n1", None), [delete("l2-a"), delete("l2-c")]);
        assert_eq!(plan(None, &objects, "n3", None), []);
    }

    #[test]
    fn duplicates_are_deleted() {
        let objects = there(&[("l2-a", "n1", Some(&[])), ("l2-b", "n1", Some(&[]))]);
        let alive = set(&["n1"]);
        assert_eq!(
            plan(Some(&announced(&[], false)), &objects, "n1", Some(&alive)),
            [delete("l2-b")]
        );
    }
}
