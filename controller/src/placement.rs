//! Which group should change its owner: few do, and none without need.
//!
//! Speakers give a group that has no owner to a candidate by themselves, and an owner that lives
//! keeps what it has. So after nodes came and went some announce more than others, or another than
//! the preferred node does. [`place`] says which groups to move so that this is mended:
//!
//! 1. *Preference*: a group whose owner is not among the best of its candidates goes to the one of
//!    them that has the fewest.
//! 2. *Spread*: while one owner has at least two groups more than a node that is as good for one of
//!    its groups, that group moves there. Busiest nodes give first, and idlest take first, so that
//!    where all groups have the same candidates, no smaller set of moves would do.
//!
//! It looks at what it is given and at nothing else; the same input, in any order, gives the same
//! moves.

use std::net::IpAddr;

use crds::model::ids::NodeName;

mod board;
mod names;

use board::Board;

/// A group that has an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// Its lowest address, by which it goes.
    pub id: IpAddr,
    /// The node that announces it.
    pub owner: &'a NodeName,
    /// Whether it may be moved now. One that may not still counts as its owner's.
    pub is_settled: bool,
    /// The nodes that may announce it, in any order.
    pub candidates: Vec<Candidate<'a>>,
}

/// A node that may announce a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Which.
    pub node: &'a NodeName,
    /// How many of the group's Services it can serve; more is better than anything.
    pub served: u32,
    /// The sum of its preference weights; more is better.
    pub weight: u32,
}

/// A change of owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// Why.
    pub reason: Reason,
    /// Which group, by its lowest address.
    pub group: IpAddr,
    /// Its owner.
    pub from: NodeName,
    /// Its owner-to-be.
    pub to: NodeName,
}

/// Why a group moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its owner is not one of the best.
    Preference,
    /// Its owner has more than others.
    Spread,
}

impl Reason {
    /// A short fixed word for metric labels and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Preference => "preference",
            Self::Spread => "spread",
        }
    }
}

/// What is to be done, and how things stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// The moves, those for preference first, each by group.
    pub moves: Vec<Move>,
    /// How many groups the busiest owner has more than the idlest node that could have one of them,
    /// before any of the moves; the largest such difference.
    pub spread: u32,
}

/// The moves that would make the owners of `groups` preferred and even, none of them to a node that
/// is not `steady`; such a node keeps what it has, and may give.
///
/// A group whose owner is none of its candidates is left alone, and counts for nobody: its owner is
/// about to lose it without any order. No group appears twice in `groups`.
pub fn place(groups: &[Group<'_>], steady: impl Fn(&NodeName) -> bool) -> Placement {
    let mut board = Board::new(groups, steady);
    let spread = board.spread();
    board.prefer();
    board.level();
    Placement { moves: board.moves(), spread }
}

#[cfg(test)]
mod tests;
