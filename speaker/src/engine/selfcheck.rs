//! The self-check: does somebody answer for each address, and only one?
//!
//! Nobody can hear its own answers, so the one that would inherit an address asks for it now and
//! then, as any client would, and counts the MACs that answer. A segment never sees more than a few
//! such questions a second, whatever the number of addresses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crds::model::electorate::Ballot;
use crds::model::ids::{IfIndex, MacAddr, NodeName};

use super::Engine;
use super::effect::{Conflict, Effect};
use crate::moment::Moment;
use crate::ownership::life::Life;

/// How often each address is checked.
const EVERY: Duration = Duration::from_secs(30);
/// With many addresses less often: all together, a segment sees this many questions a second.
const PER_SECOND: u32 = 3;
/// How long answers are waited for, and how often silence is asked again.
const WITHIN: Duration = Duration::from_millis(75);
const TRIES: u32 = 3;

/// The checks that are this member's to make.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Still to be made in this round, and how far apart.
    queue: VecDeque<IpAddr>,
    gap: Duration,
    next: Option<Moment>,
    open: BTreeMap<IpAddr, Check>,
    /// Addresses that nobody answered for the last time, and who owned them then.
    unanswered: BTreeMap<IpAddr, NodeName>,
}

/// A question on the wire.
#[derive(Debug)]
struct Check {
    owner: NodeName,
    asked: Moment,
    tries: u32,
    answers: BTreeMap<MacAddr, IfIndex>,
}

impl Checks {
    /// `mac` answered for `address` on `link`.
    pub(super) fn answered(&mut self, address: &IpAddr, mac: MacAddr, link: IfIndex) {
        if let Some(check) = self.open.get_mut(address) {
            check.answers.insert(mac, link);
        }
    }

    /// Addresses that nobody answered for the last time, and who owned them then.
    pub(super) fn unanswered(&self) -> BTreeMap<IpAddr, NodeName> {
        self.unanswered.clone()
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let open = self.open.values().map(|check| check.asked + WITHIN);
        open.chain(self.next).min()
    }
}

impl Engine {
    /// Asks for the address whose turn it is, and judges what came of earlier questions.
    pub(super) fn check(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.peers.is_none() || !self.phase.decides() {
            return;
        }
        self.judge_checks(now, effects);
        let next = *self.checks.next.get_or_insert(now + EVERY);
        if now < next {
            return;
        }
        if self.checks.queue.is_empty() {
            self.plan_checks();
        }
        self.checks.next = Some(now + self.checks.gap);
        let Some(address) = self.checks.queue.pop_front() else { return };
        let Some(owner) = self.owner_to_check(&address) else { return };
        let check = Check { owner, asked: now, tries: 0, answers: BTreeMap::new() };
        self.checks.open.insert(address, check);
        self.ask_everywhere(address, effects);
    }

    fn judge_checks(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let due = |(_, check): &(&IpAddr, &Check)| check.asked + WITHIN <= now;
        let due: Vec<IpAddr> = self.checks.open.iter().filter(due).map(|(a, _)| *a).collect();
        for address in due {
            let Some(mut check) = self.checks.open.remove(&address) else { continue };
            if self.owner_to_check(&address).as_ref() != Some(&check.owner) {
                // It changed hands meanwhile: what was seen says nothing.
                self.checks.unanswered.remove(&address);
                continue;
            }
            if check.answers.is_empty() && check.tries + 1 < TRIES {
                check.tries += 1;
                check.asked = now;
                self.checks.open.insert(address, check);
                self.ask_everywhere(address, effects);
                continue;
            }
            self.conclude(address, &check, now, effects);
        }
    }

    fn conclude(&mut self, address: IpAddr, check: &Check, now: Moment, effects: &mut Vec<Effect>) {
        let Some(peers) = &mut self.peers else { return };
        if check.answers.is_empty() {
            // Perhaps the owner is gone; the watch finds out.
            peers.doubt(&check.owner, now);
            self.checks.unanswered.insert(address, check.owner.clone());
        } else {
            self.checks.unanswered.remove(&address);
        }
        let rivals: Vec<Conflict> = check
            .answers
            .iter()
            .filter_map(|(&mac, &link)| {
                let member = peers.member_at(mac);
                let is_owner = member.as_ref() == Some(&check.owner);
                (!is_owner).then_some(Conflict { address, mac, link, served: true, member })
            })
            .collect();
        let rivals = rivals.into_iter().filter(|conflict| {
            conflict.member.is_none() || self.conflicts.is_stubborn(address, conflict.mac, now)
        });
        let rivals: Vec<Conflict> = rivals.collect();
        let macs: BTreeSet<MacAddr> = check.answers.keys().copied().collect();
        effects.push(Effect::Checked { address, macs });
        for conflict in rivals {
            self.report(conflict, now, effects);
        }
    }

    /// Who owns `address`, if that is another member that is there.
    fn owner_to_check(&self, address: &IpAddr) -> Option<NodeName> {
        let peers = self.peers.as_ref()?;
        let owner = peers.owner_of(address)?;
        (peers.lives().of(owner) == Life::Present).then(|| owner.clone())
    }

    /// The addresses that this member would inherit, spread over one round.
    fn plan_checks(&mut self) {
        let electorate = self.cluster.electorate();
        let (Some(config), Some(peers)) = (&self.config, &self.peers) else { return };
        let (me, lives) = (peers.book().me(), peers.lives());
        let addresses: Vec<IpAddr> = peers.book().addresses().copied().collect();
        let is_mine = |address: &&IpAddr| {
            let owner = self.owner_to_check(address)?;
            let group = self.cluster.group_at(address)?;
            let local = self.cluster.local(&group);
            let parts = self.cluster.parts(&group, config, &local);
            let shares = parts.iter().filter_map(|(_, part)| part.as_ref()?.as_ref().ok());
            let ballots: Vec<&Ballot<'_>> = shares.map(|share| &share.ballot).collect();
            let able = |node: &NodeName| *node != owner && (node == me || lives.is_present(node));
            let heir = electorate.elect(group.hash, &ballots, able);
            (heir == Some(me)).then_some(())
        };
        let queue: VecDeque<IpAddr> =
            addresses.iter().filter(|address| is_mine(address).is_some()).copied().collect();
        let total = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let round = EVERY.max(Duration::from_secs(1) * (total / PER_SECOND));
        let mine = u32::try_from(queue.len()).unwrap_or(u32::MAX).max(1);
        // What is another's to check by now, this one knows no longer.
        let of_round: BTreeSet<&IpAddr> = queue.iter().collect();
        let mut unanswered = std::mem::take(&mut self.checks.unanswered);
        unanswered.retain(|address, _| of_round.contains(address));
        self.checks.unanswered = unanswered;
        self.checks.gap = round / mine;
        self.checks.queue = queue;
    }

    fn ask_everywhere(&self, address: IpAddr, effects: &mut Vec<Effect>) {
        let Some(peers) = &self.peers else { return };
        for port in self.ports.iter().flatten() {
            effects.extend(peers.ask(port.index, address, None));
        }
    }
}
