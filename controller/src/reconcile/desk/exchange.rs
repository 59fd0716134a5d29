//! What is done about a Service whose address somebody else answers for.
//!
//! An address that was never in use is exchanged, if the user did not ask for exactly that one. One
//! that another program gave, before there was a controller of ours, has been in use.
//! Anything else is kept: clients know it, or somebody wants it. Then the Service says so.

use std::net::IpAddr;
use std::time::Duration;

use crds::model::ids::PoolName;
use crds::names::announced_reason;

use super::conflicts::{Duplicate, Enough, PER_SERVICE, Whose};
use super::{Desk, Effect, Now};
use crate::alloc::settle::{Lost, News, Settled, Why};
use crate::alloc::{Refusal, Request, Wanted};
use crate::plan;
use crate::plan::said::{self, Said};
use crate::view::Facts;

/// How soon it is tried again to find another address where there was none.
const PAUSE: Duration = Duration::from_mins(1);

/// What becomes of an address in conflict.
enum Outcome {
    Exchanged(IpAddr),
    Asked,
    Served,
    Enough(Enough, PoolName),
    NoOther(Refusal),
    /// A node of the cluster answers: its own affair.
    Member,
}

impl Desk {
    /// Exchanges those addresses of `settled` that should be, tells of all conflicts, and returns
    /// what the Service should say about those that stay; `None` if there are none.
    pub(super) fn heed_conflicts(
        &mut self,
        facts: &Facts,
        request: &Request,
        settled: &mut Settled,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Option<Said> {
        let claim = settled.claim.as_ref().filter(|claim| !claim.reserved)?;
        let mut stays = None;
        for address in claim.addresses.clone() {
            let Some(mut duplicate) = self.conflicts.of(address).cloned() else {
                continue;
            };
            // Clients know it, though no speaker of ours has announced it yet.
            duplicate.has_served |= self.inherited.contains(&(facts.key.clone(), address));
            let outcome = self.judge_conflict(request, address, &duplicate, settled, now);
            let done = done(&outcome);
            let message = format!("{}: {done}", seen(address, &duplicate));
            let reason = match duplicate.whose {
                Whose::Foreign => announced_reason::ADDRESS_CONFLICT,
                Whose::Member(_) => announced_reason::UNCLAIMED_ANSWER,
            };
            // Who else sees it is no news. What the condition says was told by a former leader.
            let news = format!("{address} {} {done}", duplicate.mac);
            let is_known = said::says(facts, reason, &message);
            if self.conflicts.is_news(&facts.key, news) && !is_known {
                tracing::warn!(
                    event = "addressConflict",
                    service = %facts.key,
                    ip = %address,
                    mac = duplicate.mac,
                    node = %duplicate.seen_by,
                    interface = duplicate.interface,
                    "{message}"
                );
                effects.push(Effect::Tell(plan::conflict(facts, &message)));
            }
            if !matches!(outcome, Outcome::Exchanged(_)) {
                stays = stays.or(Some(Said::No { reason, message }));
            }
        }
        if stays.is_none() {
            self.conflicts.settled(&facts.key);
        }
        stays
    }

    /// Takes in what speakers report: sets addresses aside, and puts those who hold one in the
    /// queue.
    pub(super) fn take_conflicts(&mut self, now: Duration) {
        let changes = self.conflicts.refresh(now);
        for address in changes.aside {
            self.ledger.set_aside(address);
        }
        for address in changes.restored {
            self.ledger.restore(address);
        }
        for address in changes.touched {
            self.queue.extend(self.ledger.holders(address).cloned());
        }
    }

    fn judge_conflict(
        &mut self,
        request: &Request,
        address: IpAddr,
        duplicate: &Duplicate,
        settled: &mut Settled,
        now: Now,
    ) -> Outcome {
        if duplicate.whose != Whose::Foreign {
            return Outcome::Member;
        }
        if duplicate.has_served {
            return Outcome::Served;
        }
        let Some(claim) = settled.claim.as_ref().filter(|_| request.wanted == Wanted::Any) else {
            return Outcome::Asked;
        };
        let (key, pool) = (&request.key, claim.pool.clone());
        if let Err(enough) = self.conflicts.permit(key, &pool, now.elapsed) {
            if let Enough::ForPool(until) = enough {
                self.later.insert((until, key.clone()));
            }
            return Outcome::Enough(enough, pool);
        }
        let before = claim.addresses.clone();
        match self.ledger.exchange(self.sources.config(), request, address) {
            Ok(given) => {
                let given = given.clone();
                let mut new = given.addresses.iter().filter(|one| !before.contains(one));
                let other = new.next().copied().unwrap_or(address);
                self.conflicts.count(key, &pool, now.elapsed);
                settled.claim = Some(given);
                settled.news = News::Assigned;
                settled.lost = Some(Lost { addresses: vec![address], why: Why::Conflict });
                Outcome::Exchanged(other)
            }
            Err(refusal) => {
                self.later.insert((now.elapsed + PAUSE, key.clone()));
                Outcome::NoOther(refusal)
            }
        }
    }
}

/// Who answers for what, and where that was seen.
fn seen(address: IpAddr, duplicate: &Duplicate) -> String {
    let Duplicate { whose, mac, seen_by, interface, has_served: _ } = duplicate;
    let who = match whose {
        Whose::Foreign => "another host".to_owned(),
        Whose::Member(Some(node)) => format!("node \"{node}\""),
        Whose::Member(None) => "a node of the cluster".to_owned(),
    };
    format!(
        "{who} with MAC {mac} answers for {address}, seen from node \"{seen_by}\" on interface {interface}"
    )
}

/// What is done about it, or can be.
fn done(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Exchanged(other) => format!("the Service gets {other} instead"),
        Outcome::Asked => "the Service asks for this address and keeps it".to_owned(),
        Outcome::Served => "the Service keeps the address, since it has been in use".to_owned(),
        Outcome::Enough(Enough::ForService, _) => {
            format!("the Service keeps the address, since {PER_SERVICE} were exchanged before")
        }
        Outcome::Enough(Enough::ForPool(_), pool) => format!(
            "the Service keeps the address for now, since many of pool \"{pool}\" were exchanged lately"
        ),
        Outcome::NoOther(refusal) => {
            format!("the Service keeps the address, since there is no other: {refusal}")
        }
        Outcome::Member => "another load balancer runs there, or the address was left on an \
            interface, or kube-proxy works in IPVS mode without strictARP"
            .to_owned(),
    }
}
