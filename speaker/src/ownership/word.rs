//! What members say to one another about ownership, and its form on the wire.
//!
//! The same sealed bytes may travel by the mesh and as a link frame; whichever comes second is a
//! repetition and dropped. Postcard, a compact form of serde types; a later release only adds
//! words at the end, and what cannot be read is counted and dropped.

use crds::model::ids::NodeName;
use serde::{Deserialize, Serialize};

use super::part::{Part, size};
use crate::limits;

/// A word and who says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The sender.
    pub from: NodeName,
    /// Which of its lives.
    pub started: u64,
    /// Whom it is for; `None`: for everybody.
    pub to: Option<Whom>,
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

/// A page of which statements the sender knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Some of them.
    pub known: Vec<Entry>,
    /// The receiver is to send its own.
    pub reply: bool,
    /// Which page.
    pub page: u16,
    /// Of how many.
    pub pages: u16,
}

impl Digest {
    /// All pages; the first asks for a `reply`, if that is wanted.
    pub fn pages(known: Vec<Entry>, reply: bool) -> Vec<Self> {
        // How many entries there are, which page of how many, and whether to reply.
        let room = limits::WORD - 3 - 3 - 3 - 1;
        let mut pages = vec![Vec::new()];
        let mut left = room;
        for entry in known {
            let bytes = size(&entry);
            if bytes > left {
                pages.push(Vec::new());
                left = room;
            }
            left = left.saturating_sub(bytes);
            pages.last_mut().expect("there is one from the start").push(entry);
        }
        let count = u16::try_from(pages.len()).unwrap_or(u16::MAX);
        let page = |(page, known)| Self { known, reply: reply && page == 0, page, pages: count };
        (0..count).zip(pages).map(page).collect()
    }
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
    Digest(Digest),
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
            Word::Digest(Digest {
                known: vec![Entry { node: "n1".into(), started: 1, version: 2, gone: false }],
                reply: true,
                page: 0,
                pages: 1,
            }),
            Word::Verdict { whom, gone: true, hung_up: false },
        ] {
            let to = Some(Whom { node: "n2".into(), started: 2 });
            let letter = Letter { from: "n1".into(), started: 1, to, word };
            assert_eq!(Letter::from_bytes(&letter.to_bytes()), Some(letter));
        }
        assert_eq!(Letter::from_bytes(b"\xff\xff\xff"), None);
    }

    #[test]
    fn each_page_of_a_digest_fits_into_a_message_however_many_and_long_the_names_are() {
        for (count, letters) in [(0, 1), (1, 1), (1_000, 3), (300, 63), (50, limits::NODE_NAME)] {
            let name = |n: usize| NodeName::from(format!("{n:x<letters$}"));
            let entry =
                |n| Entry { node: name(n), started: u64::MAX, version: u64::MAX, gone: true };
            let known: Vec<Entry> = (0..count).map(entry).collect();
            let pages = Digest::pages(known.clone(), true);
            let replies = pages.iter().filter(|page| page.reply).count();
            assert_eq!(replies, 1, "one answer is enough");
            let numbers: Vec<u16> = pages.iter().map(|page| page.page).collect();
            assert!(numbers.into_iter().eq(0..pages[0].pages));
            for page in &pages {
                let longest = NodeName::from("x".repeat(limits::NODE_NAME));
                let to = Some(Whom { node: longest.clone(), started: u64::MAX });
                let word = Word::Digest(page.clone());
                let letter = Letter { from: longest, started: u64::MAX, to, word };
                let sealed = letter.to_bytes().len() + 1 + crate::mesh::seal::OVERHEAD;
                assert!(sealed <= limits::MESSAGE, "{count} of {letters} letters: {sealed} bytes");
            }
            let all: Vec<Entry> = pages.into_iter().flat_map(|page| page.known).collect();
            assert_eq!(all, known);
        }
    }
}
