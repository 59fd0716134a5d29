//! What the ports overheard: answers to our questions, and others who speak for our addresses.

use std::net::IpAddr;

use crds::model::ids::NodeName;

use super::Engine;
use super::effect::{Conflict, Effect};
use super::pending::{PROBE_AGAIN, PROBE_SOON};
use crate::announce::table::Answer;
use crate::moment::Moment;
use crate::respond::{Heard, HeardKind};
use crate::wire::neighbour::NOBODYS;

impl Engine {
    pub(super) fn hear(&mut self, heard: &Heard, now: Moment, effects: &mut Vec<Effect>) {
        let Some(peers) = &mut self.peers else { return };
        // Another link of this very node is nobody else.
        if peers.book().mine().head.links.iter().any(|link| link.mac == heard.mac) {
            return;
        }
        peers.heard(heard, now);
        let member = peers.member_at(heard.mac);
        let address = heard.address;
        if heard.kind == HeardKind::Answer {
            self.checks.answered(&address, heard.mac, heard.link);
        }
        match heard.kind {
            HeardKind::Conflict => self.dispute(heard, member, now, effects),
            HeardKind::Answer | HeardKind::Claim if NOBODYS.contains(&heard.address) => {
                self.pending.is_proxy(heard.mac);
            }
            HeardKind::Answer | HeardKind::Claim => self.is_taken(heard, member, now, effects),
            HeardKind::Probe => match member {
                Some(node) if node < self.settings.node => self.pending.defer(&address, now),
                Some(_) => {}
                None => self.is_taken(heard, None, now, effects),
            },
        }
    }

    /// Somebody has, or wants, an address that we are about to claim for the first time.
    fn is_taken(
        &mut self,
        heard: &Heard,
        member: Option<NodeName>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let address = heard.address;
        if self.pending.is_probing(&address).is_none() {
            return;
        }
        // A member that claims it says so in its statement; one that answers and does not claim it
        // is another program on that node.
        let served = self.has_served(&address);
        // Clients wait for what has served, and a program on a member's node is about to be stopped.
        let again = if served || member.is_some() { PROBE_SOON } else { PROBE_AGAIN };
        self.pending.found(address, heard.mac, again, now);
        let (mac, link) = (heard.mac, heard.link);
        if member.is_some() && !self.conflicts.is_stubborn(address, mac, now) {
            return;
        }
        self.report(Conflict { address, mac, link, served, member }, now, effects);
    }

    /// Whether clients know `address`, though nobody of us has claimed it: another program announced
    /// it, by the API's record, or we did before we all were restarted.
    fn has_served(&self, address: &IpAddr) -> bool {
        let of_another = |service| self.records.best().get(service).is_some_and(|it| !it.is_ours);
        self.served.contains_key(address) || self.cluster.services_at(address).any(of_another)
    }

    /// Somebody speaks for an address that we answer for.
    fn dispute(
        &mut self,
        heard: &Heard,
        member: Option<NodeName>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let address = heard.address;
        let is_ours = self.desired.get(&heard.address).is_some_and(|it| it.answer == Answer::Own);
        let claims = |node: &NodeName| {
            let peers = self.peers.as_ref();
            peers.is_some_and(|it| {
                it.lives().is_alive(node) && it.book().claims(&address).any(|c| c.node == node)
            })
        };
        // Between members the claims decide, as soon as they are known; and one to whom it is offered
        // may be heard before its claim.
        let offered = |node: &NodeName| {
            let held = self.peers.as_ref().and_then(|peers| peers.book().held(&address));
            held.is_some_and(|held| held.offer.as_ref() == Some(node))
        };
        let is_settled = |node: &NodeName| claims(node) || offered(node);
        if !is_ours || member.as_ref().is_some_and(is_settled) {
            return;
        }
        if self.conflicts.defends(address, now) {
            match member {
                None => self.defend(heard.address, effects),
                // Its clients must hear of us as soon as the claims have decided for us.
                Some(_) => _ = self.announced_again.insert(heard.address),
            }
        }
        let (mac, link) = (heard.mac, heard.link);
        let counts = match member {
            Some(_) => self.conflicts.is_stubborn(address, mac, now),
            None => self.conflicts.is_confirmed(address, mac, link, now),
        };
        if counts {
            self.report(Conflict { address, mac, link, served: true, member }, now, effects);
        }
    }

    /// Asks the wire for the addresses that another host was heard to speak for.
    pub(super) fn ask_for_disputed(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let Some(peers) = self.peers.as_ref().filter(|_| self.phase.decides()) else { return };
        for (address, link) in self.conflicts.questions_due(now) {
            effects.extend(peers.ask(link, address, None));
        }
    }

    pub(super) fn report(&mut self, conflict: Conflict, now: Moment, effects: &mut Vec<Effect>) {
        if self.conflicts.note(&conflict, now) {
            effects.push(Effect::Conflict(conflict));
        }
    }
}
