//! Interfaces that are not used although somebody may expect it, and why.
//!
//! That is every one that an advertisement for this node names, and every other but those that are
//! excluded by name: of these container runtimes make and remove one for each pod.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::effect::Effect;
use crate::announce::desired::PortSpec;
use crate::link::Ineligible;

/// What there is to tell of interfaces, and what has been told.
#[derive(Debug, Default)]
pub(super) struct Unused {
    /// The links that are there and cannot be used, by name.
    unfit: BTreeMap<String, Ineligible>,
    /// What was told last.
    told: BTreeMap<String, Ineligible>,
    /// Something changed since the last look.
    is_stale: bool,
}

impl Unused {
    /// These links are there and cannot be used.
    pub(super) fn set(&mut self, unfit: BTreeMap<String, Ineligible>) {
        self.is_stale |= self.unfit != unfit;
        self.unfit = unfit;
    }

    /// Links, or what is asked of them, changed.
    pub(super) fn touch(&mut self) {
        self.is_stale = true;
    }

    /// All of them, if that is not what was told, where advertisements name the interfaces `named`
    /// and `ports` are in use.
    fn news(
        &mut self,
        named: &BTreeSet<&str>,
        ports: &[PortSpec],
    ) -> Option<BTreeMap<String, Ineligible>> {
        let is_expected = |name: &str, why: &Ineligible| {
            named.contains(name) || !matches!(why, Ineligible::Excluded { .. })
        };
        let mut missed = self.unfit.clone();
        missed.retain(|name, why| is_expected(name, why));
        let is_there = |name: &str| {
            self.unfit.contains_key(name) || ports.iter().any(|port| port.name == name)
        };
        let absent = named.iter().filter(|name| !is_there(name));
        missed.extend(absent.map(|name| ((*name).to_owned(), Ineligible::Missing)));
        if self.told == missed {
            return None;
        }
        self.told.clone_from(&missed);
        Some(missed)
    }
}

impl Engine {
    /// Tells which interfaces are not used and why, where that is news.
    pub(super) fn tell_unused(&mut self, effects: &mut Vec<Effect>) {
        let Some(ports) = self.ports.as_ref().filter(|_| self.unused.is_stale) else { return };
        self.unused.is_stale = false;
        let named = self
            .config
            .as_ref()
            .map(|config| self.cluster.interfaces_named(&self.settings.node, config));
        let news = self.unused.news(&named.unwrap_or_default(), ports);
        effects.extend(news.map(Effect::Unused));
    }
}
