//! Who would answer a client that asked now. Clients are not made to ask every few milliseconds:
//! whenever something changes, it is worked out which MACs would come back, and the times without
//! any and with more than one are measured exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::model::ids::MacAddr;
use speaker::facts::{ServiceFacts, Traffic};

use crate::api::Truth;
use crate::fault::Fault;
use crate::ledger::{Ledger, Moved, Span};
use crate::node::{self, NodeId};
use crate::time::{At, SEC};
use crate::wire::{Station, Way};
use crate::world::World;

/// What must be worked out anew.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    all: bool,
    some: BTreeSet<IpAddr>,
}

impl Dirty {
    pub(crate) const fn everything(&mut self) {
        self.all = true;
    }

    pub(crate) fn some(&mut self, addresses: &[IpAddr]) {
        self.some.extend(addresses);
    }
}

/// What one client gets for one address.
#[derive(Debug, Default, Clone)]
pub(crate) struct Watch {
    /// Which nodes answer, with which MAC.
    pub(crate) speakers: Vec<(NodeId, MacAddr)>,
    pub(crate) macs: BTreeSet<MacAddr>,
    /// One of these MACs leads to a machine that would pass the client's packets on. That of a dead
    /// one may be answered, by its deputy, and leads nowhere.
    pub(crate) served: bool,
    /// Nobody has answered since the first; of that, it counts from the second on.
    pub(crate) gap: Option<(At, At)>,
    pub(crate) overlap: Option<At>,
    /// Who took part in that.
    pub(crate) among: BTreeSet<(NodeId, MacAddr)>,
    /// The last MAC that was the only one.
    pub(crate) learned: Option<MacAddr>,
}

#[derive(Debug, Default)]
pub(crate) struct Judge {
    pub(crate) watches: BTreeMap<(usize, IpAddr), Watch>,
    /// The same for all addresses of a group together, by its lowest one.
    pub(crate) groups: BTreeMap<(usize, IpAddr), Watch>,
    pub(crate) auditing: bool,
    /// Where a foreign host was first, and since when it has not been there any more: no promise
    /// but that nothing is announced.
    pub(crate) taken: BTreeMap<IpAddr, Option<At>>,
    pub(crate) ledger: Ledger,
}

impl Truth {
    pub(crate) fn addresses(&self) -> BTreeSet<IpAddr> {
        self.services.values().flat_map(|facts| facts.addresses.iter().copied()).collect()
    }
}

impl World {
    /// Works out anew what may have changed.
    pub(crate) fn look(&mut self) {
        if !self.dirty.all && self.dirty.some.is_empty() {
            return;
        }
        let dirty = std::mem::take(&mut self.dirty);
        let addresses = if dirty.all {
            let tables = self.nodes.iter().filter_map(|node| node.agent.as_ref());
            let tables = tables.flat_map(|agent| agent.desired.keys().copied());
            let known = self.judge.watches.keys().map(|(_, address)| *address);
            let mut all: BTreeSet<IpAddr> = tables.chain(known).collect();
            all.extend(self.truth.addresses());
            all
        } else {
            dirty.some
        };
        let wanted = self.truth.addresses();
        for client in 0..self.caches.len() {
            let segment = Self::segment_of_client(client);
            let reached: BTreeSet<NodeId> = (0..self.nodes.len())
                .filter(|id| {
                    let way = (Station::Client(client), Station::Node(*id));
                    self.nodes[*id].is_awake() && self.converse(segment, Way::Arp, way.0, way.1)
                })
                .collect();
            let heard: Vec<NodeId> = reached
                .iter()
                .copied()
                .filter(|id| self.nodes[*id].ports_answer(self.now))
                .collect();
            for &address in &addresses {
                let speakers = heard.iter().filter_map(|id| {
                    let link = node::link_on(segment);
                    let agent = self.nodes[*id].agent.as_ref()?;
                    let entry = agent.desired.get(&address)?;
                    let port = agent.ports.iter().find(|port| port.index == link)?;
                    let mac =
                        entry.answer.mac(link, port.mac).filter(|_| entry.links.includes(link))?;
                    Some((*id, mac))
                });
                let speakers: Vec<(NodeId, MacAddr)> = speakers.collect();
                let leads_on =
                    |mac| node::owner_of(mac).is_some_and(|(id, _)| reached.contains(&id));
                let served = speakers.iter().any(|(_, mac)| leads_on(*mac));
                self.update(client, address, (speakers, served), wanted.contains(&address));
            }
        }
        self.look_at_groups();
        self.start_audit();
    }

    fn update(
        &mut self,
        client: usize,
        address: IpAddr,
        (speakers, served): (Vec<(NodeId, MacAddr)>, bool),
        wanted: bool,
    ) {
        let key = (client, address);
        let mut watch = self.judge.watches.remove(&key).unwrap_or_default();
        watch.served = served;
        watch.macs = speakers.iter().map(|(_, mac)| *mac).collect();
        watch.speakers = speakers;
        if !wanted && watch.macs.is_empty() {
            // A Service that is gone: nothing more is promised.
            return;
        }
        self.update_gap(client, address, &mut watch, wanted);
        self.update_overlap(client, address, &mut watch);
        if let (Some(&mac), 1) = (watch.macs.first(), watch.macs.len()) {
            let (before, now) = (watch.learned.replace(mac), self.now);
            if before != Some(mac) {
                let moved = Moved { at: now, client, address, from: before, to: mac };
                self.judge.ledger.moves.push(moved);
            }
            if let Some(before) = before.filter(|before| *before != mac) {
                self.changed(client, address, before, mac);
            }
            self.caches[client].entry(address).or_insert((mac, now));
        }
        if !watch.macs.is_empty() {
            let by: Vec<NodeId> = watch.speakers.iter().map(|(id, _)| *id).collect();
            self.judge_taken(address, "answered", &by);
        }
        self.judge.watches.insert(key, watch);
    }

    fn update_gap(&mut self, client: usize, address: IpAddr, watch: &mut Watch, wanted: bool) {
        if !wanted || watch.served {
            if let Some(gap) = watch.gap.filter(|_| wanted) {
                self.judge_gap(client, address, watch, true);
                self.note_gap(gap);
                let span = Span { client, address, since: gap.0, until: self.now };
                self.judge.ledger.gaps.push(span);
            }
            watch.gap = None;
        } else if watch.gap.is_none() {
            watch.gap = Some((self.now, self.now));
        }
    }

    fn note_gap(&mut self, (since, counted): (At, At)) {
        if since == counted
            && since > SEC
            && let Some(kind) = self.only_fault(since)
        {
            self.stats.gap(&kind, self.now - since);
        }
    }

    fn update_overlap(&mut self, client: usize, address: IpAddr, watch: &mut Watch) {
        if watch.macs.len() > 1 {
            let since = *watch.overlap.get_or_insert(self.now);
            watch.among.extend(&watch.speakers);
            if since == self.now {
                let speakers = watch.speakers.clone();
                self.say_loud(|| format!("two MACs for {address}: {speakers:?}"));
            }
        } else if let Some(since) = watch.overlap {
            self.judge_overlap("I1", address, watch);
            let span = Span { client, address, since, until: self.now };
            self.judge.ledger.overlaps.push(span);
            if let Some(kind) = self.only_fault(since) {
                self.stats.overlap(&kind, self.now - since);
            }
            watch.overlap = None;
            watch.among.clear();
        }
        if watch.overlap.is_some() {
            self.judge_overlap("I1", address, watch);
        }
    }

    /// Whether some node may announce `address` to `client`, and has been fit to for a while.
    pub(crate) fn has_candidate(&self, client: usize, address: IpAddr) -> bool {
        let segment = Self::segment_of_client(client);
        self.nodes.iter().any(|node| {
            let fit = node.agent.as_ref().is_some_and(|agent| {
                agent.engine.is_active()
                    && agent.hung.is_none()
                    && !agent.leaving
                    && agent.since + 5 * SEC <= self.now
            });
            let way = (Station::Client(client), Station::Node(node.id));
            fit && self.converse(segment, Way::Arp, way.0, way.1)
                && self.may_announce(node.id, address)
        })
    }

    /// Whether a node may announce `address` by what the API says.
    pub(crate) fn may_announce(&self, id: NodeId, address: IpAddr) -> bool {
        let name = self.names.of(id);
        let facts = self.truth.nodes.get(&name);
        let has = |facts: &ServiceFacts| facts.addresses.contains(&address);
        facts.is_some_and(|facts| facts.labels.is_empty() && !facts.draining)
            && self.truth.services.iter().filter(|(_, facts)| has(facts)).any(|(key, facts)| {
                let local = self.truth.slices.get(key);
                facts.traffic == Traffic::Cluster
                    || local.is_some_and(|slice| slice.nodes.contains(&name))
            })
    }

    /// What is still open at the end of a run, and who answers then.
    pub(crate) fn close(&mut self) -> Ledger {
        let mut ledger = std::mem::take(&mut self.judge.ledger);
        for ((client, address), watch) in &self.judge.watches {
            let span = |since| Span { client: *client, address: *address, since, until: self.now };
            ledger.gaps.extend(watch.gap.map(|(since, _)| span(since)));
            ledger.overlaps.extend(watch.overlap.map(span));
            ledger.end.insert((*client, *address), watch.macs.clone());
        }
        ledger
    }

    /// The node whose MAC alone answers for `address`.
    pub(crate) fn owner_now(&self, address: IpAddr) -> Option<NodeId> {
        let watch = self.judge.watches.get(&(0, address)).filter(|watch| watch.macs.len() == 1)?;
        node::owner_of(*watch.macs.first()?).map(|(id, _)| id)
    }

    /// Whether there are two nodes and nobody else sends anything: neither can tell that it is the
    /// other that is cut off.
    pub(crate) fn is_a_quiet_pair(&self) -> bool {
        self.nodes.len() == 2 && !self.chatter
    }

    /// The one fault that may be the reason for what began at `since`, if it is only one.
    fn only_fault(&self, since: At) -> Option<String> {
        let mut touching = self.context(since);
        let only = touching.next()?;
        let fault: &Fault = &only.fault;
        // A death that nobody can testify to is slow to be found out, and a kind of its own.
        let has_no_witness = |id: NodeId| self.is_a_quiet_pair() || self.nodes[id].arp_ignore;
        let is_unseen = fault.bereaves().is_some_and(has_no_witness);
        let kind = if is_unseen { format!("{}, unseen", fault.kind()) } else { fault.kind() };
        touching.next().is_none().then_some(kind)
    }
}
