//! What is true of the ledger after any sequence of operations.

#[path = "../benches/fixtures.rs"]
mod fixtures;

use std::collections::BTreeMap;
use std::net::IpAddr;

use controller::alloc::{Claim, Ledger, Need, Policy, Refusal, Request, Wanted};
use crds::model::compile::Config;
use crds::model::pool::Pool;
use crds::model::range::{Family, from_number};
use fixtures::{With as _, config, key, pool, request, tcp, udp};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Assign(Request),
    Adopt(Request, Vec<IpAddr>),
    Release(usize),
    Reconfigure(usize),
    SetAside(IpAddr),
    Restore(IpAddr),
    Exchange(Request, usize),
}

/// Small pools, so that they run full, of every shape; several configurations to change between.
fn configs() -> Vec<Config> {
    let mut buggy = pool("b", &["10.0.0.250-10.0.1.5"]);
    buggy.avoid_buggy_ips = true;
    let mut manual = pool("m", &["10.0.3.0/30"]);
    manual.auto_assign = false;
    vec![
        config([
            buggy.clone(),
            pool("p", &["10.0.2.4/30", "10.0.2.0/31", "fc00::/126"]),
            manual.clone(),
        ]),
        config([
            buggy,
            fixtures::pinned(pool("p", &["10.0.2.0/29", "fc00::2/127"]), 3, &[]),
            manual,
        ]),
        config([pool("renamed", &["10.0.2.0/30", "fc00::/126"])]),
        config([]),
    ]
}

fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = (0_u128..4, 0_u128..256)
        .prop_map(|(third, last)| from_number(Family::V4, (10 << 24) + (third << 8) + last));
    let low = (2_u128..4, 0_u128..8)
        .prop_map(|(third, last)| from_number(Family::V4, (10 << 24) + (third << 8) + last));
    let v6 = (0_u128..5).prop_map(|last| from_number(Family::V6, (0xfc00 << 112) + last));
    prop_oneof![1 => v4, 4 => low, 3 => v6]
}

fn any_request() -> impl Strategy<Value = Request> {
    let need = prop_oneof![
        4 => Just(Need::Single(Family::V4)),
        2 => Just(Need::Single(Family::V6)),
        1 => Just(Need::Dual { policy: Policy::Prefer, primary: Family::V6 }),
        1 => Just(Need::Dual { policy: Policy::Require, primary: Family::V4 }),
    ];
    let wanted = prop_oneof![
        4 => Just(Wanted::Any),
        1 => proptest::collection::vec(address(), 1..3).prop_map(Wanted::These),
    ];
    let pool = prop_oneof![5 => Just(None), 1 => "[pbm]".prop_map(Some)];
    let sharing = prop_oneof![2 => Just(None), 1 => "[xy]".prop_map(Some)];
    let ports = proptest::sample::subsequence(vec![tcp(53), udp(53), tcp(80)], 1..=3);
    (0..16_usize, need, wanted, pool, sharing, ports).prop_map(
        |(name, need, wanted, pool, sharing, ports)| {
            let mut request = request(&name.to_string()).needs(need).on(&ports);
            request.wanted = wanted;
            request.wanted_pool = pool.map(Into::into);
            match sharing {
                Some(sharing) => request.shares(&sharing),
                None => request,
            }
        },
    )
}

fn operation() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => any_request().prop_map(Op::Assign),
        2 => (any_request(), proptest::collection::vec(address(), 0..3))
            .prop_map(|(request, addresses)| Op::Adopt(request, addresses)),
        4 => (0..16_usize).prop_map(Op::Release),
        1 => (0..4_usize).prop_map(Op::Reconfigure),
        2 => address().prop_map(Op::SetAside),
        1 => address().prop_map(Op::Restore),
        2 => (any_request(), 0..2_usize).prop_map(|(request, which)| Op::Exchange(request, which)),
    ]
}

/// Runs `operations` and checks everything after each.
fn run(operations: &[Op]) -> (Ledger, Config) {
    let configs = configs();
    let mut config = configs[0].clone();
    let mut ledger = Ledger::default();
    for op in operations {
        match op {
            Op::Assign(request) => match ledger.assign(&config, request).cloned() {
                Ok(claim) => {
                    check_given(request, &claim, &config);
                    check_not_aside(request, &claim, &ledger);
                }
                Err(refusal) => check_refused(&ledger, &config, request, &refusal),
            },
            Op::Adopt(request, addresses) => {
                let before = ledger.clone();
                if ledger.adopt(&config, request, addresses).is_err() {
                    assert!(same(&before, &ledger), "a refusal changed the ledger");
                }
            }
            Op::Release(name) => {
                ledger.release(&key(&name.to_string()));
                assert_eq!(ledger.claim(&key(&name.to_string())), None);
            }
            Op::Reconfigure(index) => {
                config = configs[*index].clone();
                ledger.evict_outside(&config);
            }
            Op::SetAside(address) => ledger.set_aside(*address),
            Op::Restore(address) => ledger.restore(*address),
            Op::Exchange(request, which) => exchange(&mut ledger, &config, request, *which),
        }
        assert_eq!(ledger.check(&config), Ok(()), "after {op:?}");
    }
    (ledger, config)
}

/// Sets aside one of the addresses that the Service of `request` holds, and exchanges it.
fn exchange(ledger: &mut Ledger, config: &Config, request: &Request, which: usize) {
    let before = ledger.clone();
    let Some(claim) = before.claim(&request.key) else {
        return;
    };
    let mut request = request.clone();
    request.wanted = Wanted::Any;
    let address = claim.addresses[which % claim.addresses.len()];
    ledger.set_aside(address);
    match ledger.exchange(config, &request, address).cloned() {
        Ok(given) => {
            assert!(!given.addresses.contains(&address));
            let kept = claim.addresses.iter().filter(|one| **one != address);
            assert!(kept.into_iter().all(|one| given.addresses.contains(one)));
        }
        Err(_) => assert!(same(&before, ledger), "a refusal changed the ledger"),
    }
}

fn check_not_aside(request: &Request, claim: &Claim, ledger: &Ledger) {
    let is_aside = claim.addresses.iter().any(|address| ledger.is_aside(*address));
    assert!(!is_aside || matches!(request.wanted, Wanted::These(_)), "{request:?} got {claim:?}");
}

fn same(a: &Ledger, b: &Ledger) -> bool {
    a.claims().eq(b.claims())
}

fn check_given(request: &Request, claim: &Claim, config: &Config) {
    let families = controller::alloc::request::families(&claim.addresses);
    assert!(request.need.is_met_by(&families), "{request:?} got {claim:?}");
    assert!(
        config.pools[&claim.pool].auto_assign
            || request.wanted_pool.is_some()
            || matches!(request.wanted, Wanted::These(_))
    );
    if let Wanted::These(wanted) = &request.wanted {
        assert_eq!(*wanted, claim.addresses);
    }
}

/// Compares with a model that tries every address of every pool, one after another.
fn check_refused(ledger: &Ledger, config: &Config, request: &Request, refusal: &Refusal) {
    if request.wanted != Wanted::Any {
        return;
    }
    for pool in config.pools.values() {
        match &request.wanted_pool {
            Some(wanted) if *wanted != pool.name => continue,
            None if !pool.auto_assign => continue,
            Some(_) | None => {}
        }
        let permitted = |address: &IpAddr| {
            !ledger.is_aside(*address) && ledger.permit(config, request, &[*address]).is_ok()
        };
        let possible: Vec<Family> = all(pool).filter(permitted).map(Family::of).collect();
        let (four, six) = (possible.contains(&Family::V4), possible.contains(&Family::V6));
        let could = match request.need {
            Need::Single(Family::V4) => four,
            Need::Single(Family::V6) => six,
            Need::Dual { policy: Policy::Prefer, .. } => four || six,
            Need::Dual { policy: Policy::Require, .. } => four && six,
        };
        assert!(!could, "{refusal}, though {} could give to {request:?}", pool.name);
    }
}

fn all(pool: &Pool) -> impl Iterator<Item = IpAddr> {
    pool.ranges.iter().flat_map(|range| {
        let (first, last) = range.numbers();
        (first..=last).map(|number| from_number(range.family(), number))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_rule_holds_after_every_step(
        operations in proptest::collection::vec(operation(), 0..60),
    ) {
        run(&operations);
    }

    #[test]
    fn the_same_history_gives_the_same_ledger(
        operations in proptest::collection::vec(operation(), 0..60),
    ) {
        let (a, b) = (run(&operations).0, run(&operations).0);
        prop_assert!(same(&a, &b));
    }

    /// A restart: the ledger is lost, and filled from what the Services show.
    #[test]
    fn what_was_assigned_can_be_adopted_in_any_order(
        operations in proptest::collection::vec(operation(), 0..60),
        salt: u64,
    ) {
        let (ledger, config) = run(&operations);
        let mut claims: Vec<_> = ledger.claims().collect();
        claims.sort_by_key(|(key, _)| {
            let number: u64 = key.name.parse().unwrap();
            (number + 1).wrapping_mul(salt | 1)
        });
        let mut restarted = Ledger::default();
        for (key, claim) in claims {
            let mut request = request(&key.name);
            request.ports.clone_from(&claim.ports);
            request.sharing.clone_from(&claim.sharing);
            let adopted = restarted.adopt(&config, &request, &claim.addresses);
            prop_assert_eq!(adopted.cloned(), Ok(claim.clone()));
        }
        prop_assert!(same(&ledger, &restarted));
        prop_assert_eq!(restarted.check(&config), Ok(()));
    }

    #[test]
    fn release_undoes_assign(
        operations in proptest::collection::vec(operation(), 0..60),
        mut newcomer in any_request(),
    ) {
        let (mut ledger, config) = run(&operations);
        newcomer.key = key("newcomer");
        let before = ledger.clone();
        if ledger.assign(&config, &newcomer).is_ok() {
            ledger.release(&newcomer.key);
        }
        prop_assert!(same(&before, &ledger));
        let usage = |ledger: &Ledger| -> BTreeMap<_, _> {
            config.pools.values().map(|pool| (pool.name.clone(), ledger.usage(pool).v4)).collect()
        };
        prop_assert_eq!(usage(&before), usage(&ledger));
    }
}
