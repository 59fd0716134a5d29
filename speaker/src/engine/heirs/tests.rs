use std::collections::BTreeSet;
use std::net::SocketAddr;

use crds::model::group::stable_hash;

use super::*;
use crate::ownership::claim::{Held, Rank};
use crate::ownership::statement::{Head, Phase, Statement};

fn address(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

fn group(n: u8) -> Group {
    Group { addresses: [address(n)].into(), services: BTreeSet::new(), hash: stable_hash(&[n]) }
}

fn statement(node: &str, holds: impl IntoIterator<Item = u8>) -> Statement {
    let head = Head {
        node: node.into(),
        started: 1,
        addr: SocketAddr::from(([192, 0, 2, 250], 7946)),
        phase: Phase::Ready,
        links: Vec::new(),
        whole: true,
    };
    let firm = Held { rank: Rank::Firm, counter: 1, offer: None };
    let holdings = holds.into_iter().map(|n| (address(n), firm.clone()));
    Statement { head, version: 1, holdings: holdings.collect() }
}

/// The book of `me`, with what everybody says.
fn book(me: &str, all: &[Statement]) -> Book {
    let (mine, others): (Vec<_>, Vec<_>) =
        all.iter().cloned().partition(|it| it.head.node == me.into());
    let mut book = Book::new(mine[0].head.clone());
    for (address, held) in mine[0].holdings.clone() {
        book.hold(address, Some(held));
    }
    for part in others.iter().flat_map(Statement::parts) {
        book.take(part);
    }
    book
}

fn candidates<'a>(nodes: &'a [NodeName], group: &Group) -> Vec<Candidate<'a>> {
    let candidate = |node: &'a NodeName| {
        let lot = stable_hash(format!("{node}{}", group.hash).as_bytes());
        Candidate { node, served: 1, weight: 0, lot }
    };
    nodes.iter().map(candidate).collect()
}

fn survivors() -> [NodeName; 3] {
    ["n2", "n3", "n4"].map(NodeName::from)
}

/// Who inherits each of the groups that `n1` had.
fn inherited(heirs: &mut Heirs, book: &Book, groups: impl Iterator<Item = u8>) -> Vec<NodeName> {
    let (nodes, lost) = (survivors(), NodeName::from("n1"));
    let heir = |n| {
        let group = group(n);
        heirs.choose(&group, &candidates(&nodes, &group), Some(&lost), book).unwrap()
    };
    groups.map(heir).collect()
}

fn share(heirs: &[NodeName], node: &str) -> usize {
    heirs.iter().filter(|heir| **heir == node.into()).count()
}

/// `n1` is lost, with the addresses 1 to 30; the others hold as many of those above as given.
fn all(loads: [u8; 3]) -> Vec<Statement> {
    let mut next = 31;
    let mut all = vec![statement("n1", 1..=30)];
    for (node, load) in ["n2", "n3", "n4"].into_iter().zip(loads) {
        all.push(statement(node, next..next + load));
        next += load;
    }
    all
}

#[test]
fn what_a_lost_member_had_makes_the_others_even() {
    for (loads, shares) in
        [([10, 10, 10], [10, 10, 10]), ([16, 10, 10], [6, 12, 12]), ([0, 40, 0], [15, 0, 15])]
    {
        let book = book("n2", &all(loads));
        let heirs = inherited(&mut Heirs::default(), &book, 1..=30);
        assert_eq!(["n2", "n3", "n4"].map(|node| share(&heirs, node)), shares, "{loads:?}");
    }
}

#[test]
fn every_member_chooses_the_same() {
    let all = all([3, 7, 5]);
    let chosen =
        ["n2", "n3", "n4"].map(|me| inherited(&mut Heirs::default(), &book(me, &all), 1..=30));
    assert_eq!(chosen[0], chosen[1]);
    assert_eq!(chosen[0], chosen[2]);
}

#[test]
fn a_claim_that_comes_in_between_changes_no_other_choice() {
    let statements = all([3, 7, 5]);
    let mut heirs = Heirs::default();
    let mut book = book("n3", &statements);
    let before = inherited(&mut heirs, &book, 1..=30);
    // `n2` has claimed what it inherits of the first half.
    let taken: Vec<u8> = (1..=15).filter(|n| before[usize::from(*n) - 1] == "n2".into()).collect();
    let had = statements[1].holdings.len();
    let mut grown = statement("n2", taken.iter().copied());
    grown.holdings.extend(statements[1].holdings.clone());
    grown.version = 2;
    assert!(grown.holdings.len() > had);
    for part in grown.parts() {
        book.take(part);
    }
    for n in &taken {
        heirs.forget(&address(*n));
    }
    assert_eq!(inherited(&mut heirs, &book, 16..=30), before[15..]);
}

#[test]
fn an_heir_that_cannot_any_more_is_succeeded() {
    let book = book("n2", &all([5, 5, 5]));
    let (group, lost, nodes) = (group(1), NodeName::from("n1"), survivors());
    let mut heirs = Heirs::default();
    let all = candidates(&nodes, &group);
    let first = heirs.choose(&group, &all, Some(&lost), &book).unwrap();
    let rest: Vec<_> = all.into_iter().filter(|it| *it.node != first).collect();
    let second = heirs.choose(&group, &rest, Some(&lost), &book).unwrap();
    assert_ne!(first, second);
    assert_eq!(heirs.choose(&group, &candidates(&nodes, &group), Some(&lost), &book), Some(second));
}

#[test]
fn what_users_prefer_goes_before_an_even_spread_and_new_groups_go_by_lot() {
    let book = book("n2", &all([0, 40, 0]));
    let (lost, nodes) = (NodeName::from("n1"), survivors());
    for n in 1..=30 {
        let group = group(n);
        let mut all = candidates(&nodes, &group);
        let best = all.iter().max_by_key(|it| it.lot).unwrap().node.clone();
        assert_eq!(Heirs::default().choose(&group, &all, None, &book), Some(best));
        all[1].weight = 1;
        let heir = Heirs::default().choose(&group, &all, Some(&lost), &book);
        assert_eq!(heir, Some("n3".into()), "preferred, whatever it has");
    }
}
