//! The watch: asking the members in this one's charge, several times a second, whether they are
//! there, and finding out what is the matter when one does not answer.
//!
//! ```text
//!          answered                       vetoed, answered
//!    +------------------+           +---------------------------+
//!    v                  |           |                           |
//!  asking --miss--> asking again --miss--> doubt: ask it, its peers and the wire, for 150 ms
//!    ^    everywhere                        |            |
//!    |                              kernel answers    silence, and we are not the ones cut off
//!    |                                      v            v
//!    +---- heard again ---------------- Verdict: away   Verdict: gone
//! ```
//!
//! Each member has a few fixed watchers, so the cost does not grow with the cluster. A verdict is
//! about a node, never about an address. Suspicion costs nothing: until the verdict others answer
//! in the owner's place with the owner's MAC.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::model::ids::NodeName;

use super::life::{Life, Lives};
use crate::moment::Moment;

/// How often a member that is there is asked.
const ASK_EVERY: Duration = Duration::from_millis(125);
/// How often one that is not is asked: healing is to be noticed at once.
const ASK_MISSING_EVERY: Duration = Duration::from_millis(400);
/// An answer that takes longer counts as missed. A network takes a millisecond, a busy machine can
/// take this long; being wrong costs a few frames.
const ANSWER_WITHIN: Duration = Duration::from_millis(80);
/// This many misses in a row are a suspicion.
const MISSES: u32 = 2;
/// How long a doubt lasts before the verdict, and how far its questions are apart.
const DOUBT: Duration = Duration::from_millis(150);
const DOUBT_ROUND: Duration = Duration::from_millis(30);
/// Others must be heard this soon after it began, or it was we who were cut off.
const COMPANY_WITHIN: Duration = Duration::from_millis(90);
/// Without a witness on the wire that ever answered, only the mesh's word counts, after this.
const BLIND_DOUBT: Duration = Duration::from_secs(2);
/// After somebody else has heard the one we miss, it is not missed again for this long.
const HUSH: Duration = Duration::from_secs(1);
/// How often the kernel of a member is asked while its agent is away.
const NODE_EVERY: Duration = Duration::from_millis(200);
/// How often it is asked in health until it has answered once.
const WITNESS_EVERY: Duration = Duration::from_secs(5);

/// Something the watch wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Ask this member, on the paths known to work or on all there are.
    Ask {
        /// Whom.
        node: NodeName,
        /// To be repeated in its answer.
        nonce: u64,
        /// On all paths.
        everywhere: bool,
    },
    /// Ask the wire about this member: its kernel for its own address, and all for one of those it
    /// holds.
    Question(NodeName),
    /// Tell all that it is missed.
    Suspect {
        /// Who.
        node: NodeName,
        /// Under which number.
        nonce: u64,
    },
    /// Tell all that it was heard.
    Hears {
        /// Who.
        node: NodeName,
        /// The number of the suspicion, if there was one.
        nonce: u64,
    },
    /// Tell all what became of it.
    Verdict {
        /// Of whom.
        node: NodeName,
        /// Its node is gone, too.
        gone: bool,
    },
    /// Find out whether any host's frames still arrive.
    Count,
}

/// What the watch knows besides its own questions.
pub struct Surroundings<'a> {
    /// What is believed of the members.
    pub lives: &'a Lives,
    /// When the latest question to anybody was sent that was answered.
    pub proof: Option<Moment>,
    /// When frames of any host last arrived, as far as it was counted.
    pub frames: Option<Moment>,
    /// Whether the mesh has given a member up.
    pub mesh_lost: &'a dyn Fn(&NodeName) -> bool,
    /// Numbers that nobody can foresee.
    pub nonce: &'a mut dyn FnMut() -> u64,
}

impl Surroundings<'_> {
    /// When anybody at all was heard, if that was since then: a member that answered, by the time
    /// of the question, or any host's frame.
    fn heard_since(&self, since: Moment) -> Option<Moment> {
        self.proof.max(self.frames).filter(|heard| *heard >= since)
    }
}

/// The members in this one's charge.
#[derive(Debug, Default)]
pub struct Watch {
    charges: BTreeMap<NodeName, Charge>,
}

#[derive(Debug)]
struct Charge {
    next_ask: Moment,
    pending: BTreeMap<u64, Moment>,
    misses: u32,
    doubt: Option<Doubt>,
    hush: Moment,
    /// Whether its kernel ever answered for the node's own address.
    has_witness: bool,
    next_question: Moment,
    /// When its kernel last answered.
    testified: Option<Moment>,
    /// Its agent was last seen to answer on the wire, though it does not answer us.
    answered_on_wire: Option<Moment>,
    /// Nothing is expected of it: answers are welcome at any time, and their absence no news.
    is_missing: bool,
}

#[derive(Debug)]
struct Doubt {
    nonce: u64,
    since: Moment,
    next_round: Moment,
    is_vetoed: bool,
    /// When others were first heard since it began. If that was late, it was we who were cut off
    /// until then, and the doubt begins anew.
    company: Option<Moment>,
}

/// Whether others are heard while one is doubted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    None,
    /// Only after a while.
    Late,
    All,
}

impl Doubt {
    /// Whether others were heard from its beginning on.
    fn keeps_company(&mut self, around: &Surroundings<'_>) -> Company {
        if self.company.is_none() {
            self.company = around.heard_since(self.since);
        }
        match self.company {
            None => Company::None,
            Some(first) if first > self.since + COMPANY_WITHIN => Company::Late,
            Some(_) => Company::All,
        }
    }

    fn new(nonce: u64, now: Moment) -> Self {
        Self { nonce, since: now, next_round: now, is_vetoed: false, company: None }
    }
}

impl Watch {
    /// These are in this one's charge from now on.
    pub fn set_charges(&mut self, nodes: &BTreeSet<NodeName>, now: Moment) {
        self.charges.retain(|node, _| nodes.contains(node));
        for node in nodes {
            self.charges.entry(node.clone()).or_insert_with(|| Charge {
                next_ask: now,
                pending: BTreeMap::new(),
                misses: 0,
                doubt: None,
                hush: now,
                has_witness: false,
                next_question: now,
                testified: None,
                answered_on_wire: None,
                is_missing: false,
            });
        }
    }

    /// Who is in this one's charge.
    pub fn charges(&self) -> impl Iterator<Item = &NodeName> {
        self.charges.keys()
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.charges.values().map(Charge::next).min()
    }

    /// `node` has answered the question with this nonce; gives when that was asked, if it was.
    pub fn answered(&mut self, node: &NodeName, nonce: u64) -> Option<Moment> {
        let charge = self.charges.get_mut(node)?;
        let sent = charge.pending.remove(&nonce)?;
        charge.pending.retain(|_, asked| *asked > sent);
        charge.misses = 0;
        Some(sent)
    }

    /// Ends the doubt about `node`, if there is one; gives its number.
    pub fn settle(&mut self, node: &NodeName) -> Option<u64> {
        let charge = self.charges.get_mut(node)?;
        charge.misses = 0;
        charge.doubt.take().map(|doubt| doubt.nonce)
    }

    /// Another watcher hears `node`, which is missed here under `nonce`.
    pub fn veto(&mut self, node: &NodeName, nonce: u64) {
        let doubt = self.charges.get_mut(node).and_then(|charge| charge.doubt.as_mut());
        if let Some(doubt) = doubt.filter(|doubt| doubt.nonce == nonce) {
            doubt.is_vetoed = true;
        }
    }

    /// The kernel of `node` answered for the node's own address.
    pub fn testify(&mut self, node: &NodeName, now: Moment) {
        if let Some(charge) = self.charges.get_mut(node) {
            charge.has_witness = true;
            charge.testified = Some(now);
        }
    }

    /// The agent of `node` itself answered on the wire for an address it holds.
    pub fn seen_answering(&mut self, node: &NodeName, now: Moment) {
        if let Some(charge) = self.charges.get_mut(node) {
            charge.answered_on_wire = Some(now);
        }
    }

    /// Looks into `node` at once: there is reason to think that its agent has ended.
    pub fn doubt(&mut self, node: &NodeName, now: Moment) {
        if let Some(charge) = self.charges.get_mut(node) {
            charge.misses = MISSES;
            charge.next_ask = now;
        }
    }

    /// Asks `node` right away, on all paths.
    pub fn hurry(&mut self, node: &NodeName, now: Moment) {
        if let Some(charge) = self.charges.get_mut(node) {
            charge.next_ask = now;
        }
    }

    /// Asks, and judges, what is due.
    pub fn tick(&mut self, around: &mut Surroundings<'_>, now: Moment) -> Vec<Act> {
        let mut acts = Vec::new();
        // While one is doubted, the others are asked at once: that they answer shows that we are not
        // the ones who are cut off.
        let is_new = |charge: &Charge| {
            charge.doubt.is_none() && charge.misses >= MISSES && now >= charge.hush
        };
        if self.charges.values().any(is_new) {
            for charge in self.charges.values_mut().filter(|charge| charge.misses == 0) {
                charge.next_ask = now;
            }
        }
        for (node, charge) in &mut self.charges {
            match around.lives.of(node) {
                Life::Present | Life::Suspected(_) => charge.watch(node, around, now, &mut acts),
                Life::Away => charge.watch_node(node, around, now, &mut acts),
                Life::Gone | Life::Hidden => {
                    charge.doubt = None;
                    charge.next_question = now + WITNESS_EVERY;
                    charge.ask_missing(node, around, now, &mut acts);
                }
            }
        }
        acts
    }
}

impl Charge {
    fn next(&self) -> Moment {
        let pending = self.pending.values().min().filter(|_| !self.is_missing);
        let expiry = pending.map(|sent| *sent + ANSWER_WITHIN);
        let doubt = self.doubt.as_ref().map(|doubt| doubt.next_round);
        let first = self.next_ask.min(self.next_question);
        expiry.into_iter().chain(doubt).fold(first, Moment::min)
    }

    /// A member that should answer.
    fn watch(
        &mut self,
        node: &NodeName,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        self.is_missing = false;
        self.expire(now);
        if now >= self.next_question {
            self.next_question = now + WITNESS_EVERY;
            if !self.has_witness {
                acts.push(Act::Question(node.clone()));
            }
        }
        if self.doubt.is_some() {
            self.look_into(node, around, now, acts);
        } else if self.misses >= MISSES && now >= self.hush {
            let nonce = (around.nonce)();
            self.doubt = Some(Doubt::new(nonce, now));
            self.look_into(node, around, now, acts);
        } else if now >= self.next_ask {
            self.next_ask = now + ASK_EVERY;
            self.ask(node, self.misses > 0, around, now, acts);
        }
    }

    /// Counts the answers that did not come in time; the first is asked for again at once.
    fn expire(&mut self, now: Moment) {
        let before = self.pending.len();
        self.pending.retain(|_, sent| *sent + ANSWER_WITHIN > now);
        if self.pending.len() < before {
            self.misses = self.misses.saturating_add(1);
            self.next_ask = now;
        }
    }

    fn ask(
        &mut self,
        node: &NodeName,
        everywhere: bool,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        let nonce = (around.nonce)();
        self.pending.insert(nonce, now);
        acts.push(Act::Ask { node: node.clone(), nonce, everywhere });
    }

    fn look_into(
        &mut self,
        node: &NodeName,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        let Some(doubt) = &mut self.doubt else { return };
        if doubt.is_vetoed {
            // The others reach it: the way between us and it is broken, not the member.
            self.doubt = None;
            self.misses = 0;
            self.hush = now + HUSH;
            return;
        }
        if doubt.keeps_company(around) == Company::Late {
            *doubt = Doubt::new(doubt.nonce, now);
        }
        if now < doubt.next_round {
            return;
        }
        let (nonce, since) = (doubt.nonce, doubt.since);
        // Its kernel has said that the process ended, so the node was there a moment ago.
        let hung_up = around.lives.belief(node).is_some_and(|belief| belief.hung_up);
        let is_due = now >= since + if hung_up { 2 * DOUBT } else { DOUBT };
        doubt.next_round = now + round_after(now.since(since));
        if is_due && let Some(gone) = self.verdict(node, since, around, now) {
            self.doubt = None;
            self.misses = 0;
            self.pending.clear();
            self.next_ask = now + ASK_MISSING_EVERY;
            self.next_question = now + NODE_EVERY;
            match gone {
                Some(gone) => acts.push(Act::Verdict { node: node.clone(), gone }),
                // Only our question gets lost: it does its work.
                None => {
                    self.hush = now + HUSH;
                    acts.push(Act::Hears { node: node.clone(), nonce });
                }
            }
            return;
        }
        acts.push(Act::Suspect { node: node.clone(), nonce });
        self.ask(node, true, around, now, acts);
        acts.push(Act::Question(node.clone()));
        acts.push(Act::Count);
    }

    /// What the questions since `since` have shown: the node is gone or only its agent
    /// (`Some(Some(..))`), nothing is wrong with it (`Some(None)`), or it is too early to say.
    #[expect(clippy::option_option, reason = "a verdict, an acquittal, or none yet")]
    fn verdict(
        &self,
        node: &NodeName,
        since: Moment,
        around: &Surroundings<'_>,
        now: Moment,
    ) -> Option<Option<bool>> {
        let after = |moment: Option<Moment>| moment.is_some_and(|moment| moment >= since);
        if after(self.answered_on_wire) {
            return Some(None);
        }
        if after(self.testified) {
            return Some(Some(false));
        }
        // Whoever hears nobody may be the one that is cut off, and must conclude nothing.
        around.heard_since(since)?;
        if self.has_witness {
            return Some(Some(true));
        }
        if around.lives.belief(node).is_some_and(|belief| belief.hung_up) {
            return Some(Some(false));
        }
        (now >= since + BLIND_DOUBT && (around.mesh_lost)(node)).then_some(Some(true))
    }

    /// A member whose agent is away: it is its node that must go on answering.
    fn watch_node(
        &mut self,
        node: &NodeName,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        if let Some(doubt) = &mut self.doubt {
            let since = doubt.since;
            if doubt.keeps_company(around) == Company::Late {
                *doubt = Doubt::new(doubt.nonce, now);
            } else if self.testified.is_some_and(|at| at >= since) {
                self.doubt = None;
                self.next_question = now + NODE_EVERY;
            } else if now >= doubt.next_round {
                self.look_into_node(node, since, around, now, acts);
            }
        } else if now >= self.next_question {
            let nonce = (around.nonce)();
            let next_round = now + DOUBT_ROUND;
            self.doubt = Some(Doubt { next_round, ..Doubt::new(nonce, now) });
            acts.push(Act::Question(node.clone()));
        }
        self.ask_missing(node, around, now, acts);
    }

    fn look_into_node(
        &mut self,
        node: &NodeName,
        since: Moment,
        around: &Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        let is_due = now >= since + DOUBT;
        let has_company = around.heard_since(since).is_some();
        if is_due && self.has_witness && has_company {
            self.doubt = None;
            acts.push(Act::Verdict { node: node.clone(), gone: true });
            return;
        }
        if let Some(doubt) = &mut self.doubt {
            doubt.next_round = now + round_after(now.since(since));
        }
        acts.push(Act::Question(node.clone()));
        acts.push(Act::Count);
    }

    fn ask_missing(
        &mut self,
        node: &NodeName,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        // Late answers count here: any at all is news.
        self.pending.retain(|_, sent| *sent + 4 * ASK_MISSING_EVERY > now);
        self.misses = 0;
        self.is_missing = true;
        if now >= self.next_ask {
            self.next_ask = now + ASK_MISSING_EVERY;
            self.ask(node, true, around, now, acts);
        }
    }
}

/// When a doubt that has lasted this long asks again: one that cannot be settled, because we are cut
/// off ourselves, must not flood the link that comes back.
fn round_after(doubted: Duration) -> Duration {
    if doubted < DOUBT {
        DOUBT_ROUND
    } else if doubted < Duration::from_secs(1) {
        2 * DOUBT_ROUND
    } else {
        ASK_MISSING_EVERY
    }
}
