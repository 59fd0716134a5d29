//! The third witness: whoever sees no other member at all, though its link works, asks by way of the
//! API whether they are there. One that answers a knock works, and something keeps us apart.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::model::ids::NodeName;
use rand::Rng as _;

use super::super::effect::Effect;
use super::Peers;
use crate::facts::SpeakerFacts;
use crate::moment::Moment;
use crate::ownership::life::Life;

/// How often those who are silent are knocked at, and how many of them at a time, in turn: every
/// knock is a write, and everybody may be knocking.
const KNOCK_EVERY: Duration = Duration::from_secs(5);
/// The same while some were never knocked at.
const FIRST_EVERY: Duration = Duration::from_secs(1);
const AT_A_TIME: usize = 5;
/// One that has answered is asked again this rarely.
const AGAIN: Duration = Duration::from_secs(30);
/// And given up if it does not answer any more for so long.
const PATIENCE: Duration = Duration::from_secs(90);

/// The knocks under way.
#[derive(Debug, Default)]
pub(super) struct Knocks {
    out: BTreeMap<NodeName, Knock>,
    next: Option<Moment>,
    last: Option<Moment>,
}

#[derive(Debug)]
struct Knock {
    nonce: String,
    knocked: Moment,
    echoed: Option<Moment>,
}

impl Knocks {
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.next
    }

    /// Those who have echoed the knock that is out for them, each told once.
    pub(super) fn echoed(
        &mut self,
        all: &BTreeMap<NodeName, SpeakerFacts>,
        now: Moment,
    ) -> impl Iterator<Item = NodeName> {
        let mut answered = Vec::new();
        for (node, knock) in &mut self.out {
            let echo = all.get(node).and_then(|facts| facts.echo.as_ref());
            if echo == Some(&knock.nonce) {
                knock.echoed = Some(now);
                answered.push(node.clone());
            }
        }
        answered.into_iter()
    }
}

impl Peers {
    /// Knocks at those who are silent, if nobody at all is heard.
    pub(super) fn knock(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let silent: Vec<(NodeName, Life)> = self
            .lives
            .iter()
            .filter(|(_, life)| matches!(life, Life::Gone | Life::Hidden))
            .map(|(node, life)| (node.clone(), life))
            .collect();
        if silent.is_empty() || !self.is_alone(now) {
            self.knocks.out.clear();
            self.knocks.next = None;
            return;
        }
        let is_new = silent.iter().any(|(node, _)| !self.knocks.out.contains_key(node));
        let every = if is_new { FIRST_EVERY } else { KNOCK_EVERY };
        self.knocks.next = Some(self.knocks.last.map_or(now, |last| last + every));
        if self.knocks.next > Some(now) {
            return;
        }
        self.knocks.last = Some(now);
        self.knocks.next = Some(now + FIRST_EVERY);
        let knocked = |node: &NodeName| self.knocks.out.get(node).map(|knock| knock.knocked);
        let is_due = |(node, life): &&(NodeName, Life)| {
            let pause = if *life == Life::Hidden { AGAIN } else { KNOCK_EVERY };
            knocked(node).is_none_or(|at| now.since(at) >= pause)
        };
        let mut due: Vec<(NodeName, Life)> = silent.iter().filter(is_due).cloned().collect();
        // Those first who hold something, since that is what is at stake.
        due.sort_by_key(|(node, _)| (self.book.load(node) == 0, knocked(node)));
        due.truncate(AT_A_TIME);
        for (node, life) in due {
            let before = self.knocks.out.get(&node).and_then(|knock| knock.echoed);
            let is_lost = before.is_none_or(|echoed| now.since(echoed) > PATIENCE);
            if life == Life::Hidden && is_lost {
                self.believe(&node, Life::Gone, now);
            }
            let nonce = format!("{:016x}", self.nonces.next_u64());
            effects.push(Effect::Knock { node: node.clone(), nonce: nonce.clone() });
            self.knocks.out.insert(node, Knock { nonce, knocked: now, echoed: before });
        }
    }
}
