//! What is promised, and which faults suspend which promise for how long. The numbers are those of
//! section 4 of `ownership.md`.
//!
//! The *context* of something is every fault that was in force while it lasted or had ended less
//! than [`LINGER`] before; faults that excuse nothing (`is_background`) do not count. With an empty
//! context nothing may move, fall silent or be answered twice. With one fault in it, that fault's
//! own bounds hold. With several, an address may be silent until [`LINGER`] after the last of them;
//! nothing may be answered twice, and nothing may move, but what one of them allows to.

use std::net::IpAddr;

use crate::fault::{Episode, Fault, LINGER};
use crate::judge::Watch;
use crate::node::{self, NodeId};
use crate::services;
use crate::time::{At, MS, SEC, show};
use crate::world::{Violation, World};

mod moves;

/// Everything is served so long after all began.
const BEGINNING: At = 7 * SEC;
/// I1: a planned move's overlap.
const OVERLAP: At = 100 * MS;
/// I1: the return after a cut or a loss of carrier of this length shows no second MAC: whoever was in
/// touch with nobody for 600 ms has fallen silent.
const CLEAN: At = 700 * MS;
/// Of two nodes one that was away for less than this may take its addresses back.
const UNDECIDED: At = 2 * SEC;
/// I1: after a heal or a wake-up, and where a fifth of all frames or more is lost.
const HEALING: At = SEC;
/// I2: two asks 10 ms apart, both unanswered, take at least that.
const BLINK: At = 10 * MS;
/// I2 for one case; the median and the 99th percentile are judged over all runs.
const DEATH: At = 1_500 * MS;
/// I2 for one case of a node whose kernel never answered for the node's own addresses: there is no
/// witness of its death, and the mesh must have given it up, which losses delay.
const UNWITNESSED: At = 5 * SEC;
/// I2 for one case of an agent that was killed.
const KILLED: At = 500 * MS;
/// A foreign host that has gone is noticed when the address is next asked for.
const RELEASE: At = 12 * SEC;
/// A new address is probed for before it is answered.
const CREATION: At = 3 * SEC;
/// One that was given up since nobody could serve it is taken again after this.
const SUCCESSION: At = 400 * MS;
/// What two machines may differ in by the way of a frame between them.
const AT_ONCE: At = MS;

impl World {
    /// A promise was broken; the first one counts.
    pub(crate) fn broken(&mut self, invariant: &'static str, text: String) {
        if self.violation.is_none() {
            self.say(|| format!("BROKEN {invariant}: {text}"));
            self.violation = Some(Violation { at: self.now, invariant, text });
        }
    }

    /// The faults that may be the reason for something that lasts since `since`.
    pub(crate) fn context(&self, since: At) -> impl Iterator<Item = &Episode> + Clone {
        let now = self.now;
        let touching = move |episode: &Episode| episode.touches(since, now);
        // What was in force at the same time as one of these may have its end delayed by it.
        let beside = move |one: &Episode| {
            let mut others = self.episodes.values().filter(|other| touching(other));
            others.any(|other| {
                !other.fault.is_background() && one.begin < since && one.touches(other.begin, since)
            })
        };
        let relevant = move |episode: &&Episode| touching(episode) || beside(episode);
        self.episodes.values().filter(relevant).filter(|episode| !episode.fault.is_background())
    }

    /// I2.
    pub(crate) fn judge_gap(&mut self, client: usize, address: IpAddr, watch: &Watch, over: bool) {
        let Some((since, counted)) = watch.gap else { return };
        let exempt = self.now < BEGINNING || self.is_unpromised(address);
        if exempt {
            return;
        }
        let context: Vec<&Episode> = self.context(since).collect();
        let limit = match context[..] {
            [] => Some(BLINK),
            [only] => self.gap_limit(address, watch, only),
            _ => None,
        };
        let mut counted = counted.max(if since < BEGINNING { BEGINNING - BLINK } else { 0 });
        let limit = limit.unwrap_or_else(|| {
            // Nothing is promised while that lasts; some time after it the address is there again.
            let ends = context.iter().map(|it| it.end.map_or(self.now, |end| end + LINGER));
            counted = counted.max(ends.max().unwrap_or(0));
            BLINK
        });
        let lasted = self.now - counted.min(self.now);
        if lasted > limit && (over || self.has_candidate(client, address)) {
            let (from, for_ms) = (show(since), (self.now - since) / MS);
            let bound = limit / MS;
            let text = format!(
                "{address} unanswered to client {client} since {from}, for {for_ms} ms of {bound}"
            );
            self.broken("I2", text);
        }
    }

    /// A foreign host has the address, or had it a moment ago: it is asked for again now and then.
    pub(crate) fn is_unpromised(&self, address: IpAddr) -> bool {
        let taken = self.judge.taken.get(&address);
        taken.is_some_and(|freed| {
            freed.is_none_or(|freed| freed + RELEASE > self.now) || self.is_remembered(address)
        })
    }

    /// Whether a switch goes on answering for one that has gone, in its place: the address is in use
    /// as far as anybody can tell.
    fn is_remembered(&self, address: IpAddr) -> bool {
        let group = self.truth.group_of(address);
        let known = self.switches.iter().filter_map(|switch| switch.suppress.as_ref());
        let mut known = known.flatten().filter(|(address, _)| group.contains(address));
        known.any(|(_, mac)| node::owner_of(*mac).is_none())
    }

    /// I8: `address` is answered or announced by these nodes.
    pub(crate) fn judge_taken(&mut self, address: IpAddr, how: &str, by: &[NodeId]) {
        if self.judge.taken.get(&address) != Some(&None) {
            return;
        }
        let mut context = self.context(self.now);
        // Who could not hear the foreign host could not know; and has served since.
        let is_deaf = |id: NodeId| by.contains(&id);
        if context.any(|it| it.fault.deafens() || it.fault.bereaves().is_some_and(is_deaf)) {
            drop(context);
            self.judge.taken.remove(&address);
            return;
        }
        drop(context);
        self.broken("I8", format!("{address} is {how}, and a foreign host had it first"));
    }

    fn gap_limit(&self, address: IpAddr, watch: &Watch, only: &Episode) -> Option<At> {
        let victims =
            |id: NodeId| watch.learned.and_then(node::owner_of).is_some_and(|o| o.0 == id);
        let fault = &only.fault;
        match fault {
            Fault::Flap(id, _) => victims(*id).then_some(3 * SEC).or(Some(BLINK)),
            Fault::Kill(id) | Fault::ClockJump(id, _) if victims(*id) => Some(KILLED),
            Fault::Hang(id) if victims(*id) => Some(DEATH),
            // Of two, neither can tell that it is the other that is cut off without a witness.
            _ if (self.is_a_quiet_pair() || (self.blind_witness && self.nodes.len() == 2))
                && fault.bereaves().is_some() =>
            {
                None
            }
            Fault::RestartAll => None,
            Fault::Create if self.concerns(only, address) => Some(CREATION),
            // For a moment nobody may have had an endpoint, by what the owner knew.
            Fault::Endpoints(_) if self.concerns(only, address) => Some(SUCCESSION),
            Fault::ForeignBefore | Fault::Program(_) if self.concerns(only, address) => None,
            _ if fault.deafens() => None,
            _ if fault.bereaves().is_some_and(victims) => {
                let is_mute = |id: NodeId| self.nodes[id].arp_ignore;
                Some(if fault.bereaves().is_some_and(is_mute) { UNWITNESSED } else { DEATH })
            }
            _ => Some(BLINK),
        }
    }

    /// I1 and I7.
    pub(crate) fn judge_overlap(&mut self, which: &'static str, address: IpAddr, watch: &Watch) {
        let Some(since) = watch.overlap else { return };
        let now = self.now;
        let context: Vec<&Episode> = self.context(since).collect();
        let involved = |id: NodeId| {
            let of = |mac| node::owner_of(mac).is_some_and(|(owner, _)| owner == id);
            watch.among.iter().any(|(speaker, mac)| *speaker == id || of(*mac))
        };
        // Where claims are lost as well, they take some repetitions to arrive.
        let is_lossy = context.iter().any(|it| it.fault.deafens() && !it.fault.blinds());
        let mut limit = if is_lossy { HEALING } else { OVERLAP };
        let mut excused_until = 0;
        for episode in &context {
            let fault = &episode.fault;
            let lasted = episode.end.map(|end| end - episode.begin);
            // One that was away for less is back before it knows that it was away: it has not
            // fallen silent by itself, and for a moment both answer, as after any heal.
            // And one that was alone before goes on.
            let alone = |other: &Episode| {
                let end = episode.end.unwrap_or(now);
                other.fault.blinds()
                    && other.begin < end
                    && other.end.is_none_or(|at| at > episode.begin)
            };
            let clean = context.len() == 1
                && !self.episodes.values().any(alone)
                && !matches!(fault, Fault::Flap(..) | Fault::Pause(_))
                && lasted.is_some_and(|lasted| lasted >= CLEAN);
            // A move that was ordered meanwhile is none of its doing.
            let ordered = watch.among.iter().any(|(_, mac)| self.is_ordered(address, *mac));
            if fault.bereaves().is_some_and(involved) && clean && !ordered {
                // Its return shows no second MAC.
                limit = AT_ONCE;
            } else if fault.blinds()
                || self.leaves_no_words(fault, since)
                || (fault.bereaves().is_some_and(involved) && !clean)
            {
                excused_until = excused_until.max(episode.end.map_or(now, |end| end + HEALING));
            } else if matches!(fault, Fault::Share(..)) {
                // Two groups become one as soon as the agents of both owners are there.
                let mut others = context.iter().filter(|other| other.fault.halts_agents());
                let ends = others.try_fold(episode.begin, |end, it| it.end.map(|at| end.max(at)));
                excused_until = excused_until.max(ends.map_or(now, |end| end + HEALING));
            }
        }
        if excused_until >= now {
            return;
        }
        let lasted = now - since.max(excused_until);
        if lasted > limit {
            let who: Vec<String> =
                watch.among.iter().map(|(id, mac)| format!("n{id} {mac}")).collect();
            let who = who.join(", ");
            let (for_ms, bound) = (lasted / MS, limit / MS);
            let text = format!("{address} answered by {who} for {for_ms} ms of {bound}");
            self.broken(which, text);
        }
    }

    /// Whether frames are blocked everywhere while this blocks the mesh: then only ARP is left, and
    /// claims cannot be compared.
    fn leaves_no_words(&self, fault: &Fault, since: At) -> bool {
        let no_frames = |it: &Episode| it.fault == Fault::NoFrames && it.touches(since, self.now);
        matches!(fault, Fault::MeshCut(_) | Fault::NoMesh) && self.episodes.values().any(no_frames)
    }

    /// Whether a change to Services is about `address`.
    fn concerns(&self, episode: &Episode, address: IpAddr) -> bool {
        let numbers = match &episode.fault {
            Fault::Share(one, other) => vec![*one, *other],
            _ => episode.service.into_iter().collect(),
        };
        numbers.into_iter().any(|number| {
            let group = self.truth.group(&services::key(number));
            services::ip(number) == address || group.contains(&address)
        })
    }

    /// Whether a client learned of `address` from an agent that has ended since, perhaps while it was
    /// cut off: nobody can know what it claimed there. A real neighbour cache finds out by itself,
    /// within a minute: its entries age.
    fn is_forgotten(&self, client: usize, address: IpAddr) -> bool {
        let Some((mac, learned)) = self.caches[client].get(&address) else { return false };
        let agent = node::owner_of(*mac).map(|(id, _)| self.nodes[id].agent.as_ref());
        agent.is_some_and(|agent| agent.is_none_or(|agent| agent.since > *learned))
    }

    /// With nothing in the context, not even what excuses nothing: all is well everywhere.
    pub(crate) fn converged(&mut self) {
        let touched = self.episodes.values().any(|episode| episode.touches(self.now, self.now));
        if touched || self.now < BEGINNING + LINGER / 4 {
            return;
        }
        let wanted = self.truth.addresses();
        let mut odd = None;
        for ((client, address), watch) in &self.judge.watches {
            let expected = wanted.contains(address) && !self.is_unpromised(*address);
            let cached = self.caches[*client].get(address).map(|(mac, _)| *mac);
            if expected
                && !self.is_forgotten(*client, *address)
                && self.has_candidate(*client, *address)
                && watch.macs.len() == 1
                && cached != watch.learned
            {
                odd = Some(format!(
                    "client {client} has {cached:?} for {address}, not {:?}",
                    watch.learned
                ));
            }
        }
        let alive: std::collections::BTreeSet<_> =
            self.nodes.iter().filter(|n| n.agent.is_some()).map(|n| n.name.clone()).collect();
        for node in &self.nodes {
            let Some(agent) = &node.agent else { continue };
            let odd_view = agent.members != alive && alive.len() > 1;
            if odd_view && agent.since + LINGER < self.now {
                odd = Some(format!("{} sees {:?}", node.name, agent.members));
            }
        }
        if let Some(text) = odd {
            self.broken("convergence", text);
        }
    }
}
