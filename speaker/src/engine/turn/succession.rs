//! Who may have a group, and which of them is to have it next.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crds::model::electorate::{Ballot, Candidate};
use crds::model::group::Group;
use crds::model::ids::NodeName;
use crds::model::selector::Labels;

use super::{APART, BY_ANYONE, Turn};
use crate::engine::defect::{Defect, has};
use crate::ownership::claim::Held;
use crate::ownership::life::Life;
use crate::ownership::statement::Phase;

/// One that has just come, or come back, is given nothing by order.
const STEADY: Duration = Duration::from_secs(10);

impl Turn<'_> {
    /// To whom a move order in force sends the group.
    pub(super) fn ordered(
        &mut self,
        group: &Group,
        held: &Held,
        ballots: &[&Ballot<'_>],
        candidates: &[Candidate<'_>],
    ) -> Option<NodeName> {
        let key = group.addresses.first()?;
        let obeys_all = has(self.settings, Defect::ObeyVoidOrders);
        let order = self
            .orders
            .iter()
            .find(|order| order.address == *key && (order.claim == held.counter || obeys_all));
        let to = &order?.to;
        let since = self.peers.lives().belief(to)?.since;
        if self.now < since + STEADY {
            // The order may be older than its return.
            self.pending.wake_at(group, since + STEADY);
            return None;
        }
        let is_able = candidates.iter().any(|candidate| candidate.node == to)
            && self.is_able(to)
            && self.has_interface(to, ballots);
        is_able.then(|| to.clone())
    }

    /// Who takes the group after `before`, in the order that everybody computes alike; `lost` is
    /// whose groups are being spread.
    pub(super) fn heir(
        &mut self,
        group: &Group,
        ballots: &[&Ballot<'_>],
        before: Option<&NodeName>,
        lost: Option<&NodeName>,
    ) -> Option<NodeName> {
        let spurned = self.pending.spurned(group, self.now);
        let mut able: Vec<Candidate<'_>> = self
            .electorate
            .candidates(group.hash, ballots)
            .filter(|candidate| Some(candidate.node) != before && self.is_able(candidate.node))
            .collect();
        prefer(&mut able, |candidate| self.has_interface(candidate.node, ballots));
        prefer(&mut able, |candidate| self.speaks_for(candidate.node, group));
        prefer(&mut able, |candidate| self.is_whole(candidate.node));
        prefer(&mut able, |candidate| !spurned.contains(candidate.node));
        self.heirs.choose(group, &able, lost, self.peers.book())
    }

    /// Who takes the group after `before` by lot alone.
    pub(super) fn by_lot(
        &self,
        group: &Group,
        ballots: &[&Ballot<'_>],
        before: &NodeName,
    ) -> Option<NodeName> {
        let may = |node: &NodeName| node != before && self.is_able(node);
        self.electorate.elect(group.hash, ballots, may).cloned()
    }

    /// How long until this member takes a group that nobody took, of which it may have `waited` for
    /// so long; `None`: it may now. Who goes before it, able or not, is the same for everybody,
    /// whatever each believes about the others.
    pub(super) fn until_my_turn(
        &self,
        group: &Group,
        ballots: &[&Ballot<'_>],
        waited: Duration,
    ) -> Option<Duration> {
        let me = self.peers.book().me();
        let candidates: Vec<Candidate<'_>> =
            self.electorate.candidates(group.hash, ballots).collect();
        let mine = candidates.iter().find(|candidate| candidate.node == me);
        let goes_before =
            |other: &&Candidate<'_>| mine.is_some_and(|mine| other.precedence(mine).is_gt());
        let before = candidates.iter().filter(goes_before).count();
        let turn = BY_ANYONE + APART * u32::try_from(before).unwrap_or(u32::MAX);
        turn.checked_sub(waited).filter(|wait| !wait.is_zero())
    }

    /// Whether `node` can take addresses now.
    pub(super) fn is_able(&self, node: &NodeName) -> bool {
        let book = self.peers.book();
        if node == book.me() {
            return self.can_serve() && !self.is_leaving();
        }
        let statement = book.of(node);
        let is_ready = statement.is_some_and(|statement| {
            statement.head.phase == Phase::Ready && !statement.head.links.is_empty()
        });
        is_ready && self.peers.lives().is_present(node)
    }

    /// Whether `node` has all the links it ever had.
    pub(super) fn is_whole(&self, node: &NodeName) -> bool {
        self.peers.book().of(node).is_some_and(|statement| statement.head.whole)
    }

    /// Whether this member has a link to answer on.
    pub(super) fn can_serve(&self) -> bool {
        !self.ports.is_empty() && !self.peers.book().mine().head.links.is_empty()
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.peers.book().mine().head.phase == Phase::Leaving
    }

    pub(super) fn is_candidate(
        &self,
        group: &Group,
        ballots: &[&Ballot<'_>],
        node: &NodeName,
    ) -> bool {
        self.electorate.candidates(group.hash, ballots).any(|candidate| candidate.node == node)
    }

    /// Whether an advertisement that selects `node` names an interface that it has, or names none.
    pub(super) fn has_interface(&self, node: &NodeName, ballots: &[&Ballot<'_>]) -> bool {
        let book = self.peers.book();
        let links = book.of(node).into_iter().flat_map(|statement| &statement.head.links);
        let names: BTreeSet<&String> = links.map(|link| &link.name).collect();
        let no_labels = Labels::new();
        let labels = self.cluster.labels(node).unwrap_or(&no_labels);
        let all = ballots.iter().flat_map(|ballot| &ballot.advertisements);
        all.filter(|advertisement| advertisement.selects_node(labels)).any(|advertisement| {
            advertisement.interfaces.is_empty()
                || advertisement.interfaces.iter().any(|name| names.contains(name))
        })
    }

    /// Whether `node` can answer for both families, as far as `group` needs that: neighbour discovery
    /// wants a link with an IPv6 address.
    fn speaks_for(&self, node: &NodeName, group: &Group) -> bool {
        let statement = self.peers.book().of(node);
        let mut links = statement.into_iter().flat_map(|statement| &statement.head.links);
        group.addresses.iter().all(IpAddr::is_ipv4)
            || links.any(|link| link.addresses.iter().any(IpAddr::is_ipv6))
    }

    /// Whose claim to the group was the highest.
    pub(super) fn last_holder(&self, group: &Group) -> Option<NodeName> {
        let book = self.peers.book();
        let claims = group.addresses.iter().flat_map(|address| book.claims(address));
        claims.max().map(|claim| claim.node.clone())
    }

    /// Who announced it by the API's record, if that one can take it.
    pub(super) fn recorded(&self, group: &Group, ballots: &[&Ballot<'_>]) -> Option<NodeName> {
        let mut recorded = group.services.iter().filter_map(|it| self.recorded.get(it));
        let node = &recorded.next()?.node;
        let is_able = self.is_able(node)
            && self.is_candidate(group, ballots, node)
            && self.has_interface(node, ballots);
        is_able.then(|| node.clone())
    }

    /// Who announced it by the API's record, if that one cannot take it now and may soon: its agent
    /// is just starting, or has not been heard of at all, as when all start at once.
    pub(super) fn expected(&self, group: &Group, ballots: &[&Ballot<'_>]) -> Option<NodeName> {
        let mut recorded = group.services.iter().filter_map(|it| self.recorded.get(it));
        let node = &recorded.next()?.node;
        let is_late = match self.peers.lives().belief(node) {
            None => *node != *self.peers.book().me(),
            Some(belief) => belief.life != Life::Gone && !self.is_able(node),
        };
        (is_late && self.is_candidate(group, ballots, node)).then(|| node.clone())
    }

    /// Whether one of us announced it when this member began, by the API's record. What another
    /// program announced, it may still answer for.
    pub(super) fn was_ours(&self, group: &Group) -> bool {
        group.addresses.iter().any(|address| self.served.get(address) == Some(&true))
    }

    pub(super) fn is_recorded_here(&self, group: &Group) -> bool {
        let me = self.peers.book().me();
        group.services.iter().any(|it| self.recorded.get(it).is_some_and(|it| it.node == *me))
    }
}

/// Keeps those that are `wanted`, if there are any.
fn prefer(candidates: &mut Vec<Candidate<'_>>, wanted: impl Fn(&Candidate<'_>) -> bool) {
    if candidates.iter().any(&wanted) {
        candidates.retain(wanted);
    }
}
