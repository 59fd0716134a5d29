//! On which links an address is answered and announced, and what the kernel lets through.

use super::*;
use crate::announce::burst::ROUNDS;

#[test]
fn a_new_address_is_answered_before_it_is_announced() {
    let (_, effects) = World::with(&["a"], &["n1"]).deliver();
    let position = |wanted: &dyn Fn(&Effect) -> bool| effects.iter().rposition(wanted).unwrap();
    let ports = position(&|effect| matches!(effect, Effect::Ports(_)));
    let publish = position(&|effect| matches!(effect, Effect::Publish(_)));
    let transmit = effects.iter().position(|effect| matches!(effect, Effect::Transmit { .. }));
    assert!(ports < publish && Some(publish) < transmit, "{effects:#?}");
    assert_eq!(transmitted(&effects), [(1, ip(1)), (1, ip(1))]);
}

#[test]
fn interfaces_are_those_of_all_advertisements_that_select_the_node() {
    let named = |name: &str, interface: &str| Advertisement {
        interfaces: [interface.to_owned()].into(),
        ..advertisement(name)
    };
    let mut world = World::with(&["a"], &["n1"]);
    world.links = vec![link(1), link(2), link(3)];
    world.config = config(&[named("x", "eth1"), named("y", "eth3")]);
    let (mut engine, effects) = world.deliver();
    let links = |effects: &[Effect]| {
        transmitted(effects).iter().map(|(link, _)| *link).collect::<BTreeSet<_>>()
    };
    assert_eq!(links(&effects), BTreeSet::from([1, 3]));
    let all = config(&[named("x", "eth1"), advertisement("y")]);
    let widened = engine.on([Event::Config(all)], at(100));
    assert_eq!(links(&widened), BTreeSet::from([2]), "only the new link is announced on");
}

#[test]
fn a_link_that_comes_late_or_changes_its_mac_is_announced_on() {
    let (mut engine, _) = World::with(&["a"], &["n1"]).deliver();
    let second = engine.on([Event::Links(vec![link(1), link(2)])], at(7_000));
    assert!(transmitted(&second).ends_with(&[(2, ip(1)), (2, ip(1))]), "{second:?}");
    let mut changed = link(1);
    changed.mac = Some(MacAddr([6; 6]));
    let moved = engine.on([Event::Links(vec![changed, link(2)])], at(20_000));
    assert!(transmitted(&moved).contains(&(1, ip(1))));
    let gone = engine.on([Event::Links(vec![link(2)])], at(20_050));
    let Some(Effect::Ports(ports)) = gone.first() else { panic!("{gone:?}") };
    assert_eq!(ports.iter().map(|port: &PortSpec| port.index.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn announcements_come_in_rounds() {
    let (mut engine, effects) = World::with(&["a"], &["n1"]).deliver();
    let mut frames = transmitted(&effects).len();
    while let Some(due) = engine.next_deadline() {
        frames += transmitted(&engine.on([], due)).len();
    }
    assert_eq!(frames, 2 * ROUNDS.len());
}

#[test]
fn the_kernel_filter_follows_the_pools() {
    let (mut engine, effects) = World::with(&["a"], &["n1"]).deliver();
    let ranges = vec![AddressRange::parse("192.0.2.0/24").unwrap()];
    assert!(effects.contains(&Effect::Ranges(ranges)));
    let effects = engine.on([Event::Config(Config::default())], at(9));
    assert_eq!(effects.first(), Some(&Effect::Ranges(Vec::new())));
}

#[test]
fn a_restarted_speaker_answers_for_a_pool_that_cannot_be_read() {
    let mut world = World::with(&["a"], &["n1"]);
    world.config.pools.clear();
    world.config.unreadable_pools.insert("pool".into());
    let (mut engine, effects) = world.deliver();
    assert_eq!(published(&effects), Some(vec![ip(1)]));
    let one = AddressRange::new(ip(1), ip(1)).unwrap();
    assert!(effects.contains(&Effect::Ranges(vec![one])), "the kernel must let it through");
    let deleted = engine.on([Event::Config(Config::default())], at(9));
    assert_eq!(published(&deleted), Some(vec![]), "one that is gone is another matter");
}

#[test]
fn both_families_of_a_service_are_answered_and_ipv6_is_announced_where_a_link_has_it() {
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    let mut world = World::with(&["a"], &["n1"]);
    let pool = world.config.pools.values_mut().next().unwrap();
    pool.ranges.push(AddressRange::parse("2001:db8::/64").unwrap());
    world.services.get_mut(&key("a")).unwrap().addresses.push(v6);
    let mut second = link(2);
    second.addresses = vec!["fe80::2/64".parse().unwrap()];
    world.links = vec![link(1), second.clone()];
    let (mut engine, effects) = world.deliver();
    assert_eq!(published(&effects), Some(vec![ip(1), v6]));
    // One at a time: a link has its pace.
    let later = engine.on([], at(5));
    let announced: BTreeSet<_> =
        transmitted(&effects).into_iter().chain(transmitted(&later)).collect();
    assert_eq!(announced, BTreeSet::from([(1, ip(1)), (2, ip(1)), (2, v6)]));
    // An address makes the first link fit.
    let mut first = link(1);
    first.addresses = vec!["fe80::1/64".parse().unwrap()];
    let effects = engine.on([Event::Links(vec![first, second])], at(7_000));
    assert!(transmitted(&effects).contains(&(1, v6)), "{effects:?}");
}
