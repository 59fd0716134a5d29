//! Why an interface that somebody expects to be used is not.

use super::*;
use crate::link::Ineligible;

/// All that are not used, if that is news.
fn unused(effects: &[Effect]) -> Option<Vec<(&str, &Ineligible)>> {
    let mut told = effects.iter().filter_map(|effect| match effect {
        Effect::Unused(unused) => Some(unused),
        _ => None,
    });
    let unused = told.next()?;
    assert_eq!(told.next(), None);
    Some(unused.iter().map(|(interface, why)| (interface.as_str(), why)).collect())
}

fn named(name: &str, index: u32) -> LinkFacts {
    LinkFacts { name: name.to_owned(), ..link(index) }
}

fn naming(interfaces: &[&str]) -> Advertisement {
    let interfaces = interfaces.iter().map(|&name| name.to_owned()).collect();
    Advertisement { interfaces, ..advertisement("ad") }
}

#[test]
fn an_interface_that_is_not_used_is_told_of_once_for_each_reason() {
    let mut world = World::with(&["a"], &["n1"]);
    let down = LinkFacts { up: false, ..link(2) };
    world.links.push(down.clone());
    let (mut engine, effects) = world.deliver();
    assert_eq!(unused(&effects), Some(vec![("eth2", &Ineligible::Down)]));
    let mut see = |links: Vec<LinkFacts>| engine.on([Event::Links(links)], at(9));
    let with_address =
        |link: LinkFacts| LinkFacts { addresses: vec!["10.0.0.1/8".parse().unwrap()], ..link };
    assert_eq!(unused(&see(vec![link(1), with_address(down.clone())])), None);
    let unplugged = LinkFacts { carrier: false, ..link(2) };
    let effects = see(vec![link(1), unplugged]);
    assert_eq!(unused(&effects), Some(vec![("eth2", &Ineligible::NoCarrier)]));
    assert_eq!(unused(&see(vec![link(1), link(2)])), Some(vec![]));
    let effects = see(vec![link(1), down]);
    assert_eq!(unused(&effects), Some(vec![("eth2", &Ineligible::Down)]));
}

#[test]
fn an_excluded_interface_is_told_of_only_where_an_advertisement_names_it() {
    let mut world = World::with(&["a"], &["n1"]);
    world.links.push(named("lo", 2));
    let (mut engine, effects) = world.deliver();
    assert_eq!(unused(&effects), None);
    let mut advertise =
        |interfaces: &[&str]| engine.on([Event::Config(config(&[naming(interfaces)]))], at(9));
    let excluded = Ineligible::Excluded { pattern: "^lo$".to_owned() };
    let effects = advertise(&["lo", "eth1"]);
    assert_eq!(unused(&effects), Some(vec![("lo", &excluded)]));
    assert_eq!(unused(&advertise(&["lo"])), None);
}

/// MetalLB says nothing where the interface is there and cannot be used.
#[test]
fn an_interface_that_cannot_be_used_leaves_the_address_unannounced() {
    let mut world = World::with(&["a"], &["n1"]);
    world.config = config(&[naming(&["eth2"])]);
    world.links.push(LinkFacts { no_arp: true, ..link(2) });
    let (_, effects) = world.deliver();
    assert_eq!(reported(&effects, "a"), Some(Standing::Silent(Why::NoInterface(ip(1)))));
    assert_eq!(unused(&effects), Some(vec![("eth2", &Ineligible::NoArp)]));
}

#[test]
fn an_interface_that_is_not_there_is_told_of_where_the_advertisement_selects_the_node() {
    let mut world = World::with(&["a"], &["n1"]);
    let red = serde_json::json!({"matchLabels": {"zone": "red"}});
    let red = crds::model::selector::Selector::parse(&serde_json::from_value(red).unwrap());
    world.config =
        config(&[Advertisement { node_selectors: vec![red.unwrap()], ..naming(&["eth9"]) }]);
    let (mut engine, effects) = world.deliver();
    assert_eq!(unused(&effects), None);
    let labels = Labels::from([("zone".to_owned(), "red".to_owned())]);
    let node = NodeFacts { labels, ..NodeFacts::default() };
    let effects = engine.on([Event::Nodes(Change::Set("n1".into(), node))], at(9));
    assert_eq!(unused(&effects), Some(vec![("eth9", &Ineligible::Missing)]));
    let effects = engine.on([Event::Links(vec![link(1), link(9)])], at(10));
    assert_eq!(unused(&effects), Some(vec![]));
    let effects = engine.on([Event::Links(vec![link(1)])], at(11));
    assert_eq!(unused(&effects), Some(vec![("eth9", &Ineligible::Missing)]));
}

/// The kernel may refuse a socket: no right, no memory, a seccomp rule.
#[test]
fn a_link_whose_socket_is_refused_is_not_used_until_it_is_given() {
    let why = "Operation not permitted (os error 1)".to_owned();
    let refused = |links: &[u32]| {
        let links = links.iter().map(|index| (IfIndex(*index), why.clone()));
        Event::Refused(links.collect())
    };
    let on = |engine: &Engine| {
        engine.ports.iter().flatten().map(|port| port.index.0).collect::<Vec<_>>()
    };
    let mut world = World::with(&["a"], &["n1"]);
    world.links.push(link(2));
    let (mut engine, effects) = world.deliver();
    let asked = effects.iter().filter(|effect| matches!(effect, Effect::Ports(_))).count();
    assert_eq!((on(&engine), asked), (vec![1, 2], 1));
    let told = Ineligible::Refused { error: why.clone() };

    let effects = engine.on([refused(&[1])], at(9));
    assert_eq!(unused(&effects), Some(vec![("eth1", &told)]));
    assert_eq!((on(&engine), engine.waits_for()), (vec![2], vec![]));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Ports(_))), "it is tried anyway");
    assert_eq!(engine.on([refused(&[1])], at(10)), []);

    let effects = engine.on([refused(&[1, 2])], at(11));
    assert_eq!(unused(&effects), Some(vec![("eth1", &told), ("eth2", &told)]));
    assert_eq!((on(&engine), engine.waits_for().len()), (vec![], 1));

    let effects = engine.on([refused(&[1])], at(12));
    assert_eq!(unused(&effects), Some(vec![("eth1", &told)]));
    assert_eq!((on(&engine), engine.waits_for()), (vec![2], vec![]));
    assert!(transmitted(&effects).contains(&(2, ip(1))), "{effects:?}");

    // The next link of that name is another.
    let again = LinkFacts { name: "eth1".to_owned(), ..link(3) };
    engine.on([Event::Links(vec![again, link(2)])], at(13));
    assert_eq!(on(&engine), [2, 3]);
}
