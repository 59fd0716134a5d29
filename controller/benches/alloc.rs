//! How long the ledger takes: assign into pools of three sizes and three fillings, adopt after a
//! restart, evict after a change. Inputs are built outside the timed part.

mod fixtures;

use std::hint::black_box;
use std::net::IpAddr;

use controller::alloc::{Ledger, Need, Request};
use crds::model::compile::Config;
use crds::model::range::{Family, from_number};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fixtures::{With as _, config, key, pool, request};

/// A /64 cannot be filled; this many addresses stand for all of it.
const OF_A_64: u128 = 65_536;

struct Case {
    name: &'static str,
    range: &'static str,
    family: Family,
    first: u128,
    size: u128,
}

const CASES: [Case; 3] = [
    Case { name: "v4_24", range: "10.0.0.0/24", family: Family::V4, first: 10 << 24, size: 256 },
    Case { name: "v4_16", range: "10.0.0.0/16", family: Family::V4, first: 10 << 24, size: 65_536 },
    Case {
        name: "v6_64",
        range: "fc00::/64",
        family: Family::V6,
        first: 0xfc00 << 112,
        size: OF_A_64,
    },
];

fn asks(name: &str, family: Family) -> Request {
    request(name).needs(Need::Single(family))
}

/// A ledger in which every address of the case is held that `is_held` says.
fn filled(config: &Config, case: &Case, is_held: impl Fn(u128) -> bool) -> Ledger {
    let mut ledger = Ledger::default();
    for offset in (0..case.size).filter(|offset| is_held(*offset)) {
        let address = from_number(case.family, case.first + offset);
        let request = asks(&offset.to_string(), case.family);
        ledger.adopt(config, &request, &[address]).expect("nothing clashes");
    }
    ledger
}

fn assign(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assign_and_release");
    for case in &CASES {
        let config = config([pool("p", &[case.range])]);
        for percent in [0, 50, 99] {
            // Half full: every other address, the worst case for anything that walks. Nearly
            // full: the free ones are at the end.
            let is_held = |offset: u128| match percent {
                0 => false,
                50 => offset.is_multiple_of(2),
                _ => offset < case.size * 99 / 100,
            };
            let mut ledger = filled(&config, case, is_held);
            let newcomer = asks("newcomer", case.family);
            let id = BenchmarkId::new(case.name, percent);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    black_box(ledger.assign(&config, black_box(&newcomer))).expect("room");
                    ledger.release(&newcomer.key)
                });
            });
        }
    }
    group.finish();
}

fn thousand(criterion: &mut Criterion) {
    let config = config([pool("p", &["10.0.0.0/16"])]);
    let requests: Vec<_> = (0..1000).map(|n| request(&n.to_string())).collect();
    let mut group = criterion.benchmark_group("assign_1000");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("v4_16", |bencher| {
        bencher.iter_batched(
            Ledger::default,
            |mut ledger| {
                for request in &requests {
                    ledger.assign(&config, request).expect("room");
                }
                ledger
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn adopt(criterion: &mut Criterion) {
    let config = config([pool("p", &["10.0.0.0/16"])]);
    let services: Vec<(Request, [IpAddr; 1])> = (0..10_000_u128)
        .map(|n| {
            let address = from_number(Family::V4, (10 << 24) + n * 3 % 65_536);
            (request(&n.to_string()), [address])
        })
        .collect();
    let mut group = criterion.benchmark_group("adopt");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("10k", |bencher| {
        bencher.iter_batched(
            Ledger::default,
            |mut ledger| {
                for (request, addresses) in &services {
                    ledger.adopt(&config, request, addresses).expect("nothing clashes");
                }
                ledger
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn evict(criterion: &mut Criterion) {
    let before = config([pool("p", &["10.0.0.0/16"])]);
    let ledger = filled(&before, &CASES[1], |offset| offset < 10_000);
    let same = before.clone();
    let shrunk = config([pool("p", &["10.0.0.0/24"])]);
    let mut group = criterion.benchmark_group("evict_10k");
    for (name, after) in [("nothing", same), ("nearly_all", shrunk)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || ledger.clone(),
                |mut ledger| (ledger.evict_outside(&after).len(), ledger),
                BatchSize::LargeInput,
            );
        });
    }
    assert!(ledger.claim(&key("0")).is_some());
    group.finish();
}

criterion_group!(benches, assign, thousand, adopt, evict);
criterion_main!(benches);
