//! What the log says of Services and of the configuration: MetalLB's keys and words, which people
//! search for, and the Service's name, which MetalLB leaves out.

use kit::testing::Log;

use super::*;

/// The lines of MetalLB's event `name`.
fn lines(log: &Log, name: &str) -> Vec<Value> {
    log.take().into_iter().filter(|line| line["event"] == name).collect()
}

#[test]
fn an_address_given_is_logged_with_its_service_and_pool() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[]);
    scene.work();
    let log = Log::collect();
    scene.put(&service("web", 5));
    let line = json!({
        "level": "info", "event": "ipAllocated", "ip": ["10.0.0.0"], "pool": "p",
        "service": "default/web", "msg": "IP address assigned by controller",
    });
    assert_eq!(lines(&log, "ipAllocated"), [line]);
}

#[test]
fn a_refusal_is_logged_once_as_an_error() {
    let mut scene = Scene::new(&[("p", "10.0.0.1/32")], &[served("a", 1, "10.0.0.1", "p")]);
    scene.work();
    let log = Log::collect();
    scene.put(&service("web", 5));
    let line = json!({
        "level": "error", "op": "allocateIPs", "error": "no available IPs", "reason": "exhausted",
        "service": "default/web", "msg": "IP allocation failed",
    });
    assert_eq!(log.take(), [line]);
    scene.put(&service("web", 6));
    assert_eq!(log.take(), [Value::Null; 0]);
}

#[test]
fn what_is_taken_back_is_logged_with_the_reason() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let log = Log::collect();
    let taken = |reason: &str, error: Option<&str>| {
        let mut line = json!({
            "level": "info", "event": "clearAssignment", "reason": reason, "ip": ["10.0.0.7"],
            "service": "default/web", "msg": "address taken back",
        });
        if let Some(error) = error {
            line["error"] = json!(error);
        }
        line
    };
    let mut object = served("web", 9, "10.0.0.7", "p");
    object["spec"]["type"] = json!("ClusterIP");
    scene.put(&object);
    assert_eq!(lines(&log, "clearAssignment"), [taken("notLoadBalancer", None)]);

    for (change, reason, error) in [
        (json!({"spec": {"loadBalancerIP": "10.0.0.9"}}), "differentIPRequested", None),
        (
            json!({"metadata": {"annotations": {"metallb.io/address-pool": "q"}}}),
            "differentPoolRequested",
            None,
        ),
    ] {
        let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
        scene.work();
        let mut object = served("web", 9, "10.0.0.7", "p");
        json_patch(&mut object, &change);
        scene.put(&object);
        assert_eq!(lines(&log, "clearAssignment"), [taken(reason, error)]);
    }

    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let mut narrow = pool("p", 9, "10.0.0.0/24");
    narrow.spec.service_allocation =
        serde_json::from_value(json!({"namespaces": ["elsewhere"]})).unwrap();
    scene.pools(Change::Put(narrow));
    let error = "pool p not compatible for ip assignment";
    assert_eq!(lines(&log, "clearAssignment"), [taken("poolNotCompatible", Some(error))]);
}

#[test]
fn a_service_that_is_gone_is_logged_with_what_it_had() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[served("web", 1, "10.0.0.7", "p")]);
    scene.work();
    let log = Log::collect();
    scene.delete("web");
    let line = json!({
        "level": "info", "event": "serviceDeleted", "ip": ["10.0.0.7"], "service": "default/web",
        "msg": "service deleted",
    });
    assert_eq!(lines(&log, "serviceDeleted"), [line]);
}

#[test]
fn bad_configuration_is_logged_once_by_the_text_that_metallb_documents() {
    let mut scene = Scene::new(&[("p", "10.0.0.0/24")], &[]);
    scene.work();
    let log = Log::collect();
    scene.pools(Change::Put(pool("p", 9, "oops")));
    let problem = scene.desk.problems()[0].to_string();
    assert!(problem.contains("invalid CIDR \"oops\" in pool \"p\""), "{problem}");
    let line = json!({
        "level": "error", "error": problem, "reason": "invalidRange",
        "msg": "failed to parse the configuration",
    });
    assert_eq!(log.take(), [line]);
    scene.pools(Change::Put(pool("p", 10, "oops")));
    assert_eq!(log.take(), [Value::Null; 0]);
    scene.pools(Change::Put(pool("p", 11, "10.0.0.0/25")));
    assert_eq!(lines(&log, "config reloaded").len(), 1);
}
