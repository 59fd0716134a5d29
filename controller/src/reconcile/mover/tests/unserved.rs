//! Services that nobody can answer for.

use super::*;

/// What was found for Service `number`.
fn why(stage: &mut Stage, number: usize) -> Option<Unserved> {
    stage.now += PERIOD;
    stage.work();
    let all = stage.mover.take_unserved().expect("a look");
    let key = ServiceKey::new("default".to_owned(), format!("s{number}"));
    all.get(&key).copied()
}

/// A Service with an address and an endpoint on `n1`, that nobody announces yet.
fn stage(policy: &str) -> Stage {
    let mut stage = Stage::new(2, &[]);
    stage.service(1, policy);
    stage.slice(1, &[1]);
    stage
}

#[test]
fn one_that_some_node_may_announce_is_not_among_them() {
    assert_eq!(why(&mut stage("Cluster"), 1), None);
    assert_eq!(why(&mut stage("Local"), 1), None);
}

#[test]
fn without_an_endpoint_nobody_can() {
    let mut stage = stage("Cluster");
    let slice = json!({
        "metadata": {
            "name": "s1-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "s1"},
        },
        "endpoints": [{"nodeName": "n1", "conditions": {"ready": false}}],
    });
    stage.mover.slices(put(facts::slice(object(slice))), stage.now);
    assert_eq!(why(&mut stage, 1), Some(Unserved::NoEndpoints));
    stage.slice(1, &[2]);
    assert_eq!(why(&mut stage, 1), None);
}

#[test]
fn one_that_is_announced_all_the_same_is_not_among_them() {
    let mut stage = stage("Local");
    stage.slice(1, &[3]);
    stage.owns(1, 1, 7);
    assert_eq!(why(&mut stage, 1), None, "its owner waits for an heir");
}

#[test]
fn local_traffic_needs_an_endpoint_where_a_speaker_is() {
    let mut stage = stage("Local");
    stage.slice(1, &[3]);
    assert_eq!(why(&mut stage, 1), Some(Unserved::NoLocalEndpoint));
}

#[test]
fn nobody_can_where_no_speaker_is_at_work() {
    let mut stage = stage("Local");
    stage.speaker(1, "Excluded");
    stage.speaker(2, "Excluded");
    assert_eq!(why(&mut stage, 1), Some(Unserved::NoSpeaker));
}

#[test]
fn nobody_can_where_the_advertisements_select_no_node() {
    let mut stage = stage("Cluster");
    let interfaces = ["eth9".to_owned()].into();
    stage.config.advertisements.get_mut("all").unwrap().interfaces = interfaces;
    stage.revision += 1;
    assert_eq!(why(&mut stage, 1), Some(Unserved::NoNode));
}
