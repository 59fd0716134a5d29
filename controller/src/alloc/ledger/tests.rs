use super::*;
use crate::alloc::{Need, Policy};
use crate::fixtures::*;
use crds::model::range::Family;

/// Gives `request` something and checks the whole ledger.
fn assign(ledger: &mut Ledger, config: &Config, request: &Request) -> Result<Vec<IpAddr>, Refusal> {
    let given = ledger.assign(config, request).map(|claim| claim.addresses.clone());
    assert_eq!(ledger.check(config), Ok(()));
    given
}

fn first_of(ledger: &mut Ledger, config: &Config, request: &Request) -> String {
    assign(ledger, config, request).unwrap()[0].to_string()
}

#[test]
fn gives_the_lowest_address_first_and_the_base_address_too() {
    let config = config([pool("p", &["192.0.2.0/30", "198.51.100.7/32"])]);
    let mut ledger = Ledger::default();
    for (name, expected) in [
        ("a", "192.0.2.0"),
        ("b", "192.0.2.1"),
        ("c", "192.0.2.2"),
        ("d", "192.0.2.3"),
        ("e", "198.51.100.7"),
    ] {
        assert_eq!(first_of(&mut ledger, &config, &request(name)), expected);
    }
    assert_eq!(assign(&mut ledger, &config, &request("f")), Err(Refusal::Exhausted));
}

#[test]
fn buggy_addresses_are_passed_over() {
    let mut buggy = pool("p", &["192.0.1.254-192.0.2.2"]);
    buggy.avoid_buggy_ips = true;
    let config = config([buggy]);
    let mut ledger = Ledger::default();
    for (name, expected) in [("a", "192.0.1.254"), ("b", "192.0.2.1"), ("c", "192.0.2.2")] {
        assert_eq!(first_of(&mut ledger, &config, &request(name)), expected);
    }
    assert_eq!(assign(&mut ledger, &config, &request("d")), Err(Refusal::Exhausted));
    let wants = request("d").wants(&["192.0.2.0"]);
    let refused = Refusal::OutsideEveryPool(ips(&["192.0.2.0"]));
    assert_eq!(assign(&mut ledger, &config, &wants), Err(refused));
}

#[test]
fn an_address_released_lately_is_used_last_and_the_longest_released_first() {
    let config = config([pool("p", &["192.0.2.1-192.0.2.4"])]);
    let mut ledger = Ledger::default();
    for name in ["a", "b", "c"] {
        assign(&mut ledger, &config, &request(name)).unwrap();
    }
    ledger.release(&key("b"));
    ledger.release(&key("a"));
    assert_eq!(first_of(&mut ledger, &config, &request("d")), "192.0.2.4");
    assert_eq!(first_of(&mut ledger, &config, &request("e")), "192.0.2.2");
    assert_eq!(first_of(&mut ledger, &config, &request("f")), "192.0.2.1");
}

#[test]
fn the_only_address_is_given_again_as_soon_as_it_is_free() {
    let config = config([pool("p", &["192.0.2.1/32"])]);
    let mut ledger = Ledger::default();
    assign(&mut ledger, &config, &request("a")).unwrap();
    assert_eq!(assign(&mut ledger, &config, &request("b")), Err(Refusal::Exhausted));
    assert!(!ledger.take_freed());
    ledger.release(&key("a"));
    assert!(ledger.take_freed());
    assert_eq!(first_of(&mut ledger, &config, &request("b")), "192.0.2.1");
}

#[test]
fn long_released_addresses_count_as_never_used() {
    let config = config([pool("p", &["10.0.0.0/8"])]);
    let mut ledger = Ledger::default();
    for number in 0..=cooling::LIMIT {
        let name = number.to_string();
        assign(&mut ledger, &config, &request(&name)).unwrap();
        ledger.release(&key(&name));
        assert_eq!(ledger.check(&config), Ok(()));
    }
    assert_eq!(first_of(&mut ledger, &config, &request("a")), "10.0.0.0");
}

#[test]
fn services_that_share_are_packed_onto_the_lowest_address_that_fits() {
    let config = config([pool("p", &["192.0.2.1-192.0.2.9"])]);
    let mut ledger = Ledger::default();
    for (request, expected) in [
        (request("alone"), "192.0.2.1"),
        (request("tcp").shares("dns").on(&[tcp(53)]), "192.0.2.2"),
        (request("udp").shares("dns").on(&[udp(53)]), "192.0.2.2"),
        (request("again").shares("dns").on(&[tcp(53)]), "192.0.2.3"),
        (request("other").shares("web").on(&[tcp(80)]), "192.0.2.4"),
        (request("third").shares("dns").on(&[tcp(80)]), "192.0.2.2"),
    ] {
        assert_eq!(first_of(&mut ledger, &config, &request), expected, "{}", request.key);
    }
    let usage = ledger.usage(&config.pools[&"p".into()]);
    assert_eq!((usage.v4.assigned, usage.v4.capacity), (4, 9));
}

#[test]
fn an_address_asked_for_is_refused_by_the_name_of_who_has_it() {
    let config = config([pool("p", &["192.0.2.0/24"])]);
    let mut ledger = Ledger::default();
    let at = "192.0.2.9";
    assign(&mut ledger, &config, &request("b").wants(&[at]).shares("k")).unwrap();
    assign(&mut ledger, &config, &request("a").wants(&[at]).shares("k").on(&[udp(80)])).unwrap();
    for (request, refusal) in [
        (
            request("c").wants(&[at]),
            Refusal::NotShared { key: key("c"), by: vec![key("a"), key("b")] },
        ),
        (
            request("c").wants(&[at]).shares("k"),
            Refusal::PortTaken { port: tcp(80), address: ip(at), by: key("b") },
        ),
    ] {
        assert_eq!(assign(&mut ledger, &config, &request), Err(refusal));
    }
}

#[test]
fn local_services_share_only_with_the_same_pods() {
    let config = config([pool("p", &["192.0.2.0/24"])]);
    let mut ledger = Ledger::default();
    let with_backend = |name, port, backend: &str| {
        let mut request = request(name).wants(&["192.0.2.9"]).shares("k").on(&[tcp(port)]);
        request.sharing.as_mut().unwrap().backend = backend.to_owned();
        request
    };
    assign(&mut ledger, &config, &with_backend("a", 1, "app=web")).unwrap();
    assign(&mut ledger, &config, &with_backend("b", 2, "app=web")).unwrap();
    for backend in ["", "app=db"] {
        let refused = assign(&mut ledger, &config, &with_backend("c", 3, backend));
        assert_eq!(refused.unwrap_err().reason(), "notShared", "{backend}");
    }
}

#[test]
fn pinned_pools_go_first_by_priority_then_by_name_then_open_ones() {
    let config = config([
        pinned(pool("a-last", &["10.0.0.0/31"]), 0, &[]),
        pinned(pool("b-second", &["10.0.1.0/32"]), 20, &[]),
        pinned(pool("c-second", &["10.0.2.0/32"]), 20, &["default"]),
        pinned(pool("d-first", &["10.0.3.0/32"]), 10, &["default"]),
        pinned(pool("e-others", &["10.0.4.0/24"]), 1, &["elsewhere"]),
        pool("aa-open", &["10.0.5.0/32"]),
    ]);
    let mut ledger = Ledger::default();
    for (name, expected) in [
        ("a", "10.0.3.0"),
        ("b", "10.0.1.0"),
        ("c", "10.0.2.0"),
        ("d", "10.0.0.0"),
        ("e", "10.0.0.1"),
        ("f", "10.0.5.0"),
    ] {
        assert_eq!(first_of(&mut ledger, &config, &request(name)), expected);
    }
    assert_eq!(assign(&mut ledger, &config, &request("g")), Err(Refusal::Exhausted));
}

#[test]
fn a_pool_that_does_not_give_by_itself_gives_when_asked() {
    let mut reserve = pool("reserve", &["10.0.0.0/24"]);
    reserve.auto_assign = false;
    let config = config([reserve, pinned(pool("theirs", &["10.0.1.0/24"]), 1, &["elsewhere"])]);
    let mut ledger = Ledger::default();
    let mut refusal = |request: Request| assign(&mut ledger, &config, &request).unwrap_err();
    assert_eq!(refusal(request("a")), Refusal::NoPool);
    let not_for_us = Refusal::PoolNotCompatible("theirs".into());
    assert_eq!(refusal(request("a").of_pool("theirs")), not_for_us);
    assert_eq!(refusal(request("a").wants(&["10.0.1.5"])), not_for_us);
    let unknown = Refusal::UnknownPool("x".into());
    assert_eq!(refusal(request("a").of_pool("x")), unknown);
    let other = Refusal::OtherPool { addresses: ips(&["10.0.0.5"]), pool: "theirs".into() };
    assert_eq!(refusal(request("a").of_pool("theirs").wants(&["10.0.0.5"])), other);
    assert_eq!(first_of(&mut ledger, &config, &request("a").of_pool("reserve")), "10.0.0.0");
    assert_eq!(first_of(&mut ledger, &config, &request("b").wants(&["10.0.0.9"])), "10.0.0.9");
}

#[test]
fn the_family_is_that_of_the_cluster_ips() {
    let config =
        config([pool("six", &["fc00::/124"]), pool("two", &["10.0.0.0/31", "fd00::/127"])]);
    let mut ledger = Ledger::default();
    let v6 = || request("v6").needs(Need::Single(Family::V6));
    assert_eq!(first_of(&mut ledger, &config, &v6()), "fc00::");
    assert_eq!(first_of(&mut ledger, &config, &request("v4")), "10.0.0.0");
    let mismatch = Refusal::FamilyMismatch(ips(&["10.0.0.1"]));
    assert_eq!(assign(&mut ledger, &config, &v6().wants(&["10.0.0.1"])), Err(mismatch));
    let exhausted = Refusal::PoolExhausted("six".into());
    assert_eq!(assign(&mut ledger, &config, &request("x").of_pool("six")), Err(exhausted));
}

#[test]
fn two_addresses_come_from_one_pool_ipv4_first() {
    let config =
        config([pool("four", &["10.1.0.0/30"]), pool("two", &["fd00::/127", "10.0.0.0/32"])]);
    let mut ledger = Ledger::default();
    let both = assign(&mut ledger, &config, &request("a").dual(Policy::Prefer));
    assert_eq!(both, Ok(ips(&["10.0.0.0", "fd00::"])));
    let one = assign(&mut ledger, &config, &request("b").dual(Policy::Prefer));
    assert_eq!(one, Ok(ips(&["10.1.0.0"])));
    let none = assign(&mut ledger, &config, &request("c").dual(Policy::Require));
    assert_eq!(none, Err(Refusal::Exhausted));
    let named = request("c").dual(Policy::Require).of_pool("two");
    let refused = Refusal::PoolExhaustedDual("two".into());
    assert_eq!(assign(&mut ledger, &config, &named), Err(refused));
    let half = request("d").dual(Policy::Prefer).wants(&["10.1.0.3"]);
    assert_eq!(assign(&mut ledger, &config, &half).unwrap_err().reason(), "familyMismatch");
}

#[test]
fn eviction_takes_what_is_outside_and_follows_what_moved() {
    let before = config([pool("p", &["10.0.0.0/24"]), pool("q", &["10.0.1.0/24"])]);
    let mut ledger = Ledger::default();
    for (name, from) in [("a", "p"), ("b", "q"), ("c", "q")] {
        assign(&mut ledger, &before, &request(name).of_pool(from)).unwrap();
    }
    ledger.release(&key("c"));
    // p shrinks to nothing that is held; q is renamed.
    let after = config([pool("p", &["10.0.0.128/25"]), pool("renamed", &["10.0.1.0/24"])]);
    let evicted = ledger.evict_outside(&after);
    assert_eq!(ledger.check(&after), Ok(()));
    assert_eq!(evicted.len(), 1);
    assert_eq!(evicted[0].0, key("a"));
    assert_eq!(ledger.claim(&key("b")).unwrap().pool, "renamed".into());
    // What is outside every pool is forgotten: a pool made anew begins anew.
    ledger.evict_outside(&config([]));
    ledger.evict_outside(&before);
    assert_eq!(first_of(&mut ledger, &before, &request("d")), "10.0.0.0");
}

#[test]
fn an_address_of_an_unreadable_pool_stays_reserved() {
    let mut config = config([pool("p", &["10.0.0.0/31"])]);
    config.unreadable_pools.insert("broken".into());
    let mut ledger = Ledger::default();
    ledger.reserve(&request("a"), &"broken".into(), &ips(&["10.0.0.0"]));
    assert_eq!(first_of(&mut ledger, &config, &request("b")), "10.0.0.1");
    assert_eq!(ledger.evict_outside(&config), []);
    // The pool is deleted; its address is of another one now.
    config.unreadable_pools.clear();
    assert_eq!(ledger.evict_outside(&config), []);
    assert_eq!(ledger.check(&config), Ok(()));
    assert_eq!(ledger.claim(&key("a")).unwrap().pool, "p".into());
}

#[test]
fn giving_up_a_port_makes_room_for_others() {
    let config = config([pool("p", &["192.0.2.1/32"])]);
    let mut ledger = Ledger::default();
    let wide = request("a").shares("k").on(&[tcp(80), tcp(443)]);
    let address = assign(&mut ledger, &config, &wide).unwrap();
    let narrow = request("a").shares("k").on(&[tcp(80)]);
    ledger.adopt(&config, &narrow, &address).unwrap();
    assert!(ledger.take_freed());
    ledger.adopt(&config, &narrow, &address).unwrap();
    assert!(!ledger.take_freed());
    assign(&mut ledger, &config, &request("b").shares("k").on(&[tcp(443)])).unwrap();
}

#[test]
fn check_finds_a_ledger_that_is_wrong() {
    let config = config([pool("p", &["192.0.2.0/24"])]);
    let mut ledger = Ledger::default();
    assign(&mut ledger, &config, &request("a")).unwrap();
    let good = ledger.clone();
    ledger.holders.clear();
    assert_eq!(ledger.check(&config), Err(Broken::Index("holders")));
    let mut ledger = good.clone();
    ledger.busy = Runs::default();
    assert_eq!(ledger.check(&config), Err(Broken::Index("busy addresses")));
    let mut ledger = good.clone();
    let claim = ledger.claims[&key("a")].clone();
    ledger.insert(key("b"), claim);
    assert_eq!(ledger.check(&config), Err(Broken::Clash(key("b"), key("a"), ip("192.0.2.0"))));
    let elsewhere = super::Config::default();
    assert_eq!(good.check(&elsewhere), Err(Broken::Outside(key("a"), ip("192.0.2.0"))));
}

#[test]
fn of_two_families_the_primary_one_goes_first_and_a_pinned_pool_before_an_open_one() {
    let pinned_six = pinned(pool("z-six", &["fd00::/127"]), 0, &["default"]);
    let mixed = config([pool("both", &["10.0.0.0/31", "fc00::/127"]), pinned_six]);
    let mut ledger = Ledger::default();
    let prefer =
        |name: &str, primary| request(name).needs(Need::Dual { policy: Policy::Prefer, primary });
    let given = assign(&mut ledger, &mixed, &prefer("a", Family::V6));
    assert_eq!(given, Ok(ips(&["fd00::"])), "from its own pool, though it has one family only");
    let single = config([pool("a-four", &["10.0.0.0/31"]), pool("b-six", &["fd00::/127"])]);
    let mut ledger = Ledger::default();
    for (primary, expected) in [(Family::V6, "fd00::"), (Family::V4, "10.0.0.0")] {
        let name = format!("{primary:?}");
        assert_eq!(first_of(&mut ledger, &single, &prefer(&name, primary)), expected);
    }
}

#[test]
fn addresses_asked_for_must_be_of_one_pool() {
    let config = config([pool("four", &["10.0.0.0/24"]), pool("six", &["fc00::/64"])]);
    let mut ledger = Ledger::default();
    let both = request("a").dual(Policy::Require).wants(&["10.0.0.1", "fc00::1"]);
    let refused = Refusal::OutsideEveryPool(ips(&["10.0.0.1", "fc00::1"]));
    assert_eq!(assign(&mut ledger, &config, &both), Err(refused));
}

#[test]
fn a_key_counts_in_all_namespaces() {
    let config = config([pool("p", &["192.0.2.1-192.0.2.9"])]);
    let mut ledger = Ledger::default();
    let mut elsewhere = request("a").shares("k").on(&[tcp(443)]);
    elsewhere.key = ServiceKey::new("elsewhere", "a");
    assert_eq!(first_of(&mut ledger, &config, &request("a").shares("k")), "192.0.2.1");
    assert_eq!(first_of(&mut ledger, &config, &elsewhere), "192.0.2.1");
}
