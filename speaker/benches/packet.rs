//! What one received frame costs: parsing, answering from tables of different sizes, writing. The
//! time per frame must not depend on the number of addresses.

use std::hint::black_box;
use std::net::Ipv4Addr;

use crds::model::ids::{IfIndex, MacAddr};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use speaker::announce::table::{Answer, Entry, Links, Table};
use speaker::respond::{Rx, respond};
use speaker::wire::arp::{ArpFrame, ArpRepr, Operation};
use speaker::wire::ethernet::FRAME_LEN;

const RX: Rx = Rx { index: IfIndex(2), mac: MacAddr([2, 0, 0, 0, 0, 0x0b]) };
const CLIENT: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
/// The first address announced; the others follow.
const FIRST: u32 = 0x0a40_0000;
/// As many different questions as are asked in turn.
const QUESTIONS: u32 = 256;

fn table(addresses: u32) -> Table {
    let links = Links::Only([IfIndex(2), IfIndex(3)].into());
    let entry = Entry { links, answer: Answer::Own };
    let addresses = (0..addresses).map(|n| (Ipv4Addr::from_bits(FIRST + n), entry.clone()));
    Table::following(&Table::default(), addresses)
}

fn request(target: u32) -> [u8; FRAME_LEN] {
    let arp = ArpRepr {
        operation: Operation::Request,
        sender_mac: CLIENT,
        sender_ip: Ipv4Addr::new(192, 0, 2, 1),
        target_mac: MacAddr::ZERO,
        target_ip: Ipv4Addr::from_bits(target),
    };
    ArpFrame { destination: MacAddr::BROADCAST, source: CLIENT, arp }.to_frame()
}

/// Questions for addresses all over the table, so that its size shows in the caches if at all.
fn hits(addresses: u32) -> Vec<[u8; FRAME_LEN]> {
    (0..QUESTIONS).map(|n| request(FIRST + n * 7919 % addresses)).collect()
}

fn packet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(1));
    let frame = request(FIRST);
    group.bench_function("parse", |bench| bench.iter(|| ArpFrame::parse(black_box(&frame))));
    let parsed = ArpFrame::parse(&frame).expect("made by emit");
    let mut buffer = [0xa5; FRAME_LEN];
    group.bench_function("emit", |bench| bench.iter(|| black_box(&parsed).emit(&mut buffer)));
    for addresses in [1, 1_000, 10_000] {
        let table = table(addresses);
        let misses: Vec<_> = (0..QUESTIONS).map(|n| request(FIRST + addresses + n)).collect();
        let malformed = vec![[0xa5; FRAME_LEN]];
        for (name, frames) in [("hit", hits(addresses)), ("miss", misses), ("malformed", malformed)]
        {
            let mut frames = frames.iter().cycle();
            group.bench_function(BenchmarkId::new(name, addresses), |bench| {
                bench.iter(|| {
                    let frame = frames.next().expect("a cycle does not end");
                    black_box(respond(black_box(frame), &RX, &table));
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, packet);
criterion_main!(benches);
