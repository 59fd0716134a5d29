//! A neighbour of the engine under test: it says, sealed, what a test has it say.

use std::net::SocketAddr;

use crds::model::ids::{MacAddr, NodeName};

use super::Effect;
use crate::mesh::seal::SecretKey;
use crate::mesh::{Identity, Member, Mesh};
use crate::moment::Moment;
use crate::ownership::claim::Held;
use crate::ownership::statement::{Head, LinkWord, Phase, Statement};
use crate::ownership::word::{Letter, Whom, Word};

/// Speaker `n`, on node `n<n>`.
pub(super) fn identity(n: u8) -> Identity {
    let addr = SocketAddr::from(([192, 0, 2, 100 + n], 7946));
    let member = Member { node: format!("n{n}").as_str().into(), addr, started: 1, renewals: 0 };
    Identity { member, instance: [n; 16], keys: SecretKey::derive(b"secret").into(), seed: 1 }
}

pub(super) struct Neighbour {
    mesh: Mesh,
    statement: Statement,
}

impl Neighbour {
    pub(super) fn new(n: u8) -> Self {
        let identity = identity(n);
        let Member { node, addr, started, .. } = identity.member.clone();
        let (phase, links, whole) = (Phase::Ready, Vec::new(), true);
        let head = Head { node, started, addr, phase, links, whole };
        let statement = Statement { head, version: 0, holdings: [].into() };
        Self { mesh: Mesh::new(identity, Moment::START), statement }
    }

    pub(super) const fn node(&self) -> &NodeName {
        &self.statement.head.node
    }

    /// It has a link for each of these MACs, called `eth0`, `eth1` and so on.
    pub(super) fn links(&mut self, macs: &[MacAddr]) {
        let link = |(at, mac): (usize, &MacAddr)| LinkWord {
            name: format!("eth{at}"),
            mac: *mac,
            addresses: Vec::new(),
        };
        self.statement.head.links = macs.iter().enumerate().map(link).collect();
    }

    /// It holds this and nothing else.
    pub(super) fn holds(&mut self, holdings: impl IntoIterator<Item = (std::net::IpAddr, Held)>) {
        self.statement.holdings = holdings.into_iter().collect();
    }

    /// What it says of itself, as new.
    pub(super) fn statement(&mut self) -> Vec<Vec<u8>> {
        self.statement.version += 1;
        let parts = self.statement.parts().into_iter().map(Word::Part);
        parts.map(|word| self.say(word)).collect()
    }

    /// What of all this is a letter to it.
    pub(super) fn heard(&mut self, effects: Vec<Effect>) -> Vec<Word> {
        let bytes = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { bytes, .. } | Effect::Frame { bytes, .. } => Some(bytes),
            _ => None,
        });
        let letters = bytes.filter_map(|bytes| self.mesh.receive(&bytes, Moment::START).letter);
        letters.map(|letter| letter.word).collect()
    }

    /// Says it to everybody.
    pub(super) fn say(&mut self, word: Word) -> Vec<u8> {
        self.say_to(None, word)
    }

    /// Says it to this one.
    pub(super) fn say_to(&mut self, to: Option<Whom>, word: Word) -> Vec<u8> {
        let Head { node, started, .. } = &self.statement.head;
        self.mesh.seal(&Letter { from: node.clone(), started: *started, to, word })
    }
}
