//! Groups on nodes, by number, and the two kinds of moves.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crds::model::ids::NodeName;

use super::names::Names;
use super::{Group, Move, Reason};

/// Where everything is, while moves are looked for.
#[derive(Debug)]
pub(super) struct Board<'a> {
    /// In the order of their names; everything else names nodes by their place here.
    nodes: Vec<&'a NodeName>,
    /// In the order of their addresses.
    pieces: Vec<Piece>,
    /// By node: how many groups it has.
    load: Vec<usize>,
    /// By node: its groups that may move; those that moved already come first, since moving them
    /// on, or back, costs nothing.
    owned: Vec<BTreeSet<(Mark, usize)>>,
    /// By owner, and by node: how many groups could move from one to the other for spread's sake.
    reach: Vec<Vec<u32>>,
}

/// A group.
#[derive(Debug)]
struct Piece {
    id: IpAddr,
    /// Its owner at first.
    origin: usize,
    owner: usize,
    /// The best of its candidates, ascending.
    best: Vec<usize>,
    /// Those of them that may be given something, ascending.
    targets: Vec<usize>,
    is_settled: bool,
}

/// Whether a group was moved already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Moved,
    AtHome,
}

impl Piece {
    fn mark(&self) -> Mark {
        if self.owner == self.origin { Mark::AtHome } else { Mark::Moved }
    }

    fn is_at_its_best(&self) -> bool {
        self.best.binary_search(&self.owner).is_ok()
    }
}

impl<'a> Board<'a> {
    pub(super) fn new(groups: &[Group<'a>], steady: impl Fn(&NodeName) -> bool) -> Self {
        let mut names = Names::default();
        let pieces: Vec<Piece> =
            groups.iter().filter_map(|group| piece(group, &mut names)).collect();
        let (nodes, places) = names.sorted();
        let steady: Vec<bool> = nodes.iter().map(|node| steady(node)).collect();
        let count = nodes.len();
        let mut board = Self {
            nodes,
            pieces,
            load: vec![0; count],
            owned: vec![BTreeSet::new(); count],
            reach: vec![vec![0; count]; count],
        };
        for piece in &mut board.pieces {
            piece.best.iter_mut().for_each(|node| *node = places[*node]);
            piece.best.sort_unstable();
            piece.targets = piece.best.iter().copied().filter(|node| steady[*node]).collect();
            piece.origin = places[piece.origin];
            piece.owner = piece.origin;
        }
        board.pieces.sort_by_key(|piece| piece.id);
        for index in 0..board.pieces.len() {
            board.enter(index);
        }
        board
    }

    /// The largest difference between an owner and a node as good for one of its groups.
    pub(super) fn spread(&self) -> u32 {
        let differences = self.pieces.iter().filter(|piece| piece.is_at_its_best()).map(|piece| {
            let idlest = piece.best.iter().map(|node| self.load[*node]).min();
            self.load[piece.owner].saturating_sub(idlest.unwrap_or(usize::MAX))
        });
        u32::try_from(differences.max().unwrap_or_default()).unwrap_or(u32::MAX)
    }

    /// Moves every group whose owner is not one of the best.
    pub(super) fn prefer(&mut self) {
        for index in 0..self.pieces.len() {
            let piece = &self.pieces[index];
            if piece.is_settled
                && !piece.is_at_its_best()
                && let Some(to) = piece.targets.iter().copied().min_by_key(|node| self.load[*node])
            {
                self.shift(index, to);
            }
        }
    }

    /// Moves groups from the busiest to the idlest until no group's owner has two more than a node
    /// that is as good. Every move brings two loads closer together, so it ends.
    pub(super) fn level(&mut self) {
        while let Some((from, to)) = self.steepest() {
            let Some(index) = self.movable(from, to) else {
                return;
            };
            self.shift(index, to);
        }
    }

    /// The busiest node that something should leave, and the idlest that it could go to.
    fn steepest(&self) -> Option<(usize, usize)> {
        let idlest = self.load.iter().min()?;
        let mut busy: Vec<usize> =
            (0..self.nodes.len()).filter(|node| self.load[*node] >= idlest + 2).collect();
        // Stable: equals stay in the order of their names.
        busy.sort_by_key(|node| std::cmp::Reverse(self.load[*node]));
        busy.into_iter().find_map(|from| {
            let reached = (0..self.nodes.len()).filter(|to| self.reach[from][*to] > 0);
            let to = reached.min_by_key(|to| self.load[*to])?;
            (self.load[from] >= self.load[to] + 2).then_some((from, to))
        })
    }

    /// Which group of `from` goes to `to`: one that comes from there, else one that moved already,
    /// else the lowest.
    fn movable(&self, from: usize, to: usize) -> Option<usize> {
        let fits = |index: &usize| {
            let piece = &self.pieces[*index];
            piece.is_at_its_best() && piece.targets.binary_search(&to).is_ok()
        };
        let owned = || self.owned[from].iter().map(|(_, index)| *index).filter(fits);
        let moved = self.owned[from].iter().take_while(|(mark, _)| *mark == Mark::Moved);
        let mut moved = moved.map(|(_, index)| *index).filter(fits);
        moved.find(|index| self.pieces[*index].origin == to).or_else(|| owned().next())
    }

    fn shift(&mut self, index: usize, to: usize) {
        self.leave(index);
        self.pieces[index].owner = to;
        self.enter(index);
    }

    /// Counts a group as its owner's. All effects on the indexes are here and in `leave`.
    fn enter(&mut self, index: usize) {
        let piece = &self.pieces[index];
        self.load[piece.owner] += 1;
        if piece.is_settled {
            self.owned[piece.owner].insert((piece.mark(), index));
            if piece.is_at_its_best() {
                for to in piece.targets.iter().filter(|to| **to != piece.owner) {
                    self.reach[piece.owner][*to] += 1;
                }
            }
        }
    }

    fn leave(&mut self, index: usize) {
        let piece = &self.pieces[index];
        self.load[piece.owner] -= 1;
        if piece.is_settled {
            self.owned[piece.owner].remove(&(piece.mark(), index));
            if piece.is_at_its_best() {
                for to in piece.targets.iter().filter(|to| **to != piece.owner) {
                    self.reach[piece.owner][*to] -= 1;
                }
            }
        }
    }

    /// What became of it all.
    pub(super) fn moves(&self) -> Vec<Move> {
        let gone = self.pieces.iter().filter(|piece| piece.mark() == Mark::Moved);
        let mut moves: Vec<Move> = gone
            .map(|piece| Move {
                reason: match piece.best.binary_search(&piece.origin) {
                    Ok(_) => Reason::Spread,
                    Err(_) => Reason::Preference,
                },
                group: piece.id,
                from: self.nodes[piece.origin].clone(),
                to: self.nodes[piece.owner].clone(),
            })
            .collect();
        moves.sort();
        moves
    }
}

/// `group` with its best candidates, nodes as `names` counts them; `None` if its owner is none of
/// them all.
fn piece<'a>(group: &Group<'a>, names: &mut Names<'a>) -> Option<Piece> {
    group.candidates.iter().find(|candidate| candidate.node == group.owner)?;
    let merit = group.candidates.iter().map(|candidate| (candidate.served, candidate.weight));
    let most = merit.max()?;
    let candidates = group.candidates.iter();
    let best = candidates.filter(|candidate| (candidate.served, candidate.weight) == most);
    let best = best.map(|candidate| names.number(candidate.node)).collect();
    let owner = names.number(group.owner);
    let (origin, is_settled) = (owner, group.is_settled);
    Some(Piece { id: group.id, origin, owner, best, targets: Vec::new(), is_settled })
}
