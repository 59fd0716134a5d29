//! `respond` runs for every frame that wakes the process, so it must not touch the heap: an
//! allocator that counts says whether it does.
#![expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait; every call is passed on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::net::Ipv4Addr;

use crds::model::ids::{IfIndex, MacAddr};
use speaker::announce::table::{Answer, Entry, Links, Table};
use speaker::respond::{Rx, Verdict, respond};
use speaker::wire::arp::ArpFrame;

thread_local! {
    /// Per thread, so that the test harness's own threads do not count.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every method hands its arguments to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are the system allocator's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; `pointer` came from `System.alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn respond_allocates_nothing_whatever_the_frame() {
    let rx = Rx { index: IfIndex(2), mac: MacAddr([2, 0, 0, 0, 0, 0x0b]) };
    let client = MacAddr([2, 0, 0, 0, 0, 0x0a]);
    let (ours, theirs) = (Ipv4Addr::new(10, 0, 0, 7), Ipv4Addr::new(10, 1, 0, 7));
    let entry = |n: u32| Entry {
        links: Links::Only([IfIndex(2), IfIndex(3)].into()),
        answer: if n.is_multiple_of(2) {
            Answer::Own
        } else {
            Answer::Deputy([(IfIndex(2), client)].into())
        },
    };
    let addresses = (0..10_000).map(|n| (Ipv4Addr::from_bits(0x0a00_0000 + n), entry(n)));
    let table = Table::following(&Table::default(), addresses);
    let frames = [
        ArpFrame::probe(client, ours).to_frame(),
        ArpFrame::probe(client, theirs).to_frame(),
        ArpFrame::gratuitous_request(client, ours).to_frame(),
        ArpFrame::gratuitous_reply(client, theirs).to_frame(),
        ArpFrame::probe(rx.mac, ours).to_frame(),
        [0xa5; 60],
    ];
    let mut replies = 0;
    let counted = allocations(|| {
        for frame in frames.iter().cycle().take(6_000) {
            if let Verdict::Reply(reply) = respond(black_box(frame), &rx, &table).verdict {
                reply.counters.count_request();
                replies += 1;
            }
        }
    });
    assert_eq!(counted, 0);
    assert_eq!(replies, 1_000, "the frames were not what they are meant to be");
    assert!(allocations(|| drop(black_box(Box::new(1)))) > 0, "the allocator does not count");
}
