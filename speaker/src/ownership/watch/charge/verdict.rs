//! What is the matter with a member that is missed: the questions while it is doubted, and what
//! follows from the answers.

use std::time::Duration;

use crds::model::ids::NodeName;

use super::{ASK_MISSING_EVERY, Charge, NODE_EVERY};
use crate::moment::Moment;
use crate::ownership::watch::doubt::{Company, DOUBT, Doubt, Finding, round_after};
use crate::ownership::watch::{Act, Surroundings};

/// Without a witness on the wire that ever answered, only the mesh's word counts, after this.
const BLIND_DOUBT: Duration = Duration::from_secs(2);
/// After somebody else has heard the one we miss, it is not missed again for this long.
const HUSH: Duration = Duration::from_secs(1);
/// How long the wire alone may speak for an agent: a switch may answer from memory.
const WIRE_ALONE: Duration = Duration::from_secs(5);
/// And how long an answer there counts.
const WIRE_COUNTS_FOR: Duration = Duration::from_millis(450);

impl Charge {
    /// One that nothing but the wire speaks for is left in peace while that does, for a while.
    pub(super) fn rely_on_wire(&mut self, now: Moment) {
        if let (Some(begun), Some(answered)) = (self.wire_alone, self.answered_on_wire)
            && now < begun + WIRE_ALONE
        {
            self.hush = self.hush.max(answered + WIRE_COUNTS_FOR);
        }
    }

    /// Asks all who may know, and gives the verdict when its time has come.
    pub(super) fn look_into(
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
        if is_due && let Some(finding) = self.finding(node, since, around, now) {
            self.doubt = None;
            self.misses = 0;
            self.pending.clear();
            self.next_ask = now + ASK_MISSING_EVERY;
            self.next_question = now + NODE_EVERY;
            acts.push(match finding {
                Finding::Gone => Act::Verdict { node: node.clone(), gone: true },
                Finding::Away => Act::Verdict { node: node.clone(), gone: false },
                Finding::Innocent => {
                    self.wire_alone.get_or_insert(now);
                    Act::Hears { node: node.clone(), nonce }
                }
            });
            return;
        }
        acts.push(Act::Suspect { node: node.clone(), nonce });
        self.ask(node, true, around, now, acts);
        acts.push(Act::Question(node.clone()));
        acts.push(Act::Count);
    }

    /// What the questions since `since` have shown, unless it is too early to say.
    fn finding(
        &self,
        node: &NodeName,
        since: Moment,
        around: &Surroundings<'_>,
        now: Moment,
    ) -> Option<Finding> {
        let after = |moment: Option<Moment>| moment.is_some_and(|moment| moment >= since);
        // What answers for one whose process has ended, by its kernel's word, or that has always
        // spoken by frames and does not any more, is a switch, from memory.
        let hung_up = around.lives.belief(node).is_some_and(|belief| belief.hung_up);
        let is_enough = !(around.spoke_by_frame)(node)
            && self.wire_alone.is_none_or(|begun| now < begun + WIRE_ALONE);
        if after(self.answered_on_wire) && !hung_up && is_enough {
            return Some(Finding::Innocent);
        }
        if after(self.testified) {
            return Some(Finding::Away);
        }
        // Whoever hears nobody may be the one that is cut off, and must conclude nothing.
        around.heard_since(since)?;
        if self.has_witness {
            return Some(Finding::Gone);
        }
        if hung_up {
            return Some(Finding::Away);
        }
        (now >= since + BLIND_DOUBT && (around.mesh_lost)(node)).then_some(Finding::Gone)
    }
}
