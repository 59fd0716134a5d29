//! Small builders for configurations and requests; shared by tests and benchmarks.
#![allow(dead_code, unreachable_pub, reason = "each user needs some of them")]

use std::net::IpAddr;

use controller::alloc::{Need, Policy, Port, Protocol, Request, Sharing, Wanted};
use crds::model::compile::Config;
use crds::model::ids::ServiceKey;
use crds::model::pool::{Allocation, Pool, Rank};
use crds::model::range::{AddressRange, Family};
use crds::model::selector::Labels;

pub fn pool(name: &str, ranges: &[&str]) -> Pool {
    let parse = |text: &&str| AddressRange::parse(text).expect("a range of the test");
    Pool {
        name: name.into(),
        labels: Labels::new(),
        ranges: ranges.iter().map(parse).collect(),
        auto_assign: true,
        avoid_buggy_ips: false,
        allocation: None,
    }
}

/// `pool`, pinned to the Services of `namespaces`, with this priority.
pub fn pinned(mut pool: Pool, priority: i64, namespaces: &[&str]) -> Pool {
    let names = namespaces.iter().map(ToString::to_string).collect();
    pool.allocation = Some(Allocation {
        rank: Rank::of(Some(priority)),
        namespaces: (!namespaces.is_empty()).then_some(names),
        service_selectors: Vec::new(),
    });
    pool
}

pub fn config(pools: impl IntoIterator<Item = Pool>) -> Config {
    Config {
        pools: pools.into_iter().map(|pool| (pool.name.clone(), pool)).collect(),
        ..Config::default()
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address of the test")
}

pub fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

pub fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

/// A Service that asks for one IPv4 address, on port 80/TCP, and for nothing else.
pub fn request(name: &str) -> Request {
    Request {
        key: key(name),
        labels: Labels::new(),
        need: Need::Single(Family::V4),
        wanted: Wanted::Any,
        wanted_pool: None,
        ports: [tcp(80)].into(),
        sharing: None,
    }
}

pub const fn tcp(number: u16) -> Port {
    Port { protocol: Protocol::Tcp, number }
}

pub const fn udp(number: u16) -> Port {
    Port { protocol: Protocol::Udp, number }
}

/// What makes a [`request`] another one.
pub trait With: Sized {
    fn wants(self, addresses: &[&str]) -> Self;
    fn of_pool(self, name: &str) -> Self;
    fn shares(self, key: &str) -> Self;
    fn on(self, ports: &[Port]) -> Self;
    fn needs(self, need: Need) -> Self;
    fn dual(self, policy: Policy) -> Self;
}

impl With for Request {
    fn wants(mut self, addresses: &[&str]) -> Self {
        self.wanted = Wanted::These(ips(addresses));
        self
    }

    fn of_pool(mut self, name: &str) -> Self {
        self.wanted_pool = Some(name.into());
        self
    }

    fn shares(mut self, key: &str) -> Self {
        self.sharing = Some(Sharing { key: key.to_owned(), backend: String::new() });
        self
    }

    fn on(mut self, ports: &[Port]) -> Self {
        self.ports = ports.iter().copied().collect();
        self
    }

    fn needs(mut self, need: Need) -> Self {
        self.need = need;
        self
    }

    fn dual(self, policy: Policy) -> Self {
        self.needs(Need::Dual { policy, primary: Family::V4 })
    }
}
