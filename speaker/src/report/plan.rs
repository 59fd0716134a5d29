//! What is to be written about one Service: the difference between what should be there and what
//! is. Plain data in, plain data out; nothing where nothing differs.
//!
//! Another program may write objects of the same kind, and about the same Service: MetalLB's
//! speakers, while both are installed. Whoever deletes what another keeps making never comes to an
//! end, so:
//!
//! | an object made by | is |
//! | --- | --- |
//! | a speaker of ours, here | kept while we announce the Service, and deleted when we do not |
//! | one elsewhere | deleted by the announcer, if that speaker is dead |
//! | another program | left alone. While there is one we make none of our own, which that program would delete; when its Pod is gone, Kubernetes deletes it, and we make ours |
//! | nobody that is there | deleted by the announcer, and by the speaker of the node that it names; but not while that one asks the network before it announces |

use std::collections::{BTreeMap, BTreeSet};

use crate::view::Maker;

/// A status object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The node it names.
    pub(super) node: String,
    /// The interfaces in its status; `None` while it has no status.
    pub(super) interfaces: Option<BTreeSet<String>>,
    /// The number of the claim it was written under; zero if it does not say.
    pub(super) claim: u64,
    /// Who made it.
    pub(super) maker: Maker,
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
        /// Under this claim.
        claim: u64,
    },
    /// Mend the annotations of the object of this name: the claim is another.
    Mark {
        /// Which.
        name: String,
        /// Under this claim.
        claim: u64,
    },
    /// Mend the status of the object of this name.
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
    /// The number of the claim under which it is announced.
    pub(super) claim: u64,
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
    let made_by = |maker: Maker| there.iter().filter(move |(_, seen)| seen.maker == maker);
    let mut own = made_by(Maker::Us).filter(|(_, seen)| seen.node == node);
    let orphans = made_by(Maker::Nobody);
    let Some(Announced { uid, interfaces, claim, is_news }) = announced else {
        let here = orphans.filter(|(_, seen)| seen.node == node);
        return own.chain(here).map(delete).collect();
    };
    let mut steps: Vec<Step> = match own.next() {
        None => {
            let tell = is_news.then(|| Step::Tell { uid: uid.clone() });
            let is_alone = made_by(Maker::Other).next().is_none();
            let create =
                is_alone.then(|| Step::Create { interfaces: interfaces.clone(), claim: *claim });
            tell.into_iter().chain(create).collect()
        }
        Some((name, seen)) => {
            let mark =
                || (seen.claim != *claim).then(|| Step::Mark { name: name.clone(), claim: *claim });
            let update = || Step::Update { name: name.clone(), interfaces: interfaces.clone() };
            let differs = seen.interfaces.as_ref() != Some(interfaces);
            mark().into_iter().chain(differs.then(update)).collect()
        }
    };
    let is_dead = |node: &String| alive.is_none_or(|alive| !alive.contains(node));
    let dead = made_by(Maker::Us).filter(|(_, seen)| seen.node != node && is_dead(&seen.node));
    // More than one of its own: those after the first are duplicates.
    steps.extend(own.chain(dead).chain(orphans).map(delete));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(objects: &[(&str, &str, Option<&[&str]>)]) -> BTreeMap<String, Seen> {
        let seen = |(name, node, interfaces): &(&str, &str, Option<&[&str]>)| {
            let interfaces = interfaces.map(set);
            let node = (*node).to_owned();
            ((*name).to_owned(), Seen { node, interfaces, claim: 7, maker: Maker::Us })
        };
        objects.iter().map(seen).collect()
    }

    /// One that does not say under which claim, as MetalLB's.
    fn made_by(maker: Maker, name: &str, node: &str) -> BTreeMap<String, Seen> {
        let seen = Seen { node: node.to_owned(), interfaces: Some(set(&[])), claim: 0, maker };
        [(name.to_owned(), seen)].into()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn delete(name: &str) -> Step {
        Step::Delete { name: name.to_owned() }
    }

    fn announced(interfaces: &[&str], is_news: bool) -> Announced {
        Announced { uid: "u".to_owned(), interfaces: set(interfaces), claim: 7, is_news }
    }

    #[test]
    fn a_new_announcer_says_so_and_clears_away_what_a_dead_one_left() {
        let objects = there(&[("l2-a", "n2", Some(&[])), ("l2-b", "n3", Some(&[]))]);
        let steps = plan(Some(&announced(&[], true)), &objects, "n1", Some(&set(&["n1", "n3"])));
        let create = Step::Create { interfaces: set(&[]), claim: 7 };
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
        let create = Step::Create { interfaces: set(&[]), claim: 7 };
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
    fn an_object_of_an_earlier_claim_is_marked_with_the_new_one() {
        let objects = there(&[("l2-a", "n1", Some(&[]))]);
        let again = Announced { claim: 8, ..announced(&[], false) };
        let mark = Step::Mark { name: "l2-a".to_owned(), claim: 8 };
        assert_eq!(plan(Some(&again), &objects, "n1", None), [mark]);
    }

    #[test]
    fn one_who_does_not_announce_deletes_its_own_and_no_others() {
        let objects =
            there(&[("l2-a", "n1", Some(&[])), ("l2-b", "n2", Some(&[])), ("l2-c", "n1", None)]);
        assert_eq!(plan(None, &objects, "n1", None), [delete("l2-a"), delete("l2-c")]);
        assert_eq!(plan(None, &objects, "n3", None), []);
    }

    #[test]
    fn what_another_program_makes_is_left_to_it_and_nothing_made_beside_it() {
        for node in ["n1", "n2"] {
            let objects = made_by(Maker::Other, "l2-m", node);
            assert_eq!(plan(None, &objects, "n1", None), []);
            assert_eq!(plan(Some(&announced(&[], false)), &objects, "n1", None), []);
            let tell = Step::Tell { uid: "u".to_owned() };
            assert_eq!(plan(Some(&announced(&[], true)), &objects, "n1", None), [tell]);
        }
    }

    #[test]
    fn our_own_is_kept_beside_that_of_another_program() {
        let mut objects = there(&[("l2-a", "n1", Some(&[]))]);
        objects.extend(made_by(Maker::Other, "l2-m", "n1"));
        assert_eq!(plan(Some(&announced(&[], false)), &objects, "n1", None), []);
        assert_eq!(plan(None, &objects, "n1", None), [delete("l2-a")]);
    }

    #[test]
    fn an_orphan_is_replaced_by_the_announcer_and_cleared_away_on_its_node() {
        for node in ["n1", "n2"] {
            let objects = made_by(Maker::Nobody, "l2-m", node);
            let alive = set(&["n1", "n2"]);
            let steps = plan(Some(&announced(&[], false)), &objects, "n1", Some(&alive));
            let create = Step::Create { interfaces: set(&[]), claim: 7 };
            assert_eq!(steps, [create, delete("l2-m")], "{node}");
        }
        let objects = made_by(Maker::Nobody, "l2-m", "n1");
        assert_eq!(plan(None, &objects, "n1", None), [delete("l2-m")]);
        assert_eq!(plan(None, &objects, "n2", None), []);
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
