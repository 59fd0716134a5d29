//! The engine without a mesh: every node counts as alive, so that a test says by its events alone
//! who is there.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crds::model::advertisement::Advertisement;
use crds::model::ids::{IfIndex, MacAddr};
use crds::model::pool::Pool;
use crds::model::range::AddressRange;
use crds::model::selector::Labels;

use super::*;
use crate::announce::burst::ROUNDS;
use crate::announce::desired::PortSpec;
use crate::facts::{NodeFacts, ServiceFacts, SliceFacts, Traffic};
use crate::mesh::Member;
use crate::mesh::seal::SecretKey;
use crate::ownership::Why;

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, n)
}

fn at(ms: u64) -> Moment {
    Moment::after_start(Duration::from_millis(ms))
}

fn link(index: u32) -> LinkFacts {
    let mac = MacAddr([2, 0, 0, 0, 0, u8::try_from(index).unwrap()]);
    LinkFacts::ethernet(IfIndex(index), &format!("eth{index}"), mac)
}

fn advertisement(name: &str) -> Advertisement {
    Advertisement {
        name: name.to_owned(),
        pools: BTreeSet::from(["pool".into()]),
        node_selectors: Vec::new(),
        interfaces: BTreeSet::new(),
        service_selectors: Vec::new(),
        preferences: Vec::new(),
    }
}

fn config(advertisements: &[Advertisement]) -> Config {
    let pool = Pool {
        name: "pool".into(),
        labels: Labels::new(),
        ranges: vec![AddressRange::parse("192.0.2.0/24").unwrap()],
        auto_assign: true,
        avoid_buggy_ips: false,
        allocation: None,
    };
    let named = advertisements.iter().map(|ad| (ad.name.clone(), ad.clone()));
    Config {
        pools: [(pool.name.clone(), pool)].into(),
        advertisements: named.collect(),
        ..Config::default()
    }
}

fn service(addresses: &[u8]) -> ServiceFacts {
    let addresses = addresses.iter().map(|n| IpAddr::V4(ip(*n))).collect();
    let uid = "0f5a".to_owned();
    ServiceFacts {
        uid,
        addresses,
        pool: Some("pool".into()),
        labels: Labels::new(),
        traffic: Traffic::Cluster,
    }
}

fn slice(service: &str, nodes: &[&str]) -> SliceFacts {
    let nodes: BTreeSet<NodeName> = nodes.iter().map(|&node| node.into()).collect();
    SliceFacts { service: key(service), usable: !nodes.is_empty(), nodes }
}

/// What a test starts from; `deliver` gives it to an engine on node `n1`.
struct World {
    config: Config,
    services: BTreeMap<ServiceKey, ServiceFacts>,
    slices: BTreeMap<ServiceKey, SliceFacts>,
    nodes: BTreeMap<NodeName, NodeFacts>,
    links: Vec<LinkFacts>,
}

impl World {
    /// One pool, one advertisement, Services `a`, `b`, ... with one address each, backed on `n1`.
    fn with(services: &[&str], nodes: &[&str]) -> Self {
        let numbered = (1..).zip(services);
        Self {
            config: config(&[advertisement("ad")]),
            services: numbered.map(|(n, name)| (key(name), service(&[n]))).collect(),
            slices: services
                .iter()
                .map(|name| (key(&format!("{name}-1")), slice(name, &["n1"])))
                .collect(),
            nodes: nodes.iter().map(|&name| (name.into(), NodeFacts::default())).collect(),
            links: vec![link(1)],
        }
    }

    fn events(self) -> Vec<Event> {
        vec![
            Event::Config(self.config),
            Event::Services(Change::Replace(self.services)),
            Event::Slices(Change::Replace(self.slices)),
            Event::Nodes(Change::Replace(self.nodes)),
            Event::Peers(BTreeSet::new()),
            Event::Links(self.links),
        ]
    }

    fn deliver(self) -> (Engine, Vec<Effect>) {
        let mut engine = engine();
        let effects = engine.on(self.events(), at(0));
        (engine, effects)
    }
}

fn engine() -> Engine {
    let settings = Settings {
        node: "n1".into(),
        exclusions: Exclusions::new(["^lo$"]).unwrap(),
        ignore_exclude_label: false,
        announcements_per_second: 10_000,
        deputies: true,
        seed: 1,
        #[cfg(feature = "defects")]
        defect: None,
        mesh: None,
    };
    Engine::new(settings, Moment::START)
}

fn published(effects: &[Effect]) -> Option<Vec<Ipv4Addr>> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Publish(desired) => Some(desired.keys().copied().collect()),
        _ => None,
    })
}

fn transmitted(effects: &[Effect]) -> Vec<(u32, Ipv4Addr)> {
    let frames = effects.iter().filter_map(|effect| match effect {
        Effect::Transmit { link, address, .. } => Some((link.0, *address)),
        _ => None,
    });
    frames.collect()
}

/// What was reported of a Service that is still there.
fn reported(effects: &[Effect], name: &str) -> Option<Standing> {
    effects.iter().find_map(|effect| match effect {
        Effect::Report { service, standing, .. } if *service == key(name) => standing.clone(),
        _ => None,
    })
}

#[test]
fn nothing_is_announced_before_everything_was_delivered_once() {
    let events = World::with(&["a"], &["n1"]).events();
    for missing in 0..events.len() {
        let mut engine = engine();
        let mut rest = events.clone();
        let last = rest.remove(missing);
        let early = engine.on(rest, at(0));
        assert_eq!((published(&early), engine.is_active()), (None, false), "without {last:?}");
        assert_eq!(engine.waits_for().len(), 1, "without {last:?}");
        let complete = engine.on([last], at(1));
        assert_eq!(published(&complete), Some(vec![ip(1)]));
        assert!(engine.is_active());
    }
}

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
fn repeating_what_is_known_has_no_effect() {
    let (mut engine, _) = World::with(&["a", "b"], &["n1", "n2"]).deliver();
    let rest = at(60_000);
    while engine.next_deadline().is_some() {
        engine.on([], rest);
    }
    assert_eq!(engine.on(World::with(&["a", "b"], &["n1", "n2"]).events(), rest), []);
    let again = [
        Event::Services(Change::Set(key("a"), service(&[1]))),
        Event::Slices(Change::Set(key("a-1"), slice("a", &["n1"]))),
        Event::Nodes(Change::Set("n2".into(), NodeFacts::default())),
        Event::Services(Change::Remove(key("unknown"))),
    ];
    assert_eq!(engine.on(again, rest), []);
}

#[test]
fn every_node_but_one_leaves_an_address_to_it() {
    let names = ["n1", "n2", "n3"];
    let mut owners = BTreeMap::new();
    for me in names {
        let services = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let mut engine =
            Engine::new(Settings { node: me.into(), ..engine().settings }, Moment::START);
        let effects = engine.on(World::with(&services, &names).events(), at(0));
        for address in published(&effects).unwrap() {
            assert_eq!(owners.insert(address, me), None, "two owners");
        }
    }
    assert_eq!(owners.len(), 8);
}

#[test]
fn a_node_is_barred_by_label_and_by_missing_network() {
    let label = NodeFacts {
        labels: Labels::from([(
            crds::names::EXCLUDE_FROM_LOAD_BALANCERS.to_owned(),
            "false".to_owned(),
        )]),
        ..NodeFacts::default()
    };
    let network = NodeFacts { network_unavailable: true, ..NodeFacts::default() };
    for barred in [label, network] {
        let (mut engine, _) = World::with(&["a"], &["n1"]).deliver();
        let effects = engine.on([Event::Nodes(Change::Set("n1".into(), barred))], at(9));
        assert_eq!(published(&effects), Some(vec![]));
        assert_eq!(reported(&effects, "a"), Some(Standing::Silent(Why::NoCandidate)));
        let back = Event::Nodes(Change::Set("n1".into(), NodeFacts::default()));
        assert_eq!(published(&engine.on([back], at(10))), Some(vec![ip(1)]));
    }
}

#[test]
fn every_silence_has_its_reason() {
    type Spoil = fn(&mut World);
    let cases: [(Spoil, Why); 6] = [
        (|world| world.services.get_mut(&key("a")).unwrap().addresses.clear(), Why::NoAddress),
        (|world| world.config.pools.clear(), Why::NotInPool),
        (|world| world.config.advertisements.clear(), Why::NoAdvertisement),
        (|world| world.slices.clear(), Why::NoEndpoints),
        (|world| world.nodes.clear(), Why::NoCandidate),
        (
            |world| {
                let narrow =
                    Advertisement { interfaces: ["eth9".to_owned()].into(), ..advertisement("ad") };
                world.config = config(&[narrow]);
            },
            Why::NoInterface(IpAddr::V4(ip(1))),
        ),
    ];
    for (spoil, why) in cases {
        let mut world = World::with(&["a"], &["n1"]);
        spoil(&mut world);
        let (_, effects) = world.deliver();
        assert_eq!(reported(&effects, "a"), Some(Standing::Silent(why.clone())), "{why:?}");
        assert_eq!(published(&effects), Some(vec![]), "{why:?}");
    }
}

#[test]
fn local_traffic_goes_where_the_endpoints_are() {
    for (nodes, owner) in [(&["n2"][..], "n2"), (&["n1"], "n1")] {
        let mut world = World::with(&["a"], &["n1", "n2"]);
        world.services.get_mut(&key("a")).unwrap().traffic = Traffic::Local;
        world.slices.insert(key("a-1"), slice("a", nodes));
        let (_, effects) = world.deliver();
        match owner {
            "n1" => assert_eq!(published(&effects), Some(vec![ip(1)])),
            other => assert_eq!(
                reported(&effects, "a"),
                Some(Standing::Silent(Why::OtherNode(other.into())))
            ),
        }
    }
}

#[test]
fn a_shared_address_stays_as_long_as_one_of_its_services() {
    let mut world = World::with(&["a", "b"], &["n1"]);
    world.services.insert(key("b"), service(&[1]));
    let (mut engine, effects) = world.deliver();
    assert_eq!(published(&effects), Some(vec![ip(1)]));
    let one_gone = engine.on([Event::Services(Change::Remove(key("a")))], at(9));
    assert_eq!(published(&one_gone), None, "the other still needs it");
    let both_gone = engine.on([Event::Services(Change::Remove(key("b")))], at(10));
    assert_eq!(published(&both_gone), Some(vec![]));
    assert_eq!(transmitted(&engine.on([], at(5_000))), [], "no announcement outlives its address");
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
    let one = AddressRange::new(IpAddr::V4(ip(1)), IpAddr::V4(ip(1))).unwrap();
    assert!(effects.contains(&Effect::Ranges(vec![one])), "the kernel must let it through");
    let deleted = engine.on([Event::Config(Config::default())], at(9));
    assert_eq!(published(&deleted), Some(vec![]), "one that is gone is another matter");
}

/// A speaker that starts while the API server is away waits for it; it must not spin meanwhile.
#[test]
fn waiting_for_what_does_not_come_costs_few_calls() {
    let member = Member {
        node: "n1".into(),
        addr: SocketAddr::from(([192, 0, 2, 101], 7946)),
        started: 0,
        renewals: 0,
    };
    let key = SecretKey::derive(b"secret");
    let mesh = Some(mesh::Identity { member, instance: [1; 16], key, seed: 1 });
    let mut engine = Engine::new(Settings { mesh, ..engine().settings }, Moment::START);
    let (mut now, mut calls) = (Moment::START, 0);
    while let Some(due) = engine.next_deadline().filter(|_| now < at(60_000)) {
        now = now.max(due);
        engine.on([], now);
        calls += 1;
        assert!(calls < 1_000, "still at {now:?}");
    }
    assert!(!engine.is_active());
}

#[test]
fn one_told_to_stop_answers_for_a_while_and_then_halts() {
    let (mut engine, _) = World::with(&["a"], &["n1"]).deliver();
    let told = engine.on([Event::Shutdown], at(1_000));
    assert_eq!(published(&told), None, "it still answers");
    engine.on([Event::Shutdown], at(1_200));
    assert_eq!(engine.next_deadline().map(|due| due.max(at(1_300))), Some(at(1_300)));
    let silent = engine.on([], at(1_300));
    assert_eq!(silent[silent.len() - 2..], [Effect::Publish(Desired::new()), Effect::Halt]);
    assert_eq!(engine.on([], at(9_000)), []);
}

#[test]
fn events_and_effects_can_be_recorded_and_replayed() {
    let events = World::with(&["a", "b"], &["n1", "n2"]).events();
    let recorded = serde_json::to_string(&events).unwrap();
    let replayed: Vec<Event> = serde_json::from_str(&recorded).unwrap();
    assert_eq!(events, replayed);
    let effects = engine().on(events, at(0));
    assert_eq!(engine().on(replayed, at(0)), effects);
    let recorded = serde_json::to_string(&effects).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Effect>>(&recorded).unwrap(), effects);
}
