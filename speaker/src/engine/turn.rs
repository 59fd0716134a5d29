//! One group's turn: who owns it, what this member does about it, and how its Services stand.
//!
//! The owner is the holder of the highest claim that lives. Everything else follows:
//!
//! | the owner is | this member |
//! | --- | --- |
//! | this one, and may be | answers |
//! | this one, and should not be | answers, and offers the group to its heir until that has claimed it |
//! | another, present | is silent; takes the group if it is offered |
//! | another, whose agent is missed or leaving | answers with its MAC, if this one is the heir |
//! | another, away for too long | takes over, if this one is the heir |
//! | nobody, since the last is gone | takes over, if this one is the heir |
//! | nobody, and never was one of us | asks the wire first, if this one is the heir |

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crds::model::compile::Config;
use crds::model::electorate::{Ballot, Candidate, Electorate};
use crds::model::group::Group;
use crds::model::ids::{NodeName, ServiceKey};

use super::Settings;
use super::cluster::{Cluster, Intent};
use super::defect::{Defect, has};
use super::heirs::Heirs;
use super::peers::Peers;
use super::pending::{Pending, Probed};
use super::standing::Standing;
use crate::announce::desired::PortSpec;
use crate::facts::{Order, Recorded};
use crate::moment::Moment;
use crate::ownership::Why;
use crate::ownership::claim::{Claim, Held, Rank};
use crate::ownership::life::Life;
use crate::ownership::statement::Phase;

mod claims;
mod standings;
mod succession;

/// How long an agent may stay away while its node lives, before its groups change hands.
const AWAY: Duration = Duration::from_mins(1);
/// The same where nothing but an ARP answer speaks for the node: a switch may give that for a
/// machine that is dead.
const AWAY_UNHEARD: Duration = Duration::from_secs(20);
/// How long an agent that is just starting is waited for, where its node announced the group when
/// all agents were there last.
const STARTING: Duration = Duration::from_secs(3);
/// An heir that has not acted by now sees things differently: the choice falls by lot alone, which
/// depends on less.
const BY_LOT: Duration = Duration::from_millis(400);
/// And after this anybody who may takes it, in the order of election, so far apart that each hears
/// the claim of whoever went before.
const BY_ANYONE: Duration = Duration::from_millis(1_500);
const APART: Duration = Duration::from_millis(10);

/// What a turn looks at and works on.
pub(super) struct Turn<'a> {
    pub(super) settings: &'a Settings,
    pub(super) cluster: &'a Cluster,
    pub(super) config: &'a Config,
    pub(super) electorate: &'a Electorate,
    pub(super) ports: &'a [PortSpec],
    pub(super) peers: &'a mut Peers,
    pub(super) pending: &'a mut Pending,
    pub(super) heirs: &'a mut Heirs,
    /// Who announced each Service by the API's record, and under which claim.
    pub(super) recorded: &'a BTreeMap<ServiceKey, Recorded>,
    /// What was announced when this member began, by the same record, and whether by one of us.
    pub(super) served: &'a BTreeMap<IpAddr, bool>,
    pub(super) orders: &'a [Order],
    pub(super) now: Moment,
}

/// How the Services of a group stand, by key; `None`: gone.
pub(super) type Standings = Vec<(ServiceKey, Option<Standing>)>;

/// Who owns a group.
enum Owner {
    Me(Held),
    Other(NodeName),
    /// The last holder is gone.
    Lost,
    /// Nobody ever did, as far as is known.
    None,
}

impl Turn<'_> {
    /// Decides about `group`.
    pub(super) fn take(&mut self, group: &Group) -> Standings {
        let local = self.cluster.local(group);
        let parts = self.cluster.parts(group, self.config, &local);
        let shares = parts.iter().filter_map(|(_, part)| part.as_ref()?.as_ref().ok());
        let ballots: Vec<&Ballot<'_>> = shares.map(|share| &share.ballot).collect();
        let verdict = if ballots.is_empty() {
            // Nothing of it is to be announced, by anybody.
            self.drop_all(group);
            Err(Why::NoCandidate)
        } else {
            self.settle(group, &ballots)
        };
        parts
            .into_iter()
            .map(|(service, part)| {
                let standing = part.map(|part| match part {
                    Err(why) => Standing::Silent(why),
                    Ok(share) => self.standing(&share, &verdict),
                });
                (service.clone(), standing)
            })
            .collect()
    }

    fn settle(&mut self, group: &Group, ballots: &[&Ballot<'_>]) -> Result<Role, Why> {
        let Some(key) = group.addresses.first() else { return Err(Why::NoAddress) };
        let owner = self.owner(group);
        if !matches!(owner, Owner::None) {
            self.pending.stop_probing(key);
        }
        match owner {
            Owner::Me(held) => {
                self.has_owner(key);
                self.own(group, ballots, &held)
            }
            Owner::Other(node) => self.stand_by(group, ballots, node),
            Owner::Lost => self.inherit(group, ballots, None, true),
            Owner::None => self.inherit(group, ballots, None, self.was_ours(group)),
        }
    }

    /// The holder of the highest claim that lives.
    fn owner(&self, group: &Group) -> Owner {
        let (book, lives) = (self.peers.book(), self.peers.lives());
        let me = book.me();
        let trusts_dead = has(self.settings, Defect::TrustTheDead);
        let living =
            |claim: &Claim<'_>| claim.node == me || lives.is_alive(claim.node) || trusts_dead;
        let claims = || group.addresses.iter().flat_map(|address| book.claims(address));
        match claims().filter(living).max() {
            Some(claim) if claim.node == me => Owner::Me(claim.held.clone()),
            Some(claim) => Owner::Other(claim.node.clone()),
            None if claims().next().is_some() => Owner::Lost,
            None => Owner::None,
        }
    }

    fn own(&mut self, group: &Group, ballots: &[&Ballot<'_>], held: &Held) -> Result<Role, Why> {
        let me = self.peers.book().me().clone();
        let candidates: Vec<Candidate<'_>> =
            self.electorate.candidates(group.hash, ballots).collect();
        let is_fit = candidates.iter().any(|candidate| *candidate.node == me) && self.can_serve();
        let leaves_for_good = self.is_leaving() && !self.settings.deputies;
        let has_interface = self.has_interface(&me, ballots);
        if !has_interface {
            group.addresses.first().inspect(|key| self.pending.is_unable(key));
        }
        let successor = if !is_fit || leaves_for_good {
            self.heir(group, ballots, Some(&me), None)
        } else if self.is_leaving() {
            self.ordered(group, held, ballots, &candidates)
        } else if !has_interface {
            let heir = self.heir(group, ballots, Some(&me), None);
            heir.filter(|heir| self.has_interface(heir, ballots))
        } else if !self.is_whole(&me) {
            let heir = self.heir(group, ballots, Some(&me), None);
            heir.filter(|heir| self.is_whole(heir))
        } else {
            self.ordered(group, held, ballots, &candidates)
        };
        let intent = self.cluster.intent(&me);
        match successor {
            None if !is_fit && intent != Intent::Draining => {
                self.drop_all(group);
                return Err(Why::NoCandidate);
            }
            None => self.claim(group, None),
            Some(successor) => self.offer(group, successor),
        }
        Ok(Role::Owner)
    }

    /// Another owns it.
    fn stand_by(
        &mut self,
        group: &Group,
        ballots: &[&Ballot<'_>],
        owner: NodeName,
    ) -> Result<Role, Why> {
        let me = self.peers.book().me().clone();
        // One address of a group at a time: those that the owner has not claimed yet go on being
        // answered here.
        self.yield_to_higher(group);
        let life = self.peers.lives().of(&owner);
        let phase = self.peers.book().of(&owner).map(|statement| statement.head.phase);
        let is_offered = group.addresses.iter().any(|address| {
            let mut claims = self.peers.book().claims(address);
            claims.any(|claim| *claim.node == owner && claim.held.offer.as_ref() == Some(&me))
        });
        if has(self.settings, Defect::RecordIsAnOrder) && self.is_recorded_here(group) {
            self.claim(group, None);
            return Ok(Role::Owner);
        }
        if is_offered && self.can_serve() && self.is_candidate(group, ballots, &me) {
            self.claim(group, None);
            return Ok(Role::Owner);
        }
        // One that has stopped by itself, because it was out of touch, is about to begin again.
        let has_lapsed = group.addresses.iter().any(|address| {
            let mut claims = self.peers.book().claims(address);
            claims.any(|claim| *claim.node == owner && claim.held.rank == Rank::Lapsed)
        });
        let is_missed = matches!(life, Life::Suspected | Life::Away)
            || (phase == Some(Phase::Leaving) || has_lapsed) && life != Life::Hidden;
        if !is_missed {
            group.addresses.first().inspect(|key| self.has_owner(key));
            return self.silent(group, owner);
        }
        // Its agent works and has nothing to answer on: it will not claim anew what it has lapsed.
        let is_deaf = self.peers.book().of(&owner).is_some_and(|statement| {
            statement.head.phase == Phase::Ready && statement.head.links.is_empty()
        });
        if is_deaf || life == Life::Away && self.is_over(group, ballots, &owner) {
            return self.inherit(group, ballots, Some(&owner), true);
        }
        group.addresses.first().inspect(|key| self.pending.has_owner(key));
        // The heir, and the one with the best lot: they may see things differently, and what both
        // answer is the same.
        let deputises = self.settings.deputies
            && (self.heir(group, ballots, Some(&owner), Some(&owner)).as_ref() == Some(&me)
                || self.by_lot(group, ballots, &owner).as_ref() == Some(&me));
        if deputises { Ok(Role::Deputy(owner)) } else { self.silent(group, owner) }
    }

    /// Whether `owner`, whose agent is away, has lost its right to be waited for.
    fn is_over(&mut self, group: &Group, ballots: &[&Ballot<'_>], owner: &NodeName) -> bool {
        if !self.settings.deputies || !self.is_candidate(group, ballots, owner) {
            return true;
        }
        let Some(belief) = self.peers.lives().belief(owner) else { return true };
        let limit = if belief.hung_up { AWAY } else { AWAY_UNHEARD };
        self.pending.wake_at(group, belief.since + limit);
        self.now >= belief.since + limit
    }

    /// Nobody owns it any more, or nobody that is waited for.
    fn inherit(
        &mut self,
        group: &Group,
        ballots: &[&Ballot<'_>],
        from: Option<&NodeName>,
        was_ours: bool,
    ) -> Result<Role, Why> {
        let me = self.peers.book().me().clone();
        let Some(key) = group.addresses.first() else { return Err(Why::NoAddress) };
        let mut since = self.pending.ownerless_since(key, self.now);
        let mut must_ask = !was_ours;
        let lost = from.cloned().or_else(|| self.last_holder(group));
        if lost.is_none()
            && let Some(wait) = self.pending.is_vacated(group, self.now)
        {
            self.pending.wake_in(group, self.now, wait);
            return Err(Why::NoCandidate);
        }
        if lost.is_none() {
            if let Some(recorded) = self.expected(group, ballots) {
                if self.now < since + STARTING {
                    self.pending.expect(key);
                    self.pending.wake_at(group, since + STARTING);
                    return self.silent(group, recorded);
                }
                since = since + STARTING;
                // Never heard of is not dead: it may answer still.
                must_ask = true;
            } else if self.pending.has_come(key, self.now) {
                since = self.now;
            }
        }
        let waited = self.now.since(since);
        let heir = if waited < BY_LOT {
            self.pending.wake_in(group, self.now, BY_LOT.saturating_sub(waited));
            let recorded = if lost.is_none() { self.recorded(group, ballots) } else { None };
            recorded.or_else(|| self.heir(group, ballots, from, lost.as_ref()))
        } else if let Some(wait) = self.until_my_turn(group, ballots, waited) {
            self.pending.wake_in(group, self.now, wait);
            self.electorate.elect(group.hash, ballots, |node| self.is_able(node)).cloned()
        } else {
            Some(me.clone()).filter(|_| self.is_candidate(group, ballots, &me))
        };
        let is_mine = heir.as_ref() == Some(&me) && self.can_serve();
        if !is_mine {
            self.pending.stop_probing(key);
            return match heir {
                Some(heir) => self.silent(group, heir),
                None => Err(Why::NoCandidate),
            };
        }
        if must_ask {
            match self.pending.probe(group, self.now) {
                Probed::Free => {}
                Probed::Asking => return Err(Why::Probing),
                Probed::Taken(address, mac) => return Err(Why::InUse { address, mac }),
            }
        }
        self.claim(group, from);
        Ok(Role::Owner)
    }

    /// Silence here, since `other` answers; what is still held here and nobody else has claimed is
    /// answered all the same.
    fn silent(&self, group: &Group, other: NodeName) -> Result<Role, Why> {
        let holds = group.addresses.iter().any(|address| self.peers.book().held(address).is_some());
        if holds { Ok(Role::Holder(other)) } else { Err(Why::OtherNode(other)) }
    }

    /// Somebody owns the group of `key` and is there: whatever was planned for it is void.
    fn has_owner(&mut self, key: &IpAddr) {
        self.pending.has_owner(key);
        self.heirs.forget(key);
    }
}

/// What this member does for a group.
enum Role {
    /// Answers for what it holds.
    Owner,
    /// Answers for what it holds, until this one, who owns the group, has claimed that too.
    Holder(NodeName),
    /// Answers in the place of this one.
    Deputy(NodeName),
}
