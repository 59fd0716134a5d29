//! What lasts too long without anything else happening, and groups of addresses seen as one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::happening::Happening;
use crate::judge::Watch;
use crate::time::{At, MS};
use crate::world::World;

/// So long a node may take to learn that it may announce what nobody could: news by the API, and
/// the probing of a first claim.
const NEWS: At = 300 * MS;
/// How often what is not as it should be is looked at.
const AUDIT: At = 5 * MS;

impl World {
    /// A shared address pulls all addresses of its group to one node.
    pub(crate) fn look_at_groups(&mut self) {
        let mut seen: BTreeSet<IpAddr> = BTreeSet::new();
        let many = self.truth.services.iter().filter(|(_, facts)| facts.addresses.len() > 1);
        let mut groups = Vec::new();
        for (key, facts) in many {
            if facts.addresses.iter().all(|address| seen.insert(*address)) {
                let group = self.truth.group(key);
                seen.extend(&group);
                groups.push(group.into_iter().collect::<Vec<_>>());
            }
        }
        let mut watched = std::mem::take(&mut self.judge.groups);
        for client in 0..self.caches.len() {
            for group in &groups {
                let key = (client, group[0]);
                let mut watch = watched.remove(&key).unwrap_or_default();
                let parts =
                    group.iter().filter_map(|address| self.judge.watches.get(&(client, *address)));
                watch.speakers = parts.flat_map(|part| part.speakers.clone()).collect();
                watch.macs = watch.speakers.iter().map(|(_, mac)| *mac).collect();
                if watch.macs.len() > 1 {
                    watch.overlap.get_or_insert(self.now);
                    watch.among.extend(&watch.speakers);
                    self.judge_overlap("I7", group[0], &watch);
                } else {
                    watch.overlap = None;
                    watch.among.clear();
                }
                self.judge.groups.insert(key, watch);
            }
        }
    }

    pub(crate) fn start_audit(&mut self) {
        let watches = self.judge.watches.values().chain(self.judge.groups.values());
        let odd = |watch: &Watch| watch.gap.is_some() || watch.overlap.is_some();
        if !self.judge.auditing && watches.clone().any(odd) {
            self.judge.auditing = true;
            self.queue.push(self.now + AUDIT, Happening::Audit);
        }
    }

    /// Looks at everything that is not as it should be.
    pub(crate) fn audit(&mut self) {
        self.judge.auditing = false;
        let odd = |watch: &&Watch| watch.gap.is_some() || watch.overlap.is_some();
        let watches = self.judge.watches.iter().filter(|(_, watch)| odd(watch));
        let watches: Vec<_> = watches.map(|(key, watch)| (*key, watch.clone())).collect();
        for ((client, address), mut watch) in watches {
            if watch.overlap.is_some() {
                self.judge_overlap("I1", address, &watch);
            }
            if let Some((since, _)) = watch.gap {
                if self.has_candidate(client, address) && !self.is_unpromised(address) {
                    self.judge_gap(client, address, &watch, false);
                } else {
                    watch.gap = Some((since, self.now + NEWS));
                    self.judge.watches.insert((client, address), watch);
                }
            }
        }
        let groups = self.judge.groups.iter().filter(|(_, watch)| watch.overlap.is_some());
        let groups: Vec<_> = groups.map(|(key, watch)| (key.1, watch.clone())).collect();
        for (address, watch) in groups {
            self.judge_overlap("I7", address, &watch);
        }
        self.start_audit();
    }
}
