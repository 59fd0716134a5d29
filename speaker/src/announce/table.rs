//! The lookup table behind every answer: which addresses are answered, where, and with whose
//! MAC.
//!
//! The engine decides what belongs in it, the shell publishes it as one immutable snapshot, and
//! every port reads it for every frame. Nothing here is ever changed in place, the counters apart:
//! those are written by the ports, read by the metrics, and never by a decision.
//!
//! There is no deadline in the table (design R9, `ownership.md`): renewing it several times a
//! second would mean a new table of 10,000 entries each time. It belongs beside the table, as one
//! atomic that the port reads before it answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crds::model::ids::{IfIndex, MacAddr};
use serde::{Deserialize, Serialize};

/// On which links an address is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Links {
    /// On every eligible link.
    All,
    /// On these only; empty means nowhere.
    Only(BTreeSet<IfIndex>),
}

impl Links {
    /// Whether `link` is among them.
    pub fn includes(&self, link: IfIndex) -> bool {
        match self {
            Self::All => true,
            Self::Only(links) => links.contains(&link),
        }
    }
}

/// Whose MAC an answer carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The MAC of the link that was asked: this node owns the address.
    Own,
    /// The owner's MAC on each link, while the owner's agent is away and its node is not. The
    /// Ethernet source stays ours, or switches would send the owner's traffic here. Links without
    /// one are not answered on.
    Deputy(BTreeMap<IfIndex, MacAddr>),
}

impl Answer {
    /// The MAC that an answer on `link`, whose own MAC is `own`, carries.
    pub fn mac(&self, link: IfIndex, own: MacAddr) -> Option<MacAddr> {
        match self {
            Self::Own => Some(own),
            Self::Deputy(owner) => owner.get(&link).copied(),
        }
    }
}

/// How one address is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where.
    pub links: Links,
    /// With whose MAC.
    pub answer: Answer,
}

/// What was sent and received for one address, over all links. An address that stays announced
/// keeps its counters from table to table; one that is withdrawn loses them, and with them its
/// metric series.
#[derive(Debug, Default)]
pub struct AddressCounters {
    requests_received: AtomicU64,
    responses_sent: AtomicU64,
    gratuitous_sent: AtomicU64,
}

/// The values of [`AddressCounters`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddressCounts {
    /// Requests that were to be answered: `metallb_layer2_requests_received`.
    pub requests_received: u64,
    /// Replies handed to the kernel: `metallb_layer2_responses_sent`.
    pub responses_sent: u64,
    /// Gratuitous frames, requests and replies each: `metallb_layer2_gratuitous_sent`.
    pub gratuitous_sent: u64,
}

// Relaxed everywhere: each counter stands for itself, and nothing is decided by its value.
impl AddressCounters {
    /// A request came in that is to be answered.
    pub fn count_request(&self) {
        self.requests_received.fetch_add(1, Ordering::Relaxed);
    }

    /// A reply went out.
    pub fn count_response(&self) {
        self.responses_sent.fetch_add(1, Ordering::Relaxed);
    }

    /// A gratuitous frame went out; both forms of one announcement count.
    pub fn count_gratuitous(&self) {
        self.gratuitous_sent.fetch_add(1, Ordering::Relaxed);
    }

    /// The values now.
    pub fn read(&self) -> AddressCounts {
        AddressCounts {
            requests_received: self.requests_received.load(Ordering::Relaxed),
            responses_sent: self.responses_sent.load(Ordering::Relaxed),
            gratuitous_sent: self.gratuitous_sent.load(Ordering::Relaxed),
        }
    }
}

/// One address of the table: how it is answered, and what came of it so far.
#[derive(Debug)]
pub struct Announced {
    /// How it is answered.
    pub entry: Entry,
    /// Shared with the tables before and after this one.
    pub counters: Arc<AddressCounters>,
}

/// Everything this node answers, immutable.
#[derive(Debug, Default)]
pub struct Table {
    announced: HashMap<IpAddr, Announced, BuildHasherDefault<AddressHasher>>,
}

impl Table {
    /// A table of `entries` that takes over from `previous`: addresses in both keep their counters.
    /// `Table::default()`, the empty table, is what the first one follows.
    pub fn following<A: Into<IpAddr>>(
        previous: &Self,
        entries: impl IntoIterator<Item = (A, Entry)>,
    ) -> Self {
        let announced = |(address, entry): (A, Entry)| {
            let address = address.into();
            let counters = previous.get(address).map(|old| Arc::clone(&old.counters));
            (address, Announced { entry, counters: counters.unwrap_or_default() })
        };
        Self { announced: entries.into_iter().map(announced).collect() }
    }

    /// The entry of `address`; the cost does not depend on how many there are.
    pub fn get(&self, address: impl Into<IpAddr>) -> Option<&Announced> {
        self.announced.get(&address.into())
    }

    /// All addresses, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &Announced)> {
        self.announced.iter().map(|(&address, announced)| (address, announced))
    }

    /// How many addresses are announced.
    pub fn len(&self) -> usize {
        self.announced.len()
    }

    /// Whether nothing is announced.
    pub fn is_empty(&self) -> bool {
        self.announced.is_empty()
    }
}

/// Hashes an address with a multiplication for each four or eight bytes. The standard hasher is
/// keyed at random against keys chosen to collide, but here the keys come from our own pools and only
/// look-ups from the wire; and a random source is nothing for a pure module. Folding the high half
/// down lets addresses that differ only in their upper bytes part in the low bits, which pick the
/// bucket.
#[derive(Debug, Default)]
struct AddressHasher(u64);

impl AddressHasher {
    fn mix(&mut self, bits: u64) {
        // 2^64 divided by the golden ratio: Knuth's multiplicative hashing.
        self.0 = (self.0.rotate_left(32) ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let fold = |bits, &byte: &u8| bits << 8 | u64::from(byte);
            self.mix(chunk.iter().fold(0, fold));
        }
    }

    fn write_u32(&mut self, bits: u32) {
        self.mix(u64::from(bits));
    }

    /// Which family it is, and how long: the rest tells that too.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault};
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

    fn own(links: Links) -> Entry {
        Entry { links, answer: Answer::Own }
    }

    #[test]
    fn counters_outlive_a_table_but_not_a_withdrawal() {
        let first = Table::following(&Table::default(), [(ADDRESS, own(Links::All))]);
        first.get(ADDRESS).unwrap().counters.count_request();
        let deputy = Entry {
            links: Links::All,
            answer: Answer::Deputy([(IfIndex(1), MacAddr([2; 6]))].into()),
        };
        let second = Table::following(&first, [(ADDRESS, deputy)]);
        // A port may still be at work with the first table.
        first.get(ADDRESS).unwrap().counters.count_response();
        assert_eq!(
            second.get(ADDRESS).unwrap().counters.read(),
            AddressCounts { requests_received: 1, responses_sent: 1, gratuitous_sent: 0 }
        );
        let withdrawn = Table::following(&second, [] as [(IpAddr, Entry); 0]);
        assert!(withdrawn.is_empty());
        let again = Table::following(&withdrawn, [(ADDRESS, own(Links::All))]);
        assert_eq!(again.get(ADDRESS).unwrap().counters.read(), AddressCounts::default());
    }

    #[test]
    fn only_the_links_named_are_included() {
        let some = Links::Only([IfIndex(3), IfIndex(7)].into());
        assert!(some.includes(IfIndex(3)) && some.includes(IfIndex(7)));
        assert!(!some.includes(IfIndex(4)));
        assert!(!Links::Only(BTreeSet::new()).includes(IfIndex(3)));
        assert!(Links::All.includes(IfIndex(3)));
    }

    /// Neighbouring addresses and addresses that differ in one byte only must both spread: a pool
    /// is a contiguous range, or one address out of each of many subnets.
    #[test]
    fn pools_of_any_shape_spread_over_the_buckets() {
        let hasher = BuildHasherDefault::<AddressHasher>::default();
        let v4 =
            |n: u32, shift: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000_u32 + (n << shift)));
        let net = 0x2001_0db8_u128 << 96;
        let v6 =
            |n: u32, shift: u32| IpAddr::V6(Ipv6Addr::from_bits(net + (u128::from(n) << shift)));
        let pools = [0, 8, 16, 20].map(|shift| (shift, &v4 as &dyn Fn(u32, u32) -> IpAddr));
        let pools = pools.into_iter().chain([0, 16, 64, 80].map(|shift| (shift, &v6 as &_)));
        for (shift, address) in pools {
            let mut buckets = [0_u32; 256];
            for n in 0..2560_u32 {
                let hash = hasher.hash_one(address(n, shift));
                buckets[usize::try_from(hash & 0xff).unwrap()] += 1;
            }
            let fullest = *buckets.iter().max().unwrap();
            let (first, second) = (address(0, shift), address(1, shift));
            assert!(fullest <= 40, "{fullest} of an ideal 10 with {first}, {second} and so on");
        }
    }
}
