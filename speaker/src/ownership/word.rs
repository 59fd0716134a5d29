//! What members say to one another about ownership, and its form on the wire.
//!
//! The same sealed bytes may travel by the mesh and as a link frame; whichever comes second is a
//! repetition and dropped. Postcard, a compact form of serde types; a later release only adds
//! words at the end, and what cannot be read is counted and dropped.

use crds::model::ids::NodeName;
use serde::{Deserialize, Serialize};

use super::statement::Part;

/// A word and who says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The sender.
    pub from: NodeName,
    /// Which of its lives.
    pub started: u64,
    /// What it says.
    pub word: Word,
}

/// Who is meant: a life of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whom {
    /// On which node.
    pub node: NodeName,
    /// Which of its lives.
    pub started: u64,
}

/// A statement that somebody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Whose.
    pub node: NodeName,
    /// Of which life.
    pub started: u64,
    /// Which version.
    pub version: u64,
    /// Whether that member is gone, as far as the sender knows: for one who has just come and has
    /// not seen it go.
    pub gone: bool,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// Are you there? `version` is that of the sender's own statement.
    Ask {
        /// To be repeated in the answer: proves that it is no old one.
        nonce: u64,
        /// Of the sender's statement.
        version: u64,
        /// For so many milliseconds the sender has taken the receiver for gone.
        missed: u64,
    },
    /// I am.
    Answer {
        /// That of the question.
        nonce: u64,
        /// Of the sender's statement.
        version: u64,
    },
    /// A piece of a statement: the sender's, or one that it was asked for.
    Part(Part),
    /// Send me all you know of this member.
    Want(NodeName),
    /// Which statements the sender knows.
    Digest {
        /// All of them.
        known: Vec<Entry>,
        /// The receiver is to send its own.
        reply: bool,
    },
    /// The sender watches this one and misses its answers.
    Suspect {
        /// Who is missed.
        whom: Whom,
        /// To be repeated by those who hear it.
        nonce: u64,
    },
    /// The sender has just heard this one.
    Hears {
        /// Who was heard.
        whom: Whom,
        /// That of the suspicion; zero for news without one.
        nonce: u64,
        /// The version of its statement.
        version: u64,
    },
    /// The sender has asked the wire about this one.
    Verdict {
        /// About whom.
        whom: Whom,
        /// The node is gone; otherwise it lives, and only its agent is away.
        gone: bool,
        /// Its kernel has said that the process ended.
        hung_up: bool,
    },
    /// The sender answers in the place of the receiver, which is leaving, as of this version of its
    /// statement.
    Deputised(u64),
    /// The sender is on this link; with the version of its statement.
    Hello {
        /// Of the sender's statement.
        version: u64,
    },
}

impl Letter {
    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Fails only for types that serde cannot describe, which these are not.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_survives_the_way() {
        let whom = Whom { node: "n2".into(), started: 9 };
        for word in [
            Word::Ask { nonce: u64::MAX, version: 3, missed: 0 },
            Word::Digest {
                known: vec![Entry { node: "n1".into(), started: 1, version: 2, gone: false }],
                reply: true,
            },
            Word::Verdict { whom, gone: true, hung_up: false },
        ] {
            let letter = Letter { from: "n1".into(), started: 1, word };
            assert_eq!(Letter::from_bytes(&letter.to_bytes()), Some(letter));
        }
        assert_eq!(Letter::from_bytes(b"\xff\xff\xff"), None);
    }
}
