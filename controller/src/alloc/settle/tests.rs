use super::*;
use crate::fixtures::*;

fn held(addresses: &[&str]) -> Held {
    Held { addresses: ips(addresses), pool: Some("p".into()) }
}

fn simple() -> Config {
    config([pool("p", &["192.0.2.0/24"]), pool("q", &["198.51.100.0/24"])])
}

fn addresses(settled: &Settled) -> Vec<String> {
    let claim = settled.claim.iter();
    claim.flat_map(|claim| claim.addresses.iter().map(ToString::to_string)).collect()
}

#[test]
fn what_a_service_has_is_kept_whatever_is_free() {
    let (mut ledger, config) = (Ledger::default(), simple());
    let settled = settle(&mut ledger, &config, &request("a"), &held(&["192.0.2.77"]));
    assert_eq!(addresses(&settled), ["192.0.2.77"]);
    assert_eq!(settled.news, News::None);
    assert_eq!((settled.lost, settled.refusal), (None, None));
}

#[test]
fn the_ledger_goes_before_an_object_not_written_yet() {
    let (mut ledger, config) = (Ledger::default(), simple());
    let first = settle(&mut ledger, &config, &request("a"), &Held::default());
    assert_eq!(first.news, News::Assigned);
    let again = settle(&mut ledger, &config, &request("a"), &Held::default());
    assert_eq!(again.news, News::None);
    assert_eq!(again.claim, first.claim);
}

#[test]
fn what_is_not_allowed_any_more_is_given_up_for_something_else() {
    let (mut ledger, config) = (Ledger::default(), simple());
    let settled = settle(&mut ledger, &config, &request("a"), &held(&["203.0.113.1"]));
    assert_eq!(addresses(&settled), ["192.0.2.0"]);
    assert_eq!(settled.news, News::Assigned);
    let refusal = Refusal::OutsideEveryPool(ips(&["203.0.113.1"]));
    assert_eq!(settled.lost.unwrap().why, Why::NotAllowed(refusal));
}

#[test]
fn asking_for_something_else_gives_up_what_it_has() {
    let config = simple();
    for (request, gets, why) in [
        (request("a").of_pool("q"), "198.51.100.0", Why::OtherPoolWanted),
        (request("a").wants(&["192.0.2.9"]), "192.0.2.9", Why::OtherAddressWanted),
    ] {
        let mut ledger = Ledger::default();
        let settled = settle(&mut ledger, &config, &request, &held(&["192.0.2.77"]));
        assert_eq!(addresses(&settled), [gets]);
        assert_eq!(settled.lost.unwrap().why, why);
    }
}

#[test]
fn a_wish_that_cannot_be_read_takes_nothing_away() {
    let (mut ledger, config) = (Ledger::default(), simple());
    let mut request = request("a");
    request.wanted = Wanted::Unreadable(Refusal::AskedTwice);
    let settled = settle(&mut ledger, &config, &request, &held(&["192.0.2.77"]));
    assert_eq!(addresses(&settled), ["192.0.2.77"]);
    assert_eq!(settled.refusal, Some(Refusal::AskedTwice));
    let new = Request { key: key("b"), ..request };
    let settled = settle(&mut ledger, &config, &new, &Held::default());
    assert_eq!((settled.claim, settled.refusal), (None, Some(Refusal::AskedTwice)));
}

#[test]
fn the_order_shown_stays_when_the_user_reorders_the_wish() {
    let config = config([pool("p", &["10.0.0.0/24", "fc00::/64"])]);
    let mut ledger = Ledger::default();
    let request = request("a").dual(Policy::Require).wants(&["fc00::1", "10.0.0.1"]);
    let settled = settle(&mut ledger, &config, &request, &Held::default());
    assert_eq!(addresses(&settled), ["fc00::1", "10.0.0.1"]);
    let reordered = request.wants(&["10.0.0.1", "fc00::1"]);
    let settled = settle(&mut ledger, &config, &reordered, &held(&["fc00::1", "10.0.0.1"]));
    assert_eq!(addresses(&settled), ["fc00::1", "10.0.0.1"]);
    assert_eq!((settled.news, settled.lost), (News::None, None));
}

#[test]
fn a_second_address_is_added_when_the_pool_has_one() {
    let four = config([pool("p", &["10.0.0.0/24"])]);
    let both = config([pool("p", &["10.0.0.0/24", "fc00::/127"])]);
    let mut ledger = Ledger::default();
    let request = request("a").dual(Policy::Prefer);
    let settled = settle(&mut ledger, &four, &request, &held(&["10.0.0.7"]));
    assert_eq!((addresses(&settled), settled.refusal), (vec!["10.0.0.7".to_owned()], None));
    let settled = settle(&mut ledger, &both, &request, &held(&["10.0.0.7"]));
    assert_eq!(addresses(&settled), ["10.0.0.7", "fc00::"]);
    assert_eq!(settled.news, News::Added(ip("fc00::")));
    assert_eq!(ledger.check(&both), Ok(()));
}

/// MetalLB adds a second address and takes it back, for ever (weakness C2).
#[test]
fn one_cluster_ip_means_one_address_whatever_the_pool_has() {
    let config = config([pool("p", &["10.0.0.0/24", "fc00::/127"])]);
    let mut ledger = Ledger::default();
    let settled = settle(&mut ledger, &config, &request("a"), &held(&["10.0.0.7"]));
    assert_eq!((addresses(&settled), settled.news), (vec!["10.0.0.7".to_owned()], News::None));
}

#[test]
fn an_unreadable_pool_takes_nothing_away_whatever_is_asked() {
    let mut config = config([]);
    config.unreadable_pools.insert("p".into());
    let mut ledger = Ledger::default();
    let request = request("a").of_pool("q").wants(&["10.9.9.9"]);
    let settled = settle(&mut ledger, &config, &request, &held(&["10.0.0.7"]));
    assert_eq!(addresses(&settled), ["10.0.0.7"]);
    assert!(settled.claim.unwrap().reserved);
}

#[test]
fn the_last_pool_takes_everything_along() {
    let mut ledger = Ledger::default();
    let none = config([]);
    let settled = settle(&mut ledger, &none, &request("a"), &held(&["192.0.2.7"]));
    assert_eq!(settled.claim, None);
    assert_eq!(settled.refusal, Some(Refusal::NoPool));
    assert!(settled.lost.is_some());
}

#[test]
fn an_address_of_another_family_than_the_cluster_ips_is_given_up() {
    let config = config([pool("p", &["10.0.0.0/24", "fc00::/64"])]);
    let mut ledger = Ledger::default();
    let settled = settle(&mut ledger, &config, &request("a"), &held(&["fc00::7"]));
    assert_eq!(addresses(&settled), ["10.0.0.0"]);
    assert_eq!(settled.lost.unwrap().why, Why::OtherFamily);
}

/// We give no such set, but whoever wrote the status before us, or by hand, may have.
#[test]
fn addresses_that_no_service_can_have_together_are_given_up() {
    type Make = fn(Vec<IpAddr>) -> Refusal;
    let config = config([pool("p", &["10.0.0.0/24", "fc00::/64"])]);
    let cases: [(&[&str], Make); 2] = [
        (&["10.0.0.7", "10.0.0.8"], Refusal::SameFamily),
        (&["10.0.0.7", "fc00::7", "fc00::8"], Refusal::TooMany),
    ];
    for (had, refusal) in cases {
        let mut ledger = Ledger::default();
        let settled = settle(&mut ledger, &config, &request("a"), &held(had));
        assert_eq!(addresses(&settled), ["10.0.0.0"]);
        let lost = settled.lost.unwrap();
        assert_eq!(lost.why, Why::NoFamily(refusal(ips(had))));
        assert_eq!(lost.why.reason(), "nolbIPsIPFamily");
    }
}

#[test]
fn a_second_address_that_is_not_left_is_refused_and_the_first_is_kept() {
    let config = config([pool("p", &["10.0.0.0/24", "fc00::/128"])]);
    let mut ledger = Ledger::default();
    let other = request("b").needs(Need::Single(crds::model::range::Family::V6));
    settle(&mut ledger, &config, &other, &Held::default());
    let request = request("a").dual(Policy::Prefer);
    let settled = settle(&mut ledger, &config, &request, &held(&["10.0.0.7"]));
    assert_eq!(addresses(&settled), ["10.0.0.7"]);
    assert_eq!(settled.refusal, Some(Refusal::PoolExhausted("p".into())));
}

#[test]
fn a_second_address_is_not_fetched_from_another_pool() {
    let config = config([pool("p", &["10.0.0.0/24"]), pool("q", &["10.1.0.0/24", "fc00::/64"])]);
    let mut ledger = Ledger::default();
    let request = request("a").dual(Policy::Prefer);
    let settled = settle(&mut ledger, &config, &request, &held(&["10.0.0.7"]));
    assert_eq!(addresses(&settled), ["10.0.0.7"]);
    assert_eq!((settled.news, settled.refusal), (News::None, None));
}

#[test]
fn what_a_pool_gives_by_itself_no_more_is_kept() {
    let mut config = simple();
    config.pools.get_mut(&"p".into()).unwrap().auto_assign = false;
    let mut ledger = Ledger::default();
    let settled = settle(&mut ledger, &config, &request("a"), &held(&["192.0.2.77"]));
    assert_eq!(addresses(&settled), ["192.0.2.77"]);
}

#[test]
fn rules_that_come_later_count_for_what_is_held() {
    let mut buggy = pool("p", &["192.0.2.0/24"]);
    buggy.avoid_buggy_ips = true;
    let elsewhere = pinned(pool("p", &["192.0.2.0/24"]), 1, &["elsewhere"]);
    for (pool, held_address) in [(buggy, "192.0.2.0"), (elsewhere, "192.0.2.7")] {
        let config = config([pool]);
        let mut ledger = Ledger::default();
        let settled = settle(&mut ledger, &config, &request("a"), &held(&[held_address]));
        let lost = settled.lost.unwrap();
        assert!(matches!(lost.why, Why::NotAllowed(_)), "{held_address}: {lost:?}");
    }
}

#[test]
fn who_may_not_share_any_more_is_moved_and_the_others_stay() {
    let config = simple();
    let mut ledger = Ledger::default();
    let at = held(&["192.0.2.7"]);
    settle(&mut ledger, &config, &request("a").shares("k").on(&[tcp(80)]), &at);
    let second = request("b").shares("k").on(&[tcp(443)]);
    assert_eq!(addresses(&settle(&mut ledger, &config, &second, &at)), ["192.0.2.7"]);
    // With traffic policy Local it takes its own pods only.
    let mut local = second.clone();
    local.sharing.as_mut().unwrap().backend = "app=b".to_owned();
    let settled = settle(&mut ledger, &config, &local, &at);
    assert_eq!(addresses(&settled), ["192.0.2.0"]);
    assert_eq!(ledger.claim(&key("a")).unwrap().addresses, ips(&["192.0.2.7"]));
    assert_eq!(ledger.check(&config), Ok(()));
}

#[test]
fn when_a_pool_loses_a_family_both_addresses_go() {
    let four = config([pool("p", &["10.0.0.0/24"])]);
    let mut ledger = Ledger::default();
    let request = request("a").dual(Policy::Prefer);
    let settled = settle(&mut ledger, &four, &request, &held(&["10.0.0.7", "fc00::7"]));
    assert_eq!(addresses(&settled), ["10.0.0.0"]);
    let refusal = Refusal::OutsideEveryPool(ips(&["10.0.0.7", "fc00::7"]));
    assert_eq!(settled.lost.unwrap().why, Why::NotAllowed(refusal));
}
