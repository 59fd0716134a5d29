//! A member that is not expected to answer: its node, while its agent is away, and its return.

use std::time::Duration;

use crds::model::ids::NodeName;

use super::{ASK_MISSING_EVERY, Charge, NODE_EVERY, WITNESS_EVERY};
use crate::moment::Moment;
use crate::ownership::watch::doubt::{Company, DOUBT, Doubt, round_after};
use crate::ownership::watch::{Act, Surroundings};

impl Charge {
    /// A member whose agent is away: it is its node that must go on answering.
    pub(in crate::ownership::watch) fn watch_node(
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
            let next_round = now + round_after(Duration::ZERO);
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

    /// A member that nothing is expected of.
    pub(in crate::ownership::watch) fn watch_missing(
        &mut self,
        node: &NodeName,
        around: &mut Surroundings<'_>,
        now: Moment,
        acts: &mut Vec<Act>,
    ) {
        self.doubt = None;
        self.next_question = now + WITNESS_EVERY;
        self.ask_missing(node, around, now, acts);
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
