//! What happened, in words, for a person who looks for the reason.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crds::model::ids::NodeName;
use speaker::announce::desired::Desired;
use speaker::announce::table::Answer;
use speaker::engine::Effect;

use crate::node::{self, NodeId};
use crate::talk::Talk;
use crate::time::show;
use crate::world::World;

/// So much of the end is kept.
const KEPT: usize = 120;

impl World {
    /// Something of note.
    pub(crate) fn say(&mut self, text: impl FnOnce() -> String) {
        let text = text();
        if self.verbose {
            eprintln!("{} {text}", show(self.now));
        }
        if self.tale.len() == KEPT {
            self.tale.pop_front();
        }
        self.tale.push_back((self.now, text));
    }

    /// Something that matters only to those who want everything.
    pub(crate) fn say_loud(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{} {}", show(self.now), text());
        }
    }

    pub(crate) fn say_table(&mut self, id: NodeId, before: &Desired, changed: &[IpAddr]) {
        let Some(agent) = &self.nodes[id].agent else { return };
        let mut seen = BTreeSet::new();
        let changed = changed.iter().filter(|address| seen.insert(**address));
        let one = |address: &IpAddr| match agent.desired.get(address).map(|entry| &entry.answer) {
            Some(Answer::Own) => format!("{address} own"),
            Some(Answer::Deputy(macs)) => {
                let of = macs.values().next().and_then(|mac| node::owner_of(*mac));
                format!("{address} deputy of n{}", of.map_or(0, |(id, _)| id))
            }
            None if before.contains_key(address) => format!("{address} gone"),
            None => String::new(),
        };
        let words: Vec<String> = changed.take(12).map(one).collect();
        let total = agent.desired.len();
        self.say(|| format!("n{id}: table of {total}: {}", words.join(", ")));
    }

    /// Whom a node's mesh has found and lost.
    pub(crate) fn say_members(&mut self, id: NodeId, members: &BTreeSet<NodeName>) {
        let Some(agent) = &self.nodes[id].agent else { return };
        let come = members.difference(&agent.members).map(|name| format!(" +{}", name.as_str()));
        let gone = agent.members.difference(members).map(|name| format!(" -{}", name.as_str()));
        let words: String = come.chain(gone).collect();
        let total = members.len();
        self.say(|| format!("n{id}: {total} members:{words}"));
    }

    pub(crate) fn say_effect(&self, id: NodeId, effect: &Effect) {
        let text = match effect {
            Effect::Publish(_) | Effect::Members { .. } | Effect::Conflict(_) | Effect::Count => {
                return;
            }
            Effect::Transmit { link, address, .. } => {
                format!("announces {address} on {}", link.0)
            }
            Effect::Question { link, frame } => match Talk::parse(frame) {
                Some(talk) => format!(
                    "asks on {}: who has {} (from {}, to {})",
                    link.0, talk.target, talk.sender, talk.destination
                ),
                None => "asks something malformed".to_owned(),
            },
            Effect::Frame { link, to, bytes } => {
                format!("link frame on {} to {to}, {} bytes", link.0, bytes.len())
            }
            Effect::Send { to, bytes } => {
                let to = node::node_at(*to).map_or_else(|| to.to_string(), |id| format!("n{id}"));
                format!("datagram to {to}, {} bytes", bytes.len())
            }
            Effect::Renew(deadline) => format!("renews to {deadline:?}"),
            other => format!("{other:?}"),
        };
        eprintln!("{} n{id}: {text}", show(self.now));
    }
}
