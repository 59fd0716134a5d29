//! Who announces a Service, and why nobody does.

use serde_json::json;

use super::*;
use crate::view;

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

/// What says that no pods should come says nothing about addresses, as in MetalLB.
#[test]
fn a_node_that_is_cordoned_tainted_or_not_ready_announces_as_before() {
    let taint = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
    let evicts = json!({"key": "dedicated", "value": "gpu", "effect": "NoExecute"});
    let not_ready = json!([{"type": "Ready", "status": "False"}]);
    for (spec, conditions) in [
        (json!({"unschedulable": true}), json!([])),
        (json!({"unschedulable": true, "taints": [taint]}), json!([])),
        (json!({"taints": [evicts]}), json!([])),
        (json!({}), not_ready),
    ] {
        let object =
            json!({"metadata": {"name": "n1"}, "spec": spec, "status": {"conditions": conditions}});
        let facts = view::node(&serde_json::from_value(object).unwrap());
        let mut world = World::with(&["a"], &["n1"]);
        world.nodes.insert("n1".into(), facts.clone());
        let (_, effects) = world.deliver();
        assert_eq!(published(&effects), Some(vec![ip(1)]), "{spec} {conditions}");

        let (mut engine, _) = World::with(&["a"], &["n1"]).deliver();
        let rest = at(60_000);
        while engine.next_deadline().is_some() {
            engine.on([], rest);
        }
        let becomes = Event::Nodes(Change::Set("n1".into(), facts));
        assert_eq!(engine.on([becomes], rest), [], "{spec} {conditions}");
    }
}

#[test]
fn a_label_of_a_node_that_nothing_selects_by_has_no_effect() {
    let (mut engine, _) = World::with(&["a"], &["n1", "n2"]).deliver();
    let rest = at(60_000);
    while engine.next_deadline().is_some() {
        engine.on([], rest);
    }
    let labels = Labels::from([("rack".to_owned(), "7".to_owned())]);
    let labelled = NodeFacts { labels, ..NodeFacts::default() };
    let events = ["n1", "n2"].map(|node| Event::Nodes(Change::Set(node.into(), labelled.clone())));
    assert_eq!(engine.on(events, rest), []);
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
            Why::NoInterface(ip(1)),
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
    assert_eq!(transmitted(&both_gone), [], "nothing is said of what ends");
    assert_eq!(transmitted(&engine.on([], at(5_000))), [], "no announcement outlives its address");
}
