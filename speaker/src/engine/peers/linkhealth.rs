//! The silent death of one link of several: its carrier is there, and nothing comes through.
//!
//! The node is in touch by its other links, so nobody misses it; but clients on that segment get no
//! answer. A link that members were heard on, is heard on no more while others are, and whose
//! receive counter stands still, is taken to be dead. Any frame of ours on it revives it, and so
//! does a kernel's answer to a question: a switch may drop our frames and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::model::ids::{IfIndex, MacAddr};
use rand::Rng as _;

use super::super::effect::Effect;
use super::Peers;
use crate::moment::Moment;
use crate::ownership::word::Word;

/// Members ask one another eight times a second on every link that they share.
const MUTE_AFTER: Duration = Duration::from_millis(350);
/// For so long the counter of a mute link must stand still.
const STILL_FOR: Duration = Duration::from_millis(400);
/// How often it is looked at while something is wrong.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often a dead link is tried.
const TRY_EVERY: Duration = Duration::from_millis(400);

/// What is known of the links.
#[derive(Debug, Default)]
pub(super) struct LinkHealth {
    heard: BTreeMap<IfIndex, Moment>,
    /// Mute links: since when their counter stands at what.
    still: BTreeMap<IfIndex, Option<(Moment, u64)>>,
    dead: BTreeSet<IfIndex>,
    next_look: Moment,
    next_try: Moment,
}

impl LinkHealth {
    /// A member was heard on `link`; whether that revives it.
    pub(super) fn heard(&mut self, link: IfIndex, now: Moment) -> bool {
        self.heard.insert(link, now);
        self.still.remove(&link);
        self.dead.remove(&link)
    }

    /// The receive counters are these; whether a link turns out to be dead, or not to be.
    pub(super) fn counted(&mut self, counts: &BTreeMap<IfIndex, u64>, now: Moment) -> bool {
        let mut changed = false;
        for (link, still) in &mut self.still {
            let Some(count) = counts.get(link) else { continue };
            match still {
                Some((since, at)) if at == count => {
                    changed |= now.since(*since) >= STILL_FOR && self.dead.insert(*link);
                }
                Some(_) => {
                    // Other hosts are heard: it is the members that are not.
                    changed |= self.dead.remove(link);
                    *still = Some((now, *count));
                }
                None => *still = Some((now, *count)),
            }
        }
        changed
    }

    pub(super) fn is_dead(&self, link: IfIndex) -> bool {
        self.dead.contains(&link)
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let look = (!self.still.is_empty()).then_some(self.next_look);
        let again = (!self.dead.is_empty()).then_some(self.next_try);
        let mute = self.heard.iter().filter(|(link, _)| !self.still.contains_key(*link));
        look.into_iter().chain(again).chain(mute.map(|(_, at)| *at + MUTE_AFTER)).min()
    }
}

impl Peers {
    /// Looks for links that have fallen silent, and tries those that are dead.
    pub(super) fn look_after_links(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let ports: BTreeSet<IfIndex> = self.ports.iter().map(|port| port.index).collect();
        self.health.heard.retain(|link, _| ports.contains(link));
        self.health.still.retain(|link, _| ports.contains(link));
        self.health.dead.retain(|link| ports.contains(link));
        let in_touch = self.touch.proof().is_some_and(|proof| now.since(proof) < MUTE_AFTER);
        if ports.len() < 2 || !in_touch {
            // With one link, the watch finds out; and who hears nobody learns nothing here.
            self.health.heard.values_mut().for_each(|at| *at = (*at).max(now - MUTE_AFTER / 2));
            self.health.next_look = self.health.next_look.max(now + LOOK_EVERY);
            self.health.next_try = self.health.next_try.max(now + TRY_EVERY);
            return;
        }
        for (link, at) in &self.health.heard {
            if now.since(*at) >= MUTE_AFTER {
                self.health.still.entry(*link).or_insert(None);
            }
        }
        if !self.health.still.is_empty() && now >= self.health.next_look {
            self.health.next_look = now + LOOK_EVERY;
            effects.push(Effect::Count);
            self.ask_neighbours(effects);
        }
        if now >= self.health.next_try {
            self.health.next_try = now + TRY_EVERY;
            for link in self.health.still.keys().copied().collect::<Vec<_>>() {
                let nonce = self.nonces.next_u64() | 1;
                let version = self.book.mine().version;
                let letter = self.letter_from_us(None, Word::Ask { nonce, version, missed: 0 });
                let bytes = self.mesh.seal(&letter);
                effects.push(Effect::Frame { link, to: MacAddr::BROADCAST, bytes });
            }
        }
    }

    /// Asks the kernels of some members on the links that are mute.
    fn ask_neighbours(&self, effects: &mut Vec<Effect>) {
        for link in self.health.still.keys() {
            for node in self.watch.charges() {
                let Some(head) = self.book.head(node) else { continue };
                for word in &head.links {
                    let path = (*link, word.mac);
                    if self.paths.of(node).any(|measured| measured == path)
                        && let Some(address) = word.addresses.first()
                    {
                        effects.extend(self.ask(*link, *address, Some(word.mac)));
                    }
                }
            }
        }
    }
}
