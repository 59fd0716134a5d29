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
    /// The nodes that may announce.
    fit: BTreeMap<NodeName, Steady>,
    /// When anything about them changed last.
    changed: Duration,
}

/// A node that may announce.
#[derive(Debug, Clone, Copy)]
struct Steady {
    /// Since when without interruption.
    since: Duration,
    /// How often it has come back, by its speaker's own count, which begins anew when that is started.
    returns: u64,
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
        let fit = self.nodes.iter().filter(|(_, facts)| may(facts)).map(|(name, _)| name);
        let steady = |name: &NodeName| {
            let returns = self.speakers.get(name).map_or(0, |speaker| speaker.returns);
            let before = self.fit.get(name).filter(|before| returns <= before.returns);
            let since = before.map_or(now, |before| before.since);
            (name.clone(), Steady { since, returns })
        };
        let fit: BTreeMap<_, _> = fit.map(steady).collect();
        if !fit.keys().eq(self.fit.keys()) {
            self.changed = now;
        }
        self.fit = fit;
    }

    /// Takes note that `node` lost what nobody ordered it to give: it has not been steady.
    pub(super) fn unsettle(&mut self, node: &NodeName, now: Duration) {
        if let Some(steady) = self.fit.get_mut(node) {
            steady.since = now;
        }
    }

    /// When anything about the nodes changed last.
    pub(super) fn changed(&self) -> Duration {
        self.changed
    }

    /// Since when `node` has been one that may announce.
    pub(super) fn since(&self, node: &NodeName) -> Option<Duration> {
        self.fit.get(node).map(|steady| steady.since)
    }

    /// All nodes that may announce, and since when.
    pub(super) fn fit(&self) -> impl Iterator<Item = (&NodeName, Duration)> {
        self.fit.iter().map(|(name, steady)| (name, steady.since))
    }

    /// The electorate of the nodes that may announce.
    pub(super) fn electorate(&self) -> Electorate {
        let labels = |name: &NodeName| {
            let facts = self.nodes.get(name)?;
            Some((name.clone(), facts.labels.clone()))
        };
        Electorate::new(self.fit.keys().filter_map(labels))
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
