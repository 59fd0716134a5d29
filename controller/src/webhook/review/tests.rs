use serde_json::json;

use super::*;
use crate::webhook::question::GroupKind;

const HOME: &str = "metallb-system";

fn question(old: Option<Value>, new: Option<Value>) -> Question {
    let operation = match (&old, &new) {
        (None, Some(_)) => Operation::Create,
        (Some(_), Some(_)) => Operation::Update,
        (_, None) => Operation::Delete,
    };
    Question {
        uid: "u".to_owned(),
        kind: GroupKind { group: "metallb.io".to_owned(), kind: "IPAddressPool".to_owned() },
        operation,
        namespace: Some(HOME.to_owned()),
        object: new,
        old_object: old,
    }
}

fn pool(name: &str, addresses: &str) -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": {"name": name, "namespace": HOME}, "spec": {"addresses": [addresses]},
    })
}

fn advertisement(spec: &Value) -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
        "metadata": {"name": "a", "namespace": HOME}, "spec": spec,
    })
}

fn exist(pools: &[Value]) -> Resources {
    let read = |pool: &Value| serde_json::from_value(pool.clone()).unwrap();
    Resources { pools: pools.iter().map(read).collect(), ..Resources::default() }
}

/// What a user is told who is denied.
fn text(verdict: &Verdict) -> String {
    verdict.denial.as_ref().unwrap().to_string()
}

#[test]
fn a_bad_pool_is_denied_with_object_field_and_cause() {
    let bad = pool("bad", "192.0.2.9-192.0.2.1");
    assert_eq!(at_once(Subject::Pool, &question(None, Some(bad.clone())), HOME), None);
    let why = "IPAddressPool \"bad\": spec.addresses[0]: invalid CIDR \"192.0.2.9-192.0.2.1\" in \
               pool \"bad\": invalid IP range \"192.0.2.9-192.0.2.1\": start IP \"192.0.2.9\" is \
               after the end IP \"192.0.2.1\"";
    let verdict = judge(Subject::Pool, &bad, &exist(&[]));
    assert_eq!(text(&verdict), why);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let mut bad = pool("bad", "x");
    bad["spec"]["addresses"] = json!(["192.0.2.1", "192.0.2.0/40"]);
    let denial = text(&judge(Subject::Pool, &bad, &exist(&[])));
    assert!(denial.contains("spec.addresses[0]") && denial.contains("; IPAddressPool"), "{denial}");
}

#[test]
fn a_broken_object_beside_it_does_not_hold_up_a_good_one() {
    let mut beside = exist(&[pool("broken", "192.0.2.0/40"), pool("empty", "")]);
    beside.unreadable.push(crds::model::compile::Unreadable {
        kind: Kind::IpAddressPool,
        name: "odd".to_owned(),
        error: "spec: expected a map".to_owned(),
    });
    let verdict = judge(Subject::Pool, &pool("good", "192.0.2.0/24"), &beside);
    assert_eq!(verdict, Verdict::default());
    let named = advertisement(&json!({"ipAddressPools": ["broken", "odd"]}));
    assert_eq!(judge(Subject::Advertisement, &named, &beside), Verdict::default());
}

#[test]
fn addresses_of_a_pool_in_force_are_denied_to_another() {
    let taken = exist(&[pool("first", "192.0.2.0/24")]);
    let denial = text(&judge(Subject::Pool, &pool("second", "192.0.2.128/25"), &taken));
    let why = "CIDR \"192.0.2.128/25\" in pool \"second\" overlaps with already defined CIDR \
               \"192.0.2.0/24\"";
    assert!(denial.contains(why), "{denial}");
    // To itself they are not.
    assert_eq!(judge(Subject::Pool, &pool("first", "192.0.2.128/25"), &taken), Verdict::default());
}

#[test]
fn what_fits_no_type_is_denied_and_not_a_failure() {
    let mut odd = pool("odd", "192.0.2.0/24");
    odd["spec"]["addresses"] = json!(5);
    let denial = text(&judge(Subject::Pool, &odd, &exist(&[])));
    assert!(denial.starts_with("IPAddressPool \"odd\": spec: cannot be read: "), "{denial}");
    let denial = text(&judge(Subject::Advertisement, &advertisement(&json!(5)), &exist(&[])));
    assert!(denial.starts_with("L2Advertisement \"a\": spec: cannot be read: "));
}

#[test]
fn an_advertisement_is_judged_and_told_of_pools_that_are_not_there() {
    let known = exist(&[pool("p", "192.0.2.0/24")]);
    let twice = advertisement(&json!({"ipAddressPools": ["p", "p"]}));
    let denial = text(&judge(Subject::Advertisement, &twice, &known));
    let why = "spec.ipAddressPools[1]: duplicate definition of ipAddressPools \"p\"";
    assert!(denial.ends_with(why), "{denial}");
    let unknown = advertisement(&json!({"ipAddressPools": ["q", "p"]}));
    let verdict = judge(Subject::Advertisement, &unknown, &known);
    let warnings = vec!["there is no IPAddressPool \"q\" (yet)".to_owned()];
    assert_eq!(verdict, Verdict { denial: None, warnings });
    assert_eq!(judge(Subject::Advertisement, &advertisement(&json!({})), &known).warnings, [""; 0]);
}

#[test]
fn a_bad_object_may_lose_its_finalizer_and_be_labelled_but_not_changed() {
    let bad = pool("bad", "x");
    let mut labelled = bad.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    labelled["metadata"]["finalizers"] = json!([]);
    let asked =
        |new: &Value| at_once(Subject::Pool, &question(Some(bad.clone()), Some(new.clone())), HOME);
    assert_eq!(asked(&labelled), Some(Verdict::default()));
    let mut other = labelled.clone();
    other["spec"]["autoAssign"] = json!(false);
    assert_eq!(asked(&other), None);
    other["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(asked(&other), Some(Verdict::default()));
}

#[test]
fn objects_are_made_at_home_only_and_elsewhere_can_still_be_changed() {
    for (_, subject) in Subject::ALL {
        let mut made = question(None, Some(pool("p", "x")));
        made.namespace = Some("elsewhere".to_owned());
        let why = "resource must be created in metallb-system namespace";
        assert_eq!(text(&at_once(subject, &made, HOME).unwrap()), why, "{subject:?}");
        let mut changed = question(Some(pool("p", "x")), Some(pool("p", "y")));
        changed.namespace = Some("elsewhere".to_owned());
        let verdict = at_once(subject, &changed, HOME).unwrap();
        assert!(verdict.denial.is_none() && verdict.warnings.len() == 1, "{subject:?}");
    }
}

#[test]
fn what_is_about_bgp_is_kept_with_a_warning() {
    for (_, subject) in Subject::ALL {
        let Subject::Bgp(kind) = subject else { continue };
        let verdict = at_once(subject, &question(None, Some(json!({"spec": {}}))), HOME).unwrap();
        assert_eq!(verdict.denial, None);
        assert!(verdict.warnings[0].contains(kind), "{verdict:?}");
        let deleted = question(Some(json!({"spec": {}})), None);
        assert_eq!(at_once(subject, &deleted, HOME), Some(Verdict::default()));
    }
}
