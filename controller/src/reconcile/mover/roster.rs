//! The nodes: which may announce, and since when that is so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::api::v1alpha1::MoveOrder;
use crds::model::electorate::Electorate;
use crds::model::ids::NodeName;
use kit::feed::Change;

use super::facts::{NodeFacts, SpeakerFacts};
use crate::reconcile::store::Store;

/// Nodes and their speakers.
#[derive(Debug, Default)]
pub(super) struct Roster {
    ignore_exclude_label: bool,
    nodes: Store<NodeName, NodeFacts>,
    speakers: Store<NodeName, SpeakerFacts>,
    /// The nodes that may announce, and since when without interruption.
    since: BTreeMap<NodeName, Duration>,
    /// When anything about them changed last.
    changed: Duration,
}

impl Roster {
    pub(super) fn new(ignore_exclude_label: bool) -> Self {
        Self { ignore_exclude_label, ..Self::default() }
    }

    pub(super) fn missing(&self) -> impl Iterator<Item = &'static str> {
        let kinds = [(self.nodes.is_synced(), "Nodes"), (self.speakers.is_synced(), "Speakers")];
        kinds.into_iter().filter(|(synced, _)| !synced).map(|(_, kind)| kind)
    }

    pub(super) fn node(&mut self, change: Change<NodeFacts>, now: Duration) {
        let changed = match change {
            Change::Reset { objects, unreadable } => {
                // One that cannot be read exists: it stays what it was.
                let names = unreadable.iter().filter_map(|one| one.metadata.name.clone());
                let kept: Vec<_> =
                    names.filter_map(|name| self.nodes.get(&name.into()).cloned()).collect();
                let before: BTreeMap<_, _> = self.known();
                let all = objects.into_iter().chain(kept);
                self.nodes.reset(all.map(|facts| (facts.name.clone(), None, facts)));
                before != self.known()
            }
            Change::Put(facts) => {
                let is_news = self.nodes.get(&facts.name) != Some(&facts);
                self.nodes.put(facts.name.clone(), None, facts);
                is_news
            }
            Change::Gone(metadata) => {
                self.nodes.remove(&metadata.name.unwrap_or_default().into()).is_some()
            }
            Change::Unreadable(_) => false,
        };
        if changed {
            self.changed = now;
        }
        self.refresh(now);
    }

    fn known(&self) -> BTreeMap<NodeName, NodeFacts> {
        self.nodes.iter().map(|(name, facts)| (name.clone(), facts.clone())).collect()
    }

    pub(super) fn speaker(&mut self, change: Change<SpeakerFacts>, now: Duration) {
        match change {
            Change::Reset { objects, .. } => {
                let entry =
                    |facts: SpeakerFacts| (facts.node.clone(), facts.version.clone(), facts);
                self.speakers.reset(objects.into_iter().map(entry));
            }
            Change::Put(facts) => {
                let version = facts.version.clone();
                self.speakers.put(facts.node.clone(), version.as_deref(), facts);
            }
            Change::Gone(metadata) => {
                self.speakers.remove(&metadata.name.unwrap_or_default().into());
            }
            Change::Unreadable(unreadable) => {
                // Nothing may be moved to a node whose speaker cannot be understood.
                self.speakers.remove(&unreadable.metadata.name.unwrap_or_default().into());
            }
        }
        self.refresh(now);
    }

    /// Takes note of who may announce now.
    fn refresh(&mut self, now: Duration) {
        let may = |facts: &NodeFacts| {
            let speaker = self.speakers.get(&facts.name);
            let is_barred = facts.is_excluded && !self.ignore_exclude_label;
            facts.is_fit && !is_barred && speaker.is_some_and(|speaker| speaker.is_active)
        };
        let fit = self.nodes.iter().filter(|(_, facts)| may(facts)).map(|(name, _)| name.clone());
        let since = |name: NodeName| {
            let since = self.since.get(&name).copied().unwrap_or(now);
            (name, since)
        };
        let since: BTreeMap<_, _> = fit.map(since).collect();
        if !since.keys().eq(self.since.keys()) {
            self.changed = now;
        }
        self.since = since;
    }

    /// Takes note that `node` lost what nobody ordered it to give: it has not been steady.
    pub(super) fn unsettle(&mut self, node: &NodeName, now: Duration) {
        if let Some(since) = self.since.get_mut(node) {
            *since = now;
        }
    }

    /// When anything about the nodes changed last.
    pub(super) fn changed(&self) -> Duration {
        self.changed
    }

    /// Since when `node` has been one that may announce.
    pub(super) fn since(&self, node: &NodeName) -> Option<Duration> {
        self.since.get(node).copied()
    }

    /// All nodes that may announce, and since when.
    pub(super) fn fit(&self) -> impl Iterator<Item = (&NodeName, Duration)> {
        self.since.iter().map(|(name, since)| (name, *since))
    }

    /// The electorate of the nodes that may announce.
    pub(super) fn electorate(&self) -> Electorate {
        let labels = |(name, _): (&NodeName, _)| {
            let facts = self.nodes.get(name)?;
            Some((name.clone(), facts.labels.clone()))
        };
        Electorate::new(self.since.iter().filter_map(labels))
    }

    /// Whether `node` has a link that is called like one of `interfaces`; yes while it has not told
    /// which links it has.
    pub(super) fn has_link(&self, node: &NodeName, interfaces: &BTreeSet<String>) -> bool {
        let links = self.speakers.get(node).map(|speaker| &speaker.links);
        links.is_none_or(|links| links.is_empty() || !links.is_disjoint(interfaces))
    }

    /// The labels of `node`.
    pub(super) fn labels(&self, node: &NodeName) -> Option<&crds::model::selector::Labels> {
        self.nodes.get(node).map(|facts| &facts.labels)
    }

    /// What each speaker has been ordered, by its object.
    pub(super) fn orders(&self) -> impl Iterator<Item = (&NodeName, &[MoveOrder])> {
        self.speakers.iter().map(|(node, facts)| (node, &facts.orders[..]))
    }
}
