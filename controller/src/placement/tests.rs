use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::{place as place_on, *};

/// With all nodes steady.
fn place(groups: &[Group<'_>]) -> Placement {
    place_on(groups, |_| true)
}

fn id(number: usize) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + u32::try_from(number).unwrap()).into()
}

fn nodes(count: usize) -> Vec<NodeName> {
    (0..count).map(|number| NodeName::from(format!("n{number:02}"))).collect()
}

fn candidate(node: &NodeName) -> Candidate<'_> {
    Candidate { node, served: 1, weight: 0 }
}

fn group<'a>(number: usize, owner: &'a NodeName, candidates: &'a [NodeName]) -> Group<'a> {
    let candidates = candidates.iter().map(candidate).collect();
    Group { id: id(number), owner, is_settled: true, candidates }
}

/// Groups that every node may announce, owned as `owners` says.
fn uniform<'a>(owners: &[usize], nodes: &'a [NodeName]) -> Vec<Group<'a>> {
    let group = |(number, owner): (usize, &usize)| group(number, &nodes[*owner], nodes);
    owners.iter().enumerate().map(group).collect()
}

fn apply<'a>(groups: &mut [Group<'a>], moves: &'a [Move]) {
    for order in moves {
        let group = groups.iter_mut().find(|group| group.id == order.group).unwrap();
        assert_eq!(*group.owner, order.from);
        assert!(group.candidates.iter().any(|one| *one.node == order.to));
        group.owner = &order.to;
    }
}

fn loads(groups: &[Group<'_>], nodes: &[NodeName]) -> Vec<usize> {
    let mut loads: BTreeMap<&NodeName, usize> = nodes.iter().map(|node| (node, 0)).collect();
    for group in groups {
        *loads.get_mut(group.owner).unwrap() += 1;
    }
    loads.into_values().collect()
}

fn spread(loads: &[usize]) -> usize {
    loads.iter().max().unwrap() - loads.iter().min().unwrap()
}

/// The least moves that make `loads` even: what some have above the share that is theirs, where
/// those that have most get the larger share.
fn least(loads: &[usize]) -> usize {
    if spread(loads) <= 1 {
        return 0;
    }
    let mut loads = loads.to_vec();
    loads.sort_unstable_by_key(|load| std::cmp::Reverse(*load));
    let (total, count) = (loads.iter().sum::<usize>(), loads.len());
    let share = |place| total / count + usize::from(place < total % count);
    loads.iter().enumerate().map(|(place, load)| load.saturating_sub(share(place))).sum()
}

#[test]
fn a_node_that_joins_gets_its_share_and_no_other_group_moves() {
    for (groups, old) in [(30, 3), (10, 3), (100, 9), (7, 7), (2, 3), (10_000, 99)] {
        let nodes = nodes(old + 1);
        let owners: Vec<usize> = (0..groups).map(|number| number % old).collect();
        let placement = place(&uniform(&owners, &nodes));
        assert_eq!(placement.moves.len(), groups / (old + 1), "{groups} groups, {old} nodes");
        assert!(placement.moves.iter().all(|order| order.to == nodes[old]));
        assert!(placement.moves.iter().all(|order| order.reason == Reason::Spread));
    }
}

#[test]
fn a_difference_of_one_is_even() {
    let nodes = nodes(3);
    let placement = place(&uniform(&[0, 0, 1, 2], &nodes));
    assert_eq!(placement, Placement { moves: Vec::new(), spread: 1 });
    assert_eq!(place(&[]), Placement::default());
}

#[test]
fn a_preferred_node_gets_what_is_its_own() {
    let nodes = nodes(3);
    let mut groups = uniform(&[0, 0, 0, 1, 2], &nodes);
    for group in &mut groups[..2] {
        group.candidates[1].weight = 50;
        group.candidates[2].weight = 50;
    }
    let moves = place(&groups).moves;
    let to: Vec<_> = moves.iter().map(|order| (order.reason, order.to.as_str())).collect();
    assert_eq!(to, [(Reason::Preference, "n01"), (Reason::Preference, "n02")]);
}

#[test]
fn to_serve_more_services_goes_before_weight() {
    let nodes = nodes(2);
    let mut groups = uniform(&[0], &nodes);
    groups[0].candidates[0].weight = 100;
    groups[0].candidates[1].served = 2;
    assert_eq!(place(&groups).moves.len(), 1);
}

#[test]
fn an_owner_that_is_no_candidate_is_left_to_the_speakers() {
    let nodes = nodes(3);
    let groups: Vec<_> = (0..9).map(|number| group(number, &nodes[0], &nodes[1..])).collect();
    assert_eq!(place(&groups), Placement::default());
}

#[test]
fn a_node_that_is_not_steady_gets_nothing_and_keeps_what_it_has() {
    let nodes = nodes(3);
    let steady = |node: &NodeName| *node != nodes[2];
    let placement = place_on(&uniform(&[0, 0, 0, 0, 1, 2], &nodes), steady);
    assert_eq!(placement.spread, 3);
    let moves: Vec<_> = placement.moves.iter().map(|order| order.to.as_str()).collect();
    assert_eq!(moves, ["n01"]);
    // It may give all the same.
    let moves = place_on(&uniform(&[2, 2, 2, 0], &nodes), steady).moves;
    assert_eq!(moves.iter().map(|order| order.to.as_str()).collect::<Vec<_>>(), ["n01"]);
}

#[test]
fn a_preferred_node_that_is_not_steady_is_waited_for() {
    let nodes = nodes(3);
    let mut groups = uniform(&[0], &nodes);
    groups[0].candidates[2].weight = 50;
    assert_eq!(place_on(&groups, |node| *node != nodes[2]).moves, []);
}

#[test]
fn a_group_that_is_not_settled_counts_and_stays() {
    let nodes = nodes(2);
    let mut groups = uniform(&[0, 0, 0, 0], &nodes);
    groups[0].is_settled = false;
    groups[1].is_settled = false;
    groups[2].is_settled = false;
    let moves = place(&groups).moves;
    assert_eq!(moves.iter().map(|order| order.group).collect::<Vec<_>>(), [id(3)]);
}

/// Owners by number, of as many nodes as the second number says.
fn some_owners() -> impl Strategy<Value = (Vec<usize>, usize)> {
    (1_usize..9).prop_flat_map(|count| (prop::collection::vec(0..count, 0..60), Just(count)))
}

/// A group by its owner, whether it is settled, and what each node can do for it.
type Drawn = (usize, bool, Vec<(u32, u32)>);

/// Groups of all kinds, and which nodes are steady.
fn any_groups() -> impl Strategy<Value = (Vec<Drawn>, Vec<bool>)> {
    let candidate = (0_u32..3, 0_u32..2);
    let group = (0_usize..5, prop::bool::weighted(0.9), prop::collection::vec(candidate, 5));
    let steady = prop::collection::vec(prop::bool::weighted(0.8), 5);
    (prop::collection::vec(group, 0..40), steady)
}

fn build<'a>(drawn: &[Drawn], nodes: &'a [NodeName]) -> Vec<Group<'a>> {
    let group = |(number, (owner, is_settled, facts)): (usize, &Drawn)| Group {
        id: id(number),
        owner: &nodes[*owner],
        is_settled: *is_settled,
        candidates: nodes
            .iter()
            .zip(facts)
            .filter(|(_, (served, _))| *served > 0)
            .map(|(node, (served, weight))| Candidate { node, served: *served, weight: *weight })
            .collect(),
    };
    drawn.iter().enumerate().map(group).collect()
}

proptest! {
    #[test]
    fn equal_candidates_end_even_by_the_least_moves((owners, count) in some_owners()) {
        let nodes = nodes(count);
        let mut groups = uniform(&owners, &nodes);
        let before = loads(&groups, &nodes);
        let placement = place(&groups);
        prop_assert_eq!(placement.moves.len(), least(&before));
        if !owners.is_empty() {
            prop_assert_eq!(placement.spread as usize, spread(&before));
        }
        apply(&mut groups, &placement.moves);
        prop_assert!(spread(&loads(&groups, &nodes)) <= 1);
        prop_assert_eq!(place(&groups).moves, vec![]);
    }

    #[test]
    fn whatever_comes_in_moves_once_and_for_good((drawn, steady) in any_groups()) {
        let nodes = nodes(5);
        let steady = |node: &NodeName| steady[nodes.iter().position(|one| one == node).unwrap()];
        let mut groups = build(&drawn, &nodes);
        let placement = place_on(&groups, steady);
        prop_assert!(placement.moves.iter().all(|order| steady(&order.to)));
        for group in &groups {
            let order = placement.moves.iter().find(|order| order.group == group.id);
            prop_assert!(order.is_none() || group.is_settled);
        }
        apply(&mut groups, &placement.moves);
        prop_assert_eq!(place_on(&groups, steady).moves, vec![]);
    }

    #[test]
    fn the_order_of_the_input_says_nothing((drawn, _) in any_groups(), seed in any::<u64>()) {
        let nodes = nodes(5);
        let groups = build(&drawn, &nodes);
        let mut shuffled = groups.clone();
        let mut state = seed;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for index in (1..shuffled.len()).rev() {
            shuffled.swap(index, next(index + 1));
        }
        for group in &mut shuffled {
            for index in (1..group.candidates.len()).rev() {
                group.candidates.swap(index, next(index + 1));
            }
        }
        prop_assert_eq!(place(&shuffled), place(&groups));
    }

    #[test]
    fn a_candidate_more_takes_no_more_than_its_share((owners, count) in some_owners()) {
        let all = nodes(count + 1);
        let mut even = uniform(&owners, &all[..count]);
        let first = place(&even).moves;
        apply(&mut even, &first);
        let before: Vec<usize> = even.iter().map(|group| {
            all.iter().position(|node| node == group.owner).unwrap()
        }).collect();
        let moves = place(&uniform(&before, &all)).moves;
        prop_assert_eq!(moves.len(), owners.len() / (count + 1));
        prop_assert!(moves.iter().all(|order| order.to == all[count]));
    }
}
