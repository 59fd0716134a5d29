use std::collections::BTreeMap;

use crate::model::advertisement::Preference;
use crate::model::selector::Selector;
use proptest::prelude::*;

use super::*;

fn anyone(_: &NodeName) -> bool {
    true
}

fn everywhere(name: &str) -> Advertisement {
    Advertisement {
        name: name.to_owned(),
        pools: BTreeSet::new(),
        node_selectors: Vec::new(),
        interfaces: BTreeSet::new(),
        service_selectors: Vec::new(),
        preferences: Vec::new(),
    }
}

fn selecting(key: &str) -> Selector {
    let selector =
        serde_json::json!({ "matchExpressions": [{ "key": key, "operator": "Exists" }] });
    Selector::parse(&serde_json::from_value(selector).unwrap()).unwrap()
}

fn nodes(names: &[&str]) -> Electorate {
    // Each node carries its own name as a label, so that a selector can pick it.
    Electorate::new(
        names.iter().map(|&name| (name.into(), Labels::from([(name.to_owned(), String::new())]))),
    )
}

fn ballot(advertisements: &[Advertisement]) -> Ballot<'_> {
    Ballot { advertisements: advertisements.iter().collect(), only: None }
}

#[test]
fn nobody_is_elected_where_nobody_may() {
    let narrow = [Advertisement { node_selectors: vec![selecting("n9")], ..everywhere("a") }];
    assert_eq!(nodes(&["n1", "n2"]).elect(1, &[&ballot(&narrow)], anyone), None);
    assert_eq!(nodes(&[]).elect(1, &[&ballot(&[everywhere("a")])], anyone), None);
    let nowhere = BTreeSet::new();
    let all = [everywhere("a")];
    let local = Ballot { only: Some(&nowhere), ..ballot(&all) };
    assert_eq!(nodes(&["n1"]).elect(1, &[&local], anyone), None);
}

#[test]
fn a_preferred_node_goes_first_and_another_when_it_is_away() {
    let preferences = vec![
        Preference { weight: 10, selector: selecting("n1") },
        Preference { weight: 1, selector: selecting("n3") },
    ];
    let list = [Advertisement { preferences, ..everywhere("a") }];
    for group in 0..50 {
        let elect = |names: &[&str]| {
            nodes(names).elect(group, &[&ballot(&list)], anyone).unwrap().to_string()
        };
        assert_eq!(elect(&["n1", "n2", "n3"]), "n1");
        assert_eq!(elect(&["n2", "n3"]), "n3");
        assert_eq!(elect(&["n2"]), "n2");
    }
}

#[test]
fn weights_count_only_on_nodes_that_the_same_advertisement_selects() {
    let preferences = vec![Preference { weight: 100, selector: selecting("n2") }];
    let list = [
        Advertisement { node_selectors: vec![selecting("n1")], preferences, ..everywhere("a") },
        Advertisement {
            preferences: vec![Preference { weight: 1, selector: selecting("n1") }],
            ..everywhere("b")
        },
    ];
    for group in 0..50 {
        assert_eq!(
            nodes(&["n1", "n2"]).elect(group, &[&ballot(&list)], anyone).unwrap().as_str(),
            "n1"
        );
    }
}

#[test]
fn services_on_one_address_prefer_a_node_that_serves_them_all() {
    let all = [everywhere("a")];
    let (a, b) =
        (BTreeSet::from(["n1".into(), "n2".into()]), BTreeSet::from(["n2".into(), "n3".into()]));
    let electorate = nodes(&["n1", "n2", "n3"]);
    for group in 0..50 {
        let (first, second) =
            (Ballot { only: Some(&a), ..ballot(&all) }, Ballot { only: Some(&b), ..ballot(&all) });
        assert_eq!(electorate.elect(group, &[&first, &second], anyone).unwrap().as_str(), "n2");
    }
}

#[test]
fn the_groups_of_a_dead_node_spread_and_no_other_moves() {
    let all = [everywhere("a")];
    let names: Vec<String> = (0..10).map(|n| format!("worker-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (before, after) = (nodes(&names), nodes(&names[1..]));
    let mut inherited: BTreeMap<String, u32> = BTreeMap::new();
    for n in 0..10_000_u32 {
        let group = stable_hash(&n.to_be_bytes());
        let old = before.elect(group, &[&ballot(&all)], anyone).unwrap();
        let new = after.elect(group, &[&ballot(&all)], anyone).unwrap();
        if old.as_str() == "worker-0" {
            *inherited.entry(new.to_string()).or_default() += 1;
        } else {
            assert_eq!(old, new, "group {n} moved without need");
        }
    }
    let (least, most) = (inherited.values().min().unwrap(), inherited.values().max().unwrap());
    assert!(inherited.len() == 9 && *most < least * 2, "{inherited:?}");
}

proptest! {
    #[test]
    fn the_order_of_nodes_is_irrelevant_and_losers_do_not_matter(
        group: u64, count in 2_usize..20, removed: prop::sample::Index,
    ) {
        let all = [everywhere("a")];
        let names: Vec<String> = (0..count).map(|n| format!("n{n}")).collect();
        let forward: Vec<&str> = names.iter().map(String::as_str).collect();
        let backward: Vec<&str> = forward.iter().rev().copied().collect();
        let winner = nodes(&forward).elect(group, &[&ballot(&all)], anyone).unwrap().to_string();
        let again = nodes(&backward).elect(group, &[&ballot(&all)], anyone).unwrap().to_string();
        prop_assert_eq!(&winner, &again);
        let gone = forward[removed.index(count)];
        let rest: Vec<&str> = forward.iter().copied().filter(|name| *name != gone).collect();
        if gone != winner {
            let still = nodes(&rest).elect(group, &[&ballot(&all)], anyone).unwrap().to_string();
            prop_assert_eq!(winner, still);
        }
    }
}
