//! When an address may be at another MAC than before: nothing moves without need.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crds::model::ids::MacAddr;

use super::{BEGINNING, UNDECIDED};
use crate::fault::{Episode, Fault, LINGER};
use crate::node::{self, NodeId};
use crate::time::{At, MS};
use crate::world::World;

impl World {
    /// I3, I4, I5: an address is at another MAC now.
    pub(crate) fn changed(&mut self, client: usize, address: IpAddr, from: MacAddr, to: MacAddr) {
        let place =
            |mac| node::owner_of(mac).map_or_else(|| "?".to_owned(), |(id, _)| format!("n{id}"));
        self.say_loud(|| format!("client {client}: {address} {} -> {}", place(from), place(to)));
        if self.is_ordered(address, to) {
            self.fulfil(address, to);
            return;
        }
        let context: Vec<&Episode> = self.context(self.now).collect();
        if self.now < BEGINNING
            || node::owner_of(from).is_some_and(|(id, _)| !self.may_announce(id, address))
            || context.iter().any(|episode| self.may_move(episode, address, from, to))
            || self.may_move_together(&context, from, to)
            || self.are_all_troubled(&context, from)
            || self.unites(&context, address, to)
            || self.inherited_together(&context, client, address)
        {
            return;
        }
        let agents = |episode: &&Episode| {
            matches!(
                episode.fault,
                Fault::Kill(_)
                    | Fault::Hang(_)
                    | Fault::Restart(_)
                    | Fault::Rollout
                    | Fault::ClockJump(..)
            )
        };
        let invariant = match context[..] {
            [] => "R7",
            _ if context.iter().any(|episode| episode.fault == Fault::RestartAll) => "I5",
            _ if context.iter().all(agents) => "I3",
            _ => "I4",
        };
        let text = format!("{address} moved from {} to {} without need", place(from), place(to));
        self.broken(invariant, text);
    }

    /// Whether two inherited it from several dead in the same few milliseconds, each before it heard
    /// of the other.
    fn inherited_together(&self, context: &[&Episode], client: usize, address: IpAddr) -> bool {
        let deaths = context.iter().filter(|episode| episode.fault.bereaves().is_some());
        let moves = self.judge.ledger.moves.iter().rev();
        let mut moves = moves.filter(|moved| moved.client == client && moved.address == address);
        let before = moves.nth(1);
        deaths.count() > 1 && before.is_some_and(|moved| self.now - moved.at <= 5 * MS)
    }

    /// Whether all agents were away at some time, that of the owner among them: those who are back
    /// first never met it.
    fn are_all_troubled(&self, context: &[&Episode], from: MacAddr) -> bool {
        let victims: BTreeSet<NodeId> =
            context.iter().filter_map(|episode| episode.fault.troubles()).collect();
        let owner = node::owner_of(from).map(|(id, _)| id);
        victims.len() == self.nodes.len() && owner.is_some_and(|id| victims.contains(&id))
    }

    /// Whether `to` owns another address of the group, where two groups have become one.
    fn unites(&self, context: &[&Episode], address: IpAddr, to: MacAddr) -> bool {
        if !context.iter().any(|episode| matches!(episode.fault, Fault::Share(..))) {
            return false;
        }
        let to = node::owner_of(to).map(|(id, _)| id);
        let group = self.truth.group_of(address);
        group.into_iter().any(|other| other != address && self.owner_now(other) == to)
    }

    fn may_move(&self, episode: &Episode, address: IpAddr, from: MacAddr, to: MacAddr) -> bool {
        let returns = |id: NodeId| node::owner_of(to).is_some_and(|(owner, _)| owner == id);
        // Of two nodes neither sees more than half: whoever was away for so short a time that it
        // has not fallen silent has the better claim.
        let lasted = episode.end.map(|end| end - episode.begin);
        if self.nodes.len() == 2
            && episode.fault.bereaves().is_some_and(returns)
            && lasted.is_some_and(|lasted| lasted < UNDECIDED)
        {
            return true;
        }
        let leaves = |id: NodeId| {
            let at = |mac| node::owner_of(mac).is_some_and(|(owner, _)| owner == id);
            at(from) && !at(to)
        };
        let fault = &episode.fault;
        // Agents that all start anew know who had what by the records alone.
        let forgets = *fault == Fault::RestartAll && !self.records_are_true(episode.begin);
        fault.deafens()
            || self.leaves_no_words(fault, episode.begin)
            || forgets
            || fault.bereaves().is_some_and(leaves)
            || fault.empties().is_some_and(leaves)
            || (self.blind_witness && fault.troubles().is_some_and(leaves))
            || self.concerns(episode, address)
    }

    /// Whether agents that started since then could read from the API who had what.
    pub(crate) fn records_are_true(&self, since: At) -> bool {
        let mut touching = self.episodes.values().filter(|it| it.touches(since, self.now));
        !touching.any(|episode| {
            matches!(episode.fault, Fault::ApiOutage | Fault::StaleWatch(_) | Fault::OldRecords)
        })
    }

    /// Whether several faults together may have moved an address, though none of them alone: the heir
    /// of one's victim may be the victim of another, or its watcher, or its deputy. One of them must be
    /// such that addresses move at all, and one must have befallen either of the two nodes.
    fn may_move_together(&self, context: &[&Episode], from: MacAddr, to: MacAddr) -> bool {
        let nodes = [from, to].map(|mac| node::owner_of(mac).map(|(id, _)| id));
        let moves = |fault: &Fault| {
            fault.bereaves().or_else(|| fault.empties()).is_some() || *fault == Fault::RestartAll
        };
        let restarts = |it: &&Episode| matches!(it.fault, Fault::Rollout | Fault::RestartAll);
        let befallen = |it: &&Episode| it.fault.troubles().is_some_and(|id| nodes[0] == Some(id));
        // Those who start anew find its owner's agent away, and never met it.
        if context.iter().any(restarts) && context.iter().any(befallen) {
            return true;
        }
        let is_new = |id: NodeId| {
            let agent = self.nodes[id].agent.as_ref();
            agent.is_none_or(|agent| agent.leaving || agent.since + LINGER > self.now)
        };
        context.len() > 1
            && context.iter().any(|episode| moves(&episode.fault))
            && context.iter().any(|episode| {
                let victim = episode.fault.bereaves().or_else(|| episode.fault.empties());
                let victim = victim.or_else(|| episode.fault.troubles());
                victim.is_some_and(|id| nodes.contains(&Some(id)))
                    || (restarts(episode) && nodes.iter().flatten().any(|id| is_new(*id)))
            })
    }
}
