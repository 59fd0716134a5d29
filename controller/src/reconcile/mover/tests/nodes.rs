//! Nodes that are given nothing.

use super::*;

#[test]
fn a_node_that_flaps_gets_nothing() {
    let mut stage = Stage::new(2, &[1, 1, 1, 1]);
    for _ in 0..10 {
        stage.node(2, &json!({}), "Unknown");
        assert_eq!(stage.run(stage.now.as_secs() + 5), [] as [&str; 0]);
        stage.node(2, &json!({}), "True");
        assert_eq!(stage.run(stage.now.as_secs() + 55), [] as [&str; 0]);
    }
    assert_eq!(stage.run(stage.now.as_secs() + 10).len(), 1);
}

#[test]
fn nor_does_one_that_flaps_so_briefly_that_only_its_speaker_notices() {
    let mut stage = Stage::new(2, &[1, 1, 1, 1]);
    for returns in 1..=10 {
        stage.returned(2, returns);
        assert_eq!(stage.run(stage.now.as_secs() + 55), [] as [&str; 0], "{returns}");
    }
    // Its speaker was started anew, which costs nobody anything.
    stage.returned(2, 0);
    assert_eq!(stage.run(stage.now.as_secs() + 10).len(), 1);
}

#[test]
fn a_dead_node_gets_nothing_back_before_kubernetes_notices_that_it_is_dead() {
    let mut stage = Stage::new(3, &[1, 2, 3, 1, 2, 3, 1, 2, 3]);
    stage.run(200);
    // Node 3 dies: the others take over, its Node object goes on saying that it is ready.
    for (number, owner) in [(3, 1), (6, 2), (9, 1)] {
        stage.owns(number, owner, 8);
    }
    assert_eq!(stage.run(255), [] as [&str; 0]);
    stage.node(3, &json!({}), "Unknown");
    assert_eq!(stage.run(600), [] as [&str; 0]);
}

#[test]
fn excluded_draining_and_silent_nodes_get_nothing() {
    for (labels, state) in [
        (json!({"node.kubernetes.io/exclude-from-external-load-balancers": ""}), "Active"),
        (json!({"ferrolb.io/drain": "true"}), "Active"),
        (json!({}), "Draining"),
        (json!({}), "Excluded"),
    ] {
        let mut stage = Stage::new(1, &[1, 1, 1]);
        stage.node(2, &labels, "True");
        stage.speaker(2, state);
        assert_eq!(stage.run(300), [] as [&str; 0], "{labels} {state}");
    }
    let mut stage = Stage::new(1, &[1, 1, 1]);
    stage.node(2, &json!({}), "True");
    assert_eq!(stage.run(300), [] as [&str; 0], "without a Speaker object");
}

/// Who announces is its speaker's business: a node that Kubernetes calls not ready may answer well.
#[test]
fn a_node_that_is_not_ready_keeps_what_it_announces() {
    let mut stage = Stage::new(3, &[1, 2, 3]);
    stage.node(1, &json!({}), "False");
    assert_eq!(stage.run(300), [] as [&str; 0]);
}
