//! Which groups get their turn, and what comes of all the turns together.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crds::model::electorate::Ballot;
use crds::model::ids::NodeName;

use super::cluster::Share;
use super::effect::Effect;
use super::peers::Peers;
use super::turn::{Standings, Turn};
use super::{Engine, Standing};
use crate::moment::Moment;
use crate::ownership::Why;
use crate::ownership::claim::Rank;
use crate::ownership::statement::Phase as Said;

impl Engine {
    /// Decides about all groups that something changed for, and brings the table and the wire in
    /// line.
    pub(super) fn decide(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let leaving = self.mark_touched(now);
        let groups = self.cluster.take_dirty();
        if !groups.is_empty() {
            self.drop_orphans();
            let electorate = self.cluster.electorate();
            let orders = self.orders();
            let mut fresh = Standings::new();
            self.heirs.count_anew();
            let (Some(config), Some(ports)) = (&self.config, &self.ports) else { return };
            if let Some(peers) = &mut self.peers {
                let mut turn = Turn {
                    settings: &self.settings,
                    cluster: &self.cluster,
                    config,
                    electorate: &electorate,
                    ports,
                    peers,
                    pending: &mut self.pending,
                    heirs: &mut self.heirs,
                    recorded: self.records.best(),
                    served: &self.served,
                    orders: &orders,
                    now,
                };
                for group in &groups {
                    fresh.extend(turn.take(group));
                }
                for address in self.pending.take_freed() {
                    self.conflicts.is_free(&address);
                }
            } else {
                for group in &groups {
                    let local = self.cluster.local(group);
                    let services = self.cluster.parts(group, config, &local);
                    let shares =
                        services.iter().filter_map(|(_, part)| part.as_ref()?.as_ref().ok());
                    let ballots: Vec<&Ballot<'_>> = shares.map(|share| &share.ballot).collect();
                    let owner = electorate.elect(group.hash, &ballots, |_| true);
                    fresh.extend(services.into_iter().map(|(service, part)| {
                        let standing = part.map(|part| self.elected(part, owner));
                        (service.clone(), standing)
                    }));
                }
            }
            self.stand_all(fresh, now, effects);
        }
        if let Some(peers) = &self.peers {
            for address in self.pending.take_retold(now) {
                match peers.owner_of(&address) {
                    Some(owner) if owner != peers.book().me() => {
                        self.pending.part_with(address, owner.clone(), now);
                    }
                    // Perhaps of one that is still missing.
                    None if peers.misses_some() => self.pending.part_blindly(address),
                    Some(_) | None => {}
                }
            }
            for winner in self.pending.take_sought() {
                peers.seek(&winner, effects);
            }
            let parted = self.pending.take_parted(now, |winner| {
                let macs = peers.macs_of(winner);
                let is_complete = Some(macs.len()) == self.ports.as_ref().map(Vec::len);
                (macs, is_complete)
            });
            if peers.misses_some() {
                for (address, _) in &parted {
                    self.pending.part_blindly(*address);
                }
            }
            self.part(effects, parted);
        }
        let is_blind = self.peers.as_ref().is_some_and(Peers::misses_some);
        for address in std::mem::take(&mut self.announced_again) {
            self.announce_again(address, now);
            if is_blind && self.present.contains_key(&address) {
                self.pending.take_blindly(address);
            }
        }
        if let Some(peers) = &mut self.peers {
            for node in leaving {
                // It says again that it leaves until it is told that it may.
                if peers.knows_places_of(&node) {
                    peers.acknowledge(&node, effects);
                } else {
                    peers.seek(&node, effects);
                }
            }
        }
    }

    /// How a Service stands where there is no mesh, hence no claims: by the election alone.
    fn elected(&self, part: Result<Share<'_>, Why>, owner: Option<&NodeName>) -> Standing {
        let me = &self.settings.node;
        let announced = part.and_then(|share| match owner {
            None => Err(Why::NoCandidate),
            Some(owner) if owner != me => Err(Why::OtherNode(owner.clone())),
            Some(_) => {
                let ports = self.ports.as_deref().unwrap_or_default();
                self.cluster.announcement(&share, me, ports)
            }
        });
        match announced {
            Ok(announcement) => Standing::Announced(announcement),
            Err(why) => Standing::Silent(why),
        }
    }

    /// Marks the groups that news about the other members concerns; gives those members that leave
    /// and wait to hear that they may.
    fn mark_touched(&mut self, now: Moment) -> Vec<NodeName> {
        let due = self.pending.due(now);
        self.cluster.mark_addresses(&due);
        let Some(peers) = &mut self.peers else { return Vec::new() };
        let touched = std::mem::take(&mut peers.touched);
        self.cluster.mark_addresses(&touched.addresses);
        for address in touched.yielded {
            self.pending.vacate(address, now);
            // Clients may still have its MAC.
            self.announced_again.insert(address);
        }
        if touched.links {
            self.cluster.mark_all();
        }
        if touched.members.is_empty() {
            return Vec::new();
        }
        let book = peers.book();
        if touched.returned {
            let all_are_there = !peers.misses_some();
            self.announced_again.extend(self.pending.claimed_blindly(all_are_there));
            self.pending.retell_soon(now);
        }
        for node in &touched.members {
            let held = book.of(node).into_iter().flat_map(|it| it.holdings.keys());
            self.cluster.mark_addresses(held);
        }
        // What waits for somebody, or is held with a doubt, may be settled now.
        let serves = self.cluster.serves(book.me());
        let doubtful = book
            .mine()
            .holdings
            .iter()
            .filter(|(_, held)| !serves || held.rank < Rank::Firm || held.offer.is_some());
        let doubtful: Vec<IpAddr> = doubtful.map(|(address, _)| *address).collect();
        self.cluster.mark_addresses(&doubtful);
        self.cluster.mark_addresses(&self.pending.restless());
        self.cluster.mark_addresses(&self.heirs.restless());
        let is_leaving = |node: &&NodeName| {
            book.of(node).is_some_and(|statement| statement.head.phase == Said::Leaving)
        };
        touched.members.iter().filter(is_leaving).cloned().collect()
    }

    /// Gives up what no Service has any more, and all memory of it.
    fn drop_orphans(&mut self) {
        let cluster = &self.cluster;
        let exists = |address: &IpAddr| cluster.services_at(address).next().is_some();
        self.pending.retain(exists);
        self.heirs.retain(exists);
        if let Some(peers) = &mut self.peers {
            let held = peers.book().mine().holdings.keys();
            let orphans: BTreeSet<IpAddr> =
                held.filter(|address| !exists(address)).copied().collect();
            for address in orphans {
                peers.book_mut().hold(address, None);
            }
        }
    }
}
