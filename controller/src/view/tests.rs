use serde_json::{Value, json};

use super::*;
use crate::fixtures::{ip, ips, tcp, udp};

/// A Service as the API server gives it, with what `change` adds or replaces.
fn service(change: Value) -> Service {
    let mut object = json!({
        "metadata": {
            "name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7",
            "creationTimestamp": "1970-01-01T00:01:00Z",
        },
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"],
            "ports": [{"port": 80}],
        },
    });
    merge(&mut object, change);
    serde_json::from_value(object).unwrap()
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

fn annotated(annotations: &Value) -> Service {
    service(json!({"metadata": {"annotations": annotations}}))
}

fn request(service: &Service) -> Request {
    match facts(service, None).asks {
        Asks::Address(request) => *request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_service_asks_for_one_address_of_its_family() {
    let facts = facts(&service(json!({})), None);
    assert_eq!((facts.created, facts.version.as_str()), (60, "7"));
    assert!(facts.is_plain && facts.held == Held::default());
    let request = request(&service(json!({})));
    assert_eq!(request.need, Need::Single(Family::V4));
    assert_eq!(request.wanted, Wanted::Any);
    assert_eq!(request.ports, [tcp(80)].into());
    let six = service(json!({"spec": {"clusterIP": "fd00::5", "clusterIPs": ["fd00::5"]}}));
    assert_eq!(self::request(&six).need, Need::Single(Family::V6));
}

#[test]
fn the_class_must_be_equal() {
    for (of_service, ours, is_for_us) in [
        (None, None, true),
        (None, Some("x"), false),
        (Some("x"), None, false),
        (Some("x"), Some("x"), true),
        (Some("x"), Some("y"), false),
    ] {
        let asks = facts(&service(json!({"spec": {"loadBalancerClass": of_service}})), ours).asks;
        let case = format!("{of_service:?} {ours:?}");
        assert_eq!(asks != Asks::Nothing(Skip::OtherClass), is_for_us, "{case}");
    }
}

/// Changing the type also takes the class away, so a controller of a class must look at the type
/// first, or what it gave would never come back (weakness C9).
#[test]
fn a_service_that_is_no_load_balancer_any_more_is_known_as_such_whatever_our_class() {
    for ours in [None, Some("x")] {
        let asks = facts(&service(json!({"spec": {"type": "ClusterIP"}})), ours).asks;
        assert_eq!(asks, Asks::Nothing(Skip::NotLoadBalancer), "{ours:?}");
    }
    let nameless = service(json!({"spec": {"clusterIP": "", "clusterIPs": []}}));
    assert_eq!(facts(&nameless, None).asks, Asks::Nothing(Skip::NoClusterIps));
    let odd = service(json!({"spec": {"clusterIPs": ["10.96.0.5", "x"]}}));
    assert_eq!(facts(&odd, None).asks, Asks::Unclear, "nothing is taken away for that");
}

#[test]
fn each_annotation_is_read_by_presence() {
    let both = |name: &str| {
        json!({
            format!("metallb.io/{name}"): "",
            format!("metallb.universe.tf/{name}"): "192.0.2.5",
        })
    };
    assert_eq!(request(&annotated(&both("loadBalancerIPs"))).wanted, Wanted::Any);
    assert_eq!(request(&annotated(&both("allow-shared-ip"))).sharing, None);
    // The one that says where an address came from is never read under its old name.
    let old = json!({"metallb.universe.tf/ip-allocated-from-pool": "p"});
    assert_eq!(facts(&annotated(&old), None).held.pool, None);
}

#[test]
fn both_annotation_prefixes_count_and_the_current_one_wins_by_presence() {
    for (annotations, expected) in [
        (json!({"metallb.io/address-pool": "a"}), Some("a")),
        (json!({"metallb.universe.tf/address-pool": "b"}), Some("b")),
        (
            json!({"metallb.io/address-pool": "a", "metallb.universe.tf/address-pool": "b"}),
            Some("a"),
        ),
        (json!({"metallb.io/address-pool": "", "metallb.universe.tf/address-pool": "b"}), None),
    ] {
        let pool = request(&annotated(&annotations)).wanted_pool;
        assert_eq!(pool, expected.map(PoolName::from), "{annotations}");
    }
    let deprecated = json!({"metallb.universe.tf/address-pool": "b"});
    let deprecated = facts(&annotated(&deprecated), None).deprecated;
    assert_eq!(deprecated, ["metallb.universe.tf/address-pool"]);
}

#[test]
fn addresses_are_asked_for_by_annotation_or_by_the_old_field() {
    let these = |texts: &[&str]| Wanted::These(ips(texts));
    let unreadable = Wanted::Unreadable;
    let annotation =
        |text: &str| json!({"metadata": {"annotations": {"metallb.io/loadBalancerIPs": text}}});
    for (change, expected) in [
        (json!({"spec": {"loadBalancerIP": "192.0.2.5"}}), these(&["192.0.2.5"])),
        (annotation(" fc00::5 , 192.0.2.5"), these(&["fc00::5", "192.0.2.5"])),
        (annotation(""), Wanted::Any),
        (annotation("::ffff:192.0.2.5"), these(&["192.0.2.5"])),
        (
            json!({
                "spec": {"loadBalancerIP": "192.0.2.5"},
                "metadata": {"annotations": {"metallb.universe.tf/loadBalancerIPs": "192.0.2.5"}},
            }),
            unreadable(Refusal::AskedTwice),
        ),
        (annotation("192.0.2.5,"), unreadable(Refusal::InvalidAnnotation("192.0.2.5,".to_owned()))),
        (
            json!({"spec": {"loadBalancerIP": "x"}}),
            unreadable(Refusal::InvalidField("x".to_owned())),
        ),
        (
            annotation("192.0.2.5,192.0.2.6"),
            unreadable(Refusal::SameFamily(ips(&["192.0.2.5", "192.0.2.6"]))),
        ),
        (
            annotation("192.0.2.5,fc00::1,fc00::2"),
            unreadable(Refusal::TooMany(ips(&["192.0.2.5", "fc00::1", "fc00::2"]))),
        ),
    ] {
        assert_eq!(request(&service(change.clone())).wanted, expected, "{change}");
    }
}

#[test]
fn a_local_service_shares_by_its_selector() {
    let shared = |policy: &str, selector: Value| {
        let change = json!({
            "metadata": {"annotations": {"metallb.universe.tf/allow-shared-ip": "dns"}},
            "spec": {
                "externalTrafficPolicy": policy,
                "selector": selector,
                "ports": [{"port": 53, "protocol": "UDP"}],
            },
        });
        request(&service(change))
    };
    for (policy, selector, backend) in [
        ("Cluster", json!({"a": "1"}), ""),
        ("Local", json!({"b": "2", "a": "1"}), "a=1,b=2"),
        ("Local", json!({}), ""),
    ] {
        let request = shared(policy, selector);
        let sharing = request.sharing.unwrap();
        assert_eq!((sharing.key.as_str(), sharing.backend.as_str()), ("dns", backend));
        assert_eq!(request.ports, [udp(53)].into());
    }
    assert_eq!(request(&service(json!({}))).sharing, None);
}

#[test]
fn two_cluster_ips_need_two_addresses_by_policy() {
    for (policy, first, expected) in
        [("RequireDualStack", "IPv6", Policy::Require), ("PreferDualStack", "IPv4", Policy::Prefer)]
    {
        let request = request(&service(json!({"spec": {
            "clusterIPs": ["10.96.0.5", "fd00::5"],
            "ipFamilyPolicy": policy,
            "ipFamilies": [first],
        }})));
        let primary = if first == "IPv6" { Family::V6 } else { Family::V4 };
        let policy = expected;
        assert_eq!(request.need, Need::Dual { policy, primary });
    }
    let lacking = service(json!({"spec": {"ipFamilyPolicy": "RequireDualStack"}}));
    let refusal = Refusal::NotEnoughClusterIps(vec!["10.96.0.5".to_owned()]);
    assert_eq!(facts(&lacking, None).asks, Asks::Impossible(refusal));
}

#[test]
fn the_ip_mode_that_the_api_server_fills_in_makes_no_difference() {
    let status = |entry: Value| json!({"status": {"loadBalancer": {"ingress": [entry]}}});
    let plain = facts(&service(status(json!({"ip": "192.0.2.5"}))), None);
    let filled = facts(&service(status(json!({"ip": "192.0.2.5", "ipMode": "VIP"}))), None);
    assert_eq!(plain, filled);
    assert!(plain.is_plain);
    assert_eq!(plain.held.addresses, [ip("192.0.2.5")]);
    let foreign = facts(&service(status(json!({"hostname": "lb.example"}))), None);
    assert!(!foreign.is_plain);
}

#[test]
fn stripping_takes_away_nothing_that_is_read() {
    let mut object = annotated(&json!({
        "metallb.io/address-pool": "a",
        "metallb.universe.tf/allow-shared-ip": "k",
        "metallb.io/ip-allocated-from-pool": "a",
        "kubectl.kubernetes.io/last-applied-configuration": "{...}",
    }));
    let before = facts(&object, None);
    strip(&mut object);
    assert_eq!(facts(&object, None), before);
    assert_eq!(object.metadata.annotations.unwrap().len(), 3);
}
