//! What a Service says about where it may be.

use super::*;

#[test]
fn local_services_go_to_nodes_with_endpoints_only() {
    let mut stage = Stage::new(3, &[1, 1, 1]);
    for number in 1..=3 {
        stage.service(number, "Local");
        stage.slice(number, &[1, 3]);
    }
    assert_eq!(stage.run(90), ["10.0.0.1@7 n1->n3"]);
}

#[test]
fn a_service_whose_endpoints_move_is_waited_for_and_holds_up_no_other() {
    let mut stage = Stage::new(2, &[1, 1, 1]);
    stage.service(1, "Local");
    stage.slice(1, &[1, 2]);
    stage.run(80 - 20);
    stage.slice(1, &[2, 1, 3]);
    assert_eq!(stage.run(70), ["10.0.0.2@7 n1->n2"]);
}

#[test]
fn interfaces_that_a_node_lacks_rule_it_out() {
    let mut stage = Stage::new(2, &[1, 1, 1]);
    let advertisement = stage.config.advertisements.get_mut("all").unwrap();
    advertisement.interfaces = ["eth9".to_owned()].into();
    assert_eq!(stage.run(300), [] as [&str; 0]);
}

#[test]
fn a_preferred_node_is_given_its_own() {
    let mut stage = Stage::new(2, &[1, 2]);
    let preferred: Labels = [("fast".to_owned(), "yes".to_owned())].into();
    stage.node(2, &json!(preferred), "True");
    let advertisement = stage.config.advertisements.get_mut("all").unwrap();
    advertisement.preferences = object(json!([
        {"weight": 50, "selector": {"requirements": [{"key": "fast", "test": {"In": ["yes"]}}]}},
    ]));
    assert_eq!(stage.run(90), ["10.0.0.1@7 n1->n2"]);
    assert_eq!(stage.mover.take_ordered(), [("preference", 1)].into());
}

#[test]
fn what_does_not_say_its_claim_is_not_moved() {
    let mut stage = Stage::new(2, &[1, 1, 1]);
    for number in 1..=3 {
        stage.status(number, 1, &json!({}));
    }
    assert_eq!(stage.run(300), [] as [&str; 0]);
    assert_eq!(stage.mover.spread(), 3);
}
