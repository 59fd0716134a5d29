//! Nodes that are gone for good, and what their speakers left behind. No I/O, no clock.
//!
//! A speaker that dies leaves its objects, as it may come back. When the Node is deleted, nobody is
//! left to delete them. What tells of a speaker is its ConfigurationState, which every one has. Why
//! Kubernetes' garbage collection does not do all this: decision 0011.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::api::v1beta1::ConfigurationState;
use crds::model::ids::NodeName;
use crds::names::configuration_state;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kit::feed::Change;

use super::mover::facts::NodeFacts;

/// How long a node must have been gone. Long enough for a kubelet to register it again; and for
/// Kubernetes, which waits 40 s and looks every 20 s, to delete the speaker's pod, with which its
/// right to write objects ends. One deleted too early would be made again, and nothing else happen.
const GRACE: Duration = Duration::from_mins(2);

/// What is known of nodes and of what speakers left.
#[derive(Debug, Default)]
pub(super) struct Departed {
    /// The nodes there are; `None` until they were listed.
    nodes: Option<BTreeSet<NodeName>>,
    /// Those of whose speakers there is an object; `None` until they were listed.
    told: Option<BTreeSet<NodeName>>,
    /// Those told of that are no nodes, and since when; or since when their objects are being deleted.
    since: BTreeMap<NodeName, Duration>,
}

impl Departed {
    /// Takes in a change of nodes.
    pub(super) fn nodes(&mut self, change: &Change<NodeFacts>, now: Duration) {
        let named = |metadata: &ObjectMeta| metadata.name.clone().map(NodeName::from);
        take(&mut self.nodes, change, |facts| Some(facts.name.clone()), named);
        self.refresh(now);
    }

    /// Takes in a change of ConfigurationStates, the controller's among them.
    pub(super) fn states(&mut self, change: &Change<ConfigurationState>, now: Duration) {
        let labelled = |metadata: &ObjectMeta| {
            let label = metadata.labels.as_ref()?.get(configuration_state::NODE_NAME);
            label.map(|name| NodeName::from(name.as_str()))
        };
        take(&mut self.told, change, |object| labelled(&object.metadata), labelled);
        self.refresh(now);
    }

    fn refresh(&mut self, now: Duration) {
        let (Some(nodes), Some(told)) = (&self.nodes, &self.told) else {
            return;
        };
        let gone: BTreeSet<_> = told.difference(nodes).cloned().collect();
        self.since.retain(|node, _| gone.contains(node));
        for node in gone {
            self.since.entry(node).or_insert(now);
        }
    }

    /// When there is something to do although nothing happens.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.since.values().min().map(|since| *since + GRACE)
    }

    /// The nodes whose objects are to be deleted now. Should any be there after another such time,
    /// because that failed, they are named again.
    pub(super) fn due(&mut self, now: Duration) -> Vec<NodeName> {
        let due = self.since.iter_mut().filter(|(_, since)| **since + GRACE <= now);
        let restart = |(node, since): (&NodeName, &mut Duration)| {
            *since = now;
            node.clone()
        };
        due.map(restart).collect()
    }
}

/// Takes the nodes that a change names into `known`. What exists and cannot be read exists.
fn take<K>(
    known: &mut Option<BTreeSet<NodeName>>,
    change: &Change<K>,
    of_object: impl Fn(&K) -> Option<NodeName>,
    of_metadata: impl Fn(&ObjectMeta) -> Option<NodeName>,
) {
    match change {
        Change::Reset { objects, unreadable } => {
            let unreadable = unreadable.iter().filter_map(|one| of_metadata(&one.metadata));
            *known = Some(objects.iter().filter_map(of_object).chain(unreadable).collect());
        }
        Change::Put(object) => known.get_or_insert_default().extend(of_object(object)),
        Change::Unreadable(one) => known.get_or_insert_default().extend(of_metadata(&one.metadata)),
        Change::Gone(metadata) => {
            if let (Some(known), Some(node)) = (known, of_metadata(metadata)) {
                known.remove(&node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crds::api::v1beta1::configuration_state::ConfigurationStateBody;
    use kit::feed::Unreadable;
    use serde_json::json;

    use super::*;
    use crate::reconcile::mover::facts::node;

    fn facts(name: &str) -> NodeFacts {
        node(serde_json::from_value(json!({"metadata": {"name": name}, "status": {}})).unwrap())
    }

    fn nodes(names: &[&str]) -> Change<NodeFacts> {
        let objects = names.iter().map(|name| facts(name)).collect();
        Change::Reset { objects, unreadable: Vec::new() }
    }

    fn state(node: Option<&str>) -> ConfigurationState {
        let mut object = ConfigurationState::new("any", ConfigurationStateBody {});
        let label = |node: &str| (configuration_state::NODE_NAME.to_owned(), node.to_owned());
        object.metadata.labels = node.map(|node| [label(node)].into());
        object
    }

    /// All states there are: the controller's, and those of these nodes' speakers.
    fn states(nodes: &[&str]) -> Change<ConfigurationState> {
        let objects = nodes.iter().map(|node| state(Some(node))).chain([state(None)]);
        Change::Reset { objects: objects.collect(), unreadable: Vec::new() }
    }

    fn forgotten(node: &str) -> Change<ConfigurationState> {
        Change::Gone(Box::new(state(Some(node)).metadata))
    }

    fn metadata(name: &str) -> Box<ObjectMeta> {
        Box::new(ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() })
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_node_that_stays_away_is_named_once_in_each_grace() {
        let mut departed = Departed::default();
        departed.nodes(&nodes(&["a", "b"]), at(0));
        departed.states(&states(&["a", "b"]), at(0));
        assert_eq!(departed.next_deadline(), None);
        departed.nodes(&Change::Gone(metadata("b")), at(10));
        assert_eq!(departed.next_deadline(), Some(at(10) + GRACE));
        assert_eq!(departed.due(at(9) + GRACE), []);
        assert_eq!(departed.due(at(10) + GRACE), ["b".into()]);
        assert_eq!(departed.due(at(11) + GRACE), []);
        assert_eq!(departed.due(at(10) + 2 * GRACE), ["b".into()]);
        departed.states(&forgotten("b"), at(11) + 2 * GRACE);
        assert_eq!(departed.next_deadline(), None);
    }

    #[test]
    fn a_node_that_is_registered_again_in_time_was_never_gone() {
        let mut departed = Departed::default();
        departed.nodes(&nodes(&["a", "b"]), at(0));
        departed.states(&states(&["a", "b"]), at(0));
        departed.nodes(&Change::Gone(metadata("b")), at(10));
        departed.nodes(&Change::Put(facts("b")), at(20));
        assert_eq!(departed.next_deadline(), None);
        departed.nodes(&Change::Gone(metadata("b")), at(30));
        assert_eq!(departed.next_deadline(), Some(at(30) + GRACE));
    }

    #[test]
    fn nothing_counts_as_gone_before_all_nodes_were_listed() {
        let mut departed = Departed::default();
        departed.states(&states(&["a", "b"]), at(0));
        assert_eq!(departed.next_deadline(), None);
        departed.nodes(&nodes(&["a"]), at(50));
        assert_eq!(departed.next_deadline(), Some(at(50) + GRACE));
        // A list that is made anew does not begin the time anew.
        departed.nodes(&nodes(&["a"]), at(60));
        departed.states(&states(&["a", "b"]), at(60));
        assert_eq!(departed.due(at(50) + GRACE), ["b".into()]);
    }

    #[test]
    fn a_node_that_cannot_be_read_exists() {
        let mut departed = Departed::default();
        let broken = || Unreadable { metadata: metadata("b"), error: String::new() };
        departed.nodes(&Change::Reset { objects: vec![], unreadable: vec![broken()] }, at(0));
        departed.states(&states(&["b"]), at(0));
        assert_eq!(departed.next_deadline(), None);
        departed.nodes(&nodes(&[]), at(1));
        assert!(departed.next_deadline().is_some());
        departed.nodes(&Change::Unreadable(broken()), at(2));
        assert_eq!(departed.next_deadline(), None);
    }
}
