use std::net::Ipv4Addr;

use super::super::claim::Rank;
use super::*;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));

fn head(node: &str, started: u64, phase: Phase) -> Head {
    let addr = "192.0.2.1:7946".parse().unwrap();
    Head { node: node.into(), started, addr, phase, links: Vec::new(), whole: true }
}

fn statement(started: u64, version: u64, phase: Phase, holds: bool) -> Part {
    let held = Held { rank: Rank::Firm, counter: 1, offer: None };
    let holdings = holds.then_some((ADDRESS, held)).into_iter().collect();
    Statement { head: head("n3", started, phase), version, holdings }.parts().remove(0)
}

fn holders(book: &Book) -> usize {
    book.claims(&ADDRESS).count()
}

#[test]
fn the_last_words_of_a_former_life_are_wanted_and_taken_while_the_next_one_starts() {
    let node: NodeName = "n3".into();
    let mut book = Book::new(head("n5", 1, Phase::Ready));
    assert!(book.take(statement(10, 4, Phase::Ready, false)).is_newer);
    assert!(book.take(statement(20, 1, Phase::Starting, false)).is_newer);
    assert!(!book.is_behind(&node, 20, 1) && book.is_behind(&node, 20, 2));
    assert!(!book.is_behind(&node, 10, 4));
    // It had claimed something that was never heard of here.
    assert!(book.is_behind(&node, 10, 5));
    let news = book.take(statement(10, 5, Phase::Ready, true));
    assert!(news.is_newer && news.addresses.contains(&ADDRESS));
    assert_eq!(holders(&book), 1);
    assert_eq!(book.head(&node).map(|head| head.started), Some(20), "it is reached as it is now");
    // What the new life says once it has begun counts instead, and nothing older any more.
    assert!(book.take(statement(20, 2, Phase::Ready, false)).yielded.contains(&ADDRESS));
    assert_eq!(holders(&book), 0);
    assert!(!book.is_behind(&node, 10, 6));
    assert_eq!(book.take(statement(10, 6, Phase::Ready, true)), News::default());
}

#[test]
fn a_life_that_never_began_does_not_push_a_later_one_aside() {
    let node: NodeName = "n3".into();
    let mut book = Book::new(head("n5", 1, Phase::Ready));
    book.take(statement(10, 4, Phase::Ready, true));
    book.take(statement(30, 1, Phase::Starting, false));
    book.take(statement(20, 7, Phase::Starting, false));
    assert_eq!(book.head(&node).map(|head| head.started), Some(30));
    assert_eq!(holders(&book), 1);
}
