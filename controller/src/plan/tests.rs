use std::collections::BTreeSet;

use serde_json::json;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::*;
use crate::alloc::settle::Lost;
use crate::alloc::{Claim, Held};
use crate::fixtures::{ip, ips, key, request};

fn facts(addresses: &[&str], pool: Option<&str>) -> Facts {
    Facts {
        key: key("web"),
        uid: "u".to_owned(),
        version: "7".to_owned(),
        created: 0,
        asks: Asks::Address(Box::new(request("web"))),
        held: Held { addresses: ips(addresses), pool: pool.map(Into::into) },
        is_plain: true,
        is_local: false,
        conditions: Vec::new(),
        deprecated: Vec::new(),
    }
}

fn target(addresses: &[&str], pool: Option<&str>) -> Target {
    Target {
        addresses: ips(addresses),
        pool: pool.map(Into::into),
        refused: None,
        announced: Said::Nothing,
    }
}

fn settled(addresses: &[&str], news: News) -> Settled {
    let claim = Claim {
        pool: "p".into(),
        addresses: ips(addresses),
        ports: BTreeSet::new(),
        sharing: None,
        reserved: false,
    };
    Settled { claim: (!addresses.is_empty()).then_some(claim), news, lost: None, refusal: None }
}

fn texts(events: &[Event]) -> Vec<(&'static str, &str)> {
    events.iter().map(|event| (event.reason, event.message.as_str())).collect()
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

#[test]
fn an_allocation_is_one_patch_bound_to_what_was_judged() {
    let patch = patch(&facts(&[], None), &target(&["192.0.2.1"], Some("p")), NOW);
    assert_eq!(
        patch,
        Some(json!({
            "metadata": {
                "resourceVersion": "7",
                "annotations": {"metallb.io/ip-allocated-from-pool": "p"},
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        }))
    );
}

#[test]
fn what_is_as_it_should_be_is_not_written() {
    let facts = facts(&["192.0.2.1"], Some("p"));
    assert_eq!(patch(&facts, &target(&["192.0.2.1"], Some("p")), NOW), None);
}

#[test]
fn a_renamed_pool_changes_the_annotation_alone() {
    let facts = facts(&["192.0.2.1"], Some("old"));
    let patch = patch(&facts, &target(&["192.0.2.1"], Some("p")), NOW).unwrap();
    assert_eq!(patch.get("status"), None);
}

#[test]
fn clearing_takes_addresses_and_annotation() {
    let patch = patch(&facts(&["192.0.2.1"], Some("p")), &target(&[], None), NOW).unwrap();
    assert_eq!(patch["status"], json!({"loadBalancer": {"ingress": null}}));
    assert_eq!(
        patch["metadata"]["annotations"],
        json!({"metallb.io/ip-allocated-from-pool": null})
    );
}

#[test]
fn the_condition_comes_and_goes_and_leaves_others_alone() {
    let mut facts = facts(&["192.0.2.1"], Some("p"));
    let other = Condition {
        type_: "example.com/Other".to_owned(),
        status: "True".to_owned(),
        reason: "R".to_owned(),
        message: String::new(),
        last_transition_time: Time(NOW),
        observed_generation: None,
    };
    facts.conditions.push(other.clone());
    let mut wanted = target(&["192.0.2.1"], Some("p"));
    wanted.announced = Said::No { reason: "NoAdvertisement", message: "nobody".to_owned() };
    let first = patch(&facts, &wanted, NOW).unwrap();
    let written: Vec<Condition> =
        serde_json::from_value(first["status"]["conditions"].clone()).unwrap();
    assert_eq!(written[0], other);
    assert_eq!(written[1].type_, "ferrolb.io/Announced");
    assert_eq!((written[1].status.as_str(), written[1].message.as_str()), ("False", "nobody"));

    facts.conditions = written;
    assert!(said::says_not_announced(&facts, "NoAdvertisement"));
    assert_eq!(patch(&facts, &wanted, Timestamp::MAX), None);
    wanted.announced = Said::AsItIs;
    assert_eq!(patch(&facts, &wanted, NOW), None);
    wanted.announced = Said::Nothing;
    let mended = patch(&facts, &wanted, NOW).unwrap();
    assert_eq!(mended["status"]["conditions"], json!([other]));
}

#[test]
fn an_allocation_is_told_as_metallb_tells_it() {
    let mut facts = facts(&[], None);
    let settled = settled(&["192.0.2.1", "fc00::1"], News::Assigned);
    let events = super::events(&facts, &settled, None);
    let assigned = ("IPAllocated", "Assigned IP [\"192.0.2.1\" \"fc00::1\"]");
    assert_eq!(texts(&events), [assigned]);
    assert_eq!(events[0].about.kind.as_deref(), Some("Service"));
    facts.deprecated.push("metallb.universe.tf/allow-shared-ip".to_owned());
    let events = super::events(&facts, &settled, None);
    let deprecated = (
        "deprecatedAnnotation",
        "Service uses deprecated annotation metallb.universe.tf/allow-shared-ip",
    );
    assert_eq!(texts(&events), [assigned, deprecated]);
}

#[test]
fn keeping_what_it_has_is_no_news() {
    let mut facts = facts(&["192.0.2.1"], Some("p"));
    facts.deprecated.push("metallb.universe.tf/allow-shared-ip".to_owned());
    assert_eq!(super::events(&facts, &settled(&["192.0.2.1"], News::None), None), []);
}

#[test]
fn an_added_address_is_told_by_itself() {
    let news = News::Added(ip("fc00::1"));
    let events = super::events(&facts(&[], None), &settled(&["192.0.2.1", "fc00::1"], news), None);
    assert_eq!(texts(&events), [("IPAllocated", "Assigned additional IP \"fc00::1\"")]);
}

#[test]
fn a_refusal_is_told_once_and_again_when_it_is_another() {
    let facts = facts(&[], None);
    let mut settled = settled(&[], News::None);
    settled.refusal = Some(Refusal::Exhausted);
    let events = super::events(&facts, &settled, None);
    let text = "Failed to allocate IP for \"default/web\": no available IPs";
    assert_eq!(texts(&events), [("AllocationFailed", text)]);
    assert_eq!(events[0].severity, Severity::Warning);
    assert_eq!(super::events(&facts, &settled, Some(&Refusal::Exhausted)), []);
    let other = Refusal::UnknownPool("x".into());
    assert_eq!(super::events(&facts, &settled, Some(&other)).len(), 1);
}

#[test]
fn a_lost_address_is_told_only_when_a_rule_took_it() {
    let facts = facts(&["192.0.2.1"], Some("p"));
    let mut settled = settled(&["198.51.100.1"], News::Assigned);
    let lost = |why| Lost { addresses: ips(&["192.0.2.1"]), why };
    settled.lost = Some(lost(Why::NotAllowed(Refusal::OutsideEveryPool(ips(&["192.0.2.1"])))));
    let events = super::events(&facts, &settled, None);
    let text = "current IP for \"default/web\" not allowed by config, will attempt for new IP \
                assignment: [\"192.0.2.1\"] is not allowed in config";
    assert_eq!(texts(&events)[0], ("ClearAssignment", text));
    settled.lost = Some(lost(Why::OtherPoolWanted));
    assert_eq!(super::events(&facts, &settled, None).len(), 1);

    let two = ips(&["192.0.2.1", "192.0.2.2"]);
    let why = Why::NoFamily(Refusal::SameFamily(two.clone()));
    settled.lost = Some(Lost { addresses: two, why });
    let events = super::events(&facts, &settled, None);
    let text = "Failed to retrieve LBIPs IPFamily for [\"192.0.2.1\" \"192.0.2.2\"]: \
                IPFamilyForAddresses: same address family [\"192.0.2.1\" \"192.0.2.2\"]";
    assert_eq!(texts(&events)[0], ("nolbIPsIPFamily", text));
    assert_eq!(events[0].severity, Severity::Warning);
}

#[test]
fn refusals_of_other_kinds_have_their_own_reasons() {
    let mut unreadable = request("web");
    unreadable.wanted = Wanted::Unreadable(Refusal::AskedTwice);
    let mut facts = facts(&["192.0.2.1"], Some("p"));
    facts.asks = Asks::Address(Box::new(unreadable));
    let mut settled = settled(&["192.0.2.1"], News::None);
    settled.refusal = Some(Refusal::AskedTwice);
    let events = super::events(&facts, &settled, None);
    let text = "invalid requested loadbalancer IPs: service can not have both \
                metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP";
    assert_eq!(texts(&events), [("LoadBalancerFailed", text)]);

    let lacking = Refusal::NotEnoughClusterIps(vec!["10.0.0.1".to_owned()]);
    facts.asks = Asks::Impossible(lacking.clone());
    settled.claim = None;
    settled.refusal = Some(lacking);
    let events = super::events(&facts, &settled, None);
    let text = "Service requires dual stack but not enough clusterips [10.0.0.1]";
    assert_eq!(texts(&events), [("not enough clusterips", text)]);
}

#[test]
fn a_second_address_that_cannot_be_had_is_told_and_the_first_is_kept() {
    let facts = facts(&["192.0.2.1"], Some("p"));
    let mut settled = settled(&["192.0.2.1"], News::None);
    settled.refusal = Some(Refusal::PoolExhausted("p".into()));
    let events = super::events(&facts, &settled, None);
    let text = "cannot assign additional IP in PreferDualStack: no available IPs in pool p";
    assert_eq!(texts(&events), [("AdditionalAssignFailed", text)]);
    assert_eq!(events[0].severity, Severity::Normal);
    assert_eq!(super::events(&facts, &settled, settled.refusal.as_ref()), []);
}

#[test]
fn severities_are_metallbs() {
    let facts = facts(&["192.0.2.1"], Some("p"));
    let mut settled = settled(&["192.0.2.1"], News::Assigned);
    let why = Why::NotAllowed(Refusal::OutsideEveryPool(ips(&["192.0.2.9"])));
    settled.lost = Some(Lost { addresses: ips(&["192.0.2.9"]), why });
    let facts = Facts { deprecated: vec!["metallb.universe.tf/address-pool".to_owned()], ..facts };
    let events = super::events(&facts, &settled, None);
    let told: Vec<_> = events.iter().map(|event| (event.reason, event.severity)).collect();
    let expected = [
        ("ClearAssignment", Severity::Normal),
        ("IPAllocated", Severity::Normal),
        ("deprecatedAnnotation", Severity::Warning),
    ];
    assert_eq!(told, expected);
}
