//! The life of an order.

use super::*;

#[test]
fn an_order_is_void_when_the_claim_is_another() {
    let mut stage = Stage::new(2, &[1, 1, 1]);
    assert_eq!(stage.run(90), ["10.0.0.1@7 n1->n2"]);
    stage.owns(1, 1, 9);
    // The group has just changed, so another one goes.
    assert_eq!(stage.run(110), ["10.0.0.2@7 n1->n2"]);
}

#[test]
fn an_order_goes_when_the_node_it_names_does() {
    let mut stage = Stage::new(2, &[1, 1, 1]);
    assert_eq!(stage.run(90), ["10.0.0.1@7 n1->n2"]);
    stage.node(2, &json!({}), "Unknown");
    assert_eq!(stage.run(300), ["n1: nothing"]);
}

#[test]
fn an_order_that_nobody_carries_out_makes_way_for_another() {
    let mut stage = Stage::new(2, &[1, 1, 1]);
    assert_eq!(stage.run(90), ["10.0.0.1@7 n1->n2"]);
    assert_eq!(stage.run(180), ["10.0.0.2@7 n1->n2"]);
}

#[test]
fn only_a_few_are_under_way_at_one_time() {
    let mut stage = Stage::new(2, &[1; 40]);
    stage.run(90);
    assert_eq!(stage.standing().len(), 10);
    stage.owns(1, 2, 8);
    stage.run(100);
    assert_eq!(stage.standing().len(), 10);
    assert!(stage.standing().iter().all(|order| order.address != "10.0.0.1"));
    assert_eq!(stage.mover.take_ordered(), [("spread", 11)].into());
}

#[test]
fn a_new_leader_takes_over_what_still_holds() {
    let mut stage = Stage::new(2, &[]);
    let order = |number: usize, claim| MoveOrder {
        address: format!("10.0.0.{number}"),
        claim,
        to: "n2".to_owned(),
        epoch: 2,
    };
    stage.orders.insert("n1".to_owned(), vec![order(1, 7), order(2, 6)]);
    stage.speaker(1, "Active");
    for number in 1..=3 {
        stage.service(number, "Cluster");
        stage.slice(number, &[]);
        stage.owns(number, 1, 7);
    }
    assert_eq!(stage.run(5), ["10.0.0.1@7 n1->n2"]);
    assert_eq!(stage.standing(), [&MoveOrder { epoch: 3, ..order(1, 7) }]);
}

#[test]
fn when_turned_off_orders_are_taken_back_and_none_given() {
    let mut stage = Stage::with(Moves::Off, 2, &[1, 1, 1]);
    let order =
        MoveOrder { address: "10.0.0.1".to_owned(), claim: 7, to: "n2".to_owned(), epoch: 2 };
    stage.orders.insert("n1".to_owned(), vec![order]);
    stage.speaker(1, "Active");
    assert_eq!(stage.run(300), ["n1: nothing"]);
    assert_eq!(stage.mover.spread(), 3);
}

#[test]
fn a_write_that_fails_is_tried_again_after_a_pause() {
    let mut stage = Stage::new(2, &[1, 1, 1]);
    let mut tries = Vec::new();
    while stage.now < 80 * SECOND {
        for (node, _) in stage.work() {
            tries.push(stage.now);
            stage.mover.written(&node, None, stage.now);
        }
        stage.now += SECOND;
    }
    assert!(tries.len() >= 3, "{tries:?}");
    assert!(tries.windows(2).all(|pair| pair[1] >= pair[0] + PAUSE), "{tries:?}");
}
