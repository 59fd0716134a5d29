use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::ownership::statement::Phase;
use crate::ownership::word::{Letter, Whom, Word};

fn address(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n))
}

fn statement(version: u64, count: u32) -> Statement {
    let held = Held { rank: Rank::Firm, counter: 1, offer: None };
    Statement {
        head: Head {
            node: "n1".into(),
            started: 5,
            addr: "192.0.2.1:7946".parse().unwrap(),
            phase: Phase::Ready,
            links: Vec::new(),
            whole: true,
        },
        version,
        holdings: (0..count).map(|n| (address(n), held.clone())).collect(),
    }
}

fn link(n: usize) -> LinkWord {
    let addresses = (0..2 * limits::ADDRESSES_PER_LINK).map(|_| Ipv6Addr::LOCALHOST.into());
    LinkWord {
        name: format!("a-long-link-{n:03}"),
        mac: "02:00:00:00:00:01".parse().unwrap(),
        addresses: addresses.collect(),
    }
}

/// A name of so many letters.
fn name(n: usize, letters: usize) -> NodeName {
    format!("{n:x<letters$}").into()
}

/// All that can make a statement long: many links with all their addresses, long names, large numbers, and
/// all addresses of the longer family offered to several others.
fn long(addresses: u32, letters: usize) -> Statement {
    let mut long = statement(u64::MAX, 0);
    long.head.node = name(0, letters);
    long.head.started = u64::MAX;
    long.head.addr = "[2001:db8::1]:65535".parse().unwrap();
    long.head.links = (0..40).map(link).collect();
    let address = |n: u32| IpAddr::V6(Ipv6Addr::from_bits(u128::MAX - u128::from(n)));
    let offer = |n: u32| Some(name(n as usize % 7 + 1, letters));
    let held = |n| Held { rank: Rank::Firm, counter: u64::MAX, offer: offer(n) };
    long.holdings = (0..addresses).map(|n| (address(n), held(n))).collect();
    long
}

#[test]
fn parts_in_any_order_make_the_whole_and_twice_makes_no_difference() {
    let whole = statement(7, 500);
    let mut assembly = Assembly::default();
    let mut parts = whole.parts();
    parts.reverse();
    let last = parts.pop().unwrap();
    for part in parts.iter().chain(&parts) {
        assert_eq!(assembly.take(part.clone(), None), Assembled::Nothing);
    }
    assert_eq!(assembly.take(last, None), Assembled::Whole(whole));
}

#[test]
fn each_part_fits_into_a_message_however_long_names_are() {
    for (addresses, letters) in [(0, 1), (3_000, 1), (500, 63), (500, limits::NODE_NAME)] {
        let long = long(addresses, letters);
        let mut assembly = Assembly::default();
        let mut assembled = Assembled::Nothing;
        for part in long.parts() {
            let from = name(9, limits::NODE_NAME);
            let to = Some(Whom { node: from.clone(), started: u64::MAX });
            let word = Word::Part(part.clone());
            let letter = Letter { from, started: u64::MAX, to, word };
            let sealed = letter.to_bytes().len() + 1 + crate::mesh::seal::OVERHEAD;
            assert!(sealed <= limits::MESSAGE, "{letters} letters: {sealed} bytes: {letter:?}");
            assembled = assembly.take(part, None);
        }
        assert_eq!(assembled, Assembled::Whole(long), "{addresses} addresses, {letters} letters");
    }
}

#[test]
fn offers_to_the_same_few_take_little_room() {
    let mut long = long(200, 63);
    long.head.links.truncate(1);
    let parts = long.parts().len();
    assert!(parts <= 18, "{parts} parts for 200 offers");
}

#[test]
fn a_difference_applies_to_the_version_it_names_and_no_other() {
    let (old, new) = (statement(7, 3), statement(8, 2));
    let gone = *old.holdings.keys().last().unwrap();
    let parts = new.difference(7, true, [(gone, None)]);
    let mut assembly = Assembly::default();
    assert_eq!(assembly.take(parts[0].clone(), Some(&old)), Assembled::Whole(new.clone()));
    assert_eq!(assembly.take(parts[0].clone(), Some(&statement(6, 3))), Assembled::Gap);
    assert_eq!(assembly.take(parts[0].clone(), None), Assembled::Gap);
    assert_eq!(assembly.take(parts[0].clone(), Some(&new)), Assembled::Nothing);
}

#[test]
fn a_difference_says_of_links_what_changed() {
    let mut old = statement(7, 3);
    old.head.links = vec![link(0), link(1)];
    let mut new = Statement { version: 8, ..old.clone() };
    let take = |parts: Vec<Part>| Assembly::default().take(parts[0].clone(), Some(&old));
    assert_eq!(take(new.difference(7, true, [])), Assembled::Whole(new.clone()));
    new.head.links.pop();
    assert_eq!(take(new.difference(7, false, [])), Assembled::Whole(new.clone()));
}

#[test]
fn a_new_life_replaces_whatever_version_the_old_one_had() {
    let old = statement(900, 3);
    let mut new = statement(1, 1);
    new.head.started = 6;
    let mut assembly = Assembly::default();
    assert_eq!(assembly.take(new.parts().remove(0), Some(&old)), Assembled::Whole(new.clone()));
    assert_eq!(assembly.take(old.parts().remove(0), Some(&new)), Assembled::Nothing);
}

#[test]
fn what_makes_no_sense_in_a_part_does_no_harm() {
    let mut parts = long(10, 5).parts();
    let mut assembly = Assembly::default();
    let count = parts[0].count;
    let beyond = Part { index: count, ..parts[0].clone() };
    assert_eq!(assembly.take(beyond, None), Assembled::Nothing);
    // Whom it is offered to is not named.
    for part in &mut parts {
        part.successors.clear();
    }
    let assembled = parts.into_iter().map(|part| assembly.take(part, None)).last();
    let Some(Assembled::Whole(whole)) = assembled else { panic!("{assembled:?}") };
    assert!(whole.holdings.values().all(|held| held.offer.is_none()));
}
