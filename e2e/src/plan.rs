//! Decides every name and address of the lab. Pure, and the same in each run: a test, a person at a
//! shell and a packet trace all know a node by the same address and the same MAC.
//!
//! ```text
//!            outside 198.51.100.2                 pool 172.17.255.0/24: on the segment,
//!               |                                 but in nobody's subnet
//!   client .1 --+-- eth0 --+
//!                          |  switch (bridge), 172.18.0.0/24, fd18::/64
//!   cp .10 ------- eth0 ---+
//!   n1 .11, n2 .12, ... ---+   ports v-client, v-cp, v-n1, v-n2, ...
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Every network namespace of the lab starts with this, so that clean-up knows its own.
pub const PREFIX: &str = "flb-";
/// The namespace that holds the bridge, and nothing else.
pub const SWITCH: &str = "flb-switch";
/// The namespace the tests run in: a host on the segment, and the router of all the others.
pub const CLIENT: &str = "flb-client";
/// A host that reaches the segment only through the client.
pub const OUTSIDE: &str = "flb-outside";

pub const SEGMENT: &str = "172.18.0.0/24";
pub const SEGMENT6: &str = "fd18::/64";
/// The pool of the scenarios. The client has it on-link; the nodes know nothing of it.
pub const POOL: &str = "172.17.255.0/24";
pub const POOL6: &str = "fd17:255::/64";
pub const PODS: &str = "10.244.0.0/16";
pub const PODS6: &str = "fd00:10:244::/48";
pub const SERVICES: &str = "10.96.0.0/16";
pub const SERVICES6: &str = "fd00:10:96::/112";
/// First address of [`SERVICES`]: the API server's Service.
pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
pub const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
pub const API_PORT: u16 = 6443;

pub const OUTSIDE_SUBNET: &str = "198.51.100.0/24";
pub const OUTSIDE_ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub const OUTSIDE_HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// Observers ask from addresses of their own (see [`crate::observer`]), from this host number on.
pub const FIRST_OBSERVER: u8 = 200;
/// In IPv6 from these: link-local, as are those that hosts ask from.
pub const OBSERVERS6: &str = "fe80::b5e0:0:0:0/112";
/// Hosts made by tests take host numbers from here on.
pub const FIRST_FOREIGN: u8 = 150;

/// The address that the observer with this number asks from in IPv6.
pub fn observer6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0xb5e0, 0, 0, u16::from(number))
}

/// One machine on the segment: a network namespace with one interface, `eth0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub name: String,
    pub namespace: String,
    pub ip: Ipv4Addr,
    pub ip6: Ipv6Addr,
    pub mac: String,
    /// Its port on the bridge, in the namespace of the switch.
    pub port: String,
}

impl Machine {
    /// The machine with this host number in the segment.
    pub fn numbered(name: &str, host: u8) -> Self {
        Self {
            name: name.to_owned(),
            namespace: format!("{PREFIX}{name}"),
            ip: Ipv4Addr::new(172, 18, 0, host),
            ip6: Ipv6Addr::new(0xfd18, 0, 0, 0, 0, 0, 0, u16::from(host)),
            // Locally administered; the last byte is the host number.
            mac: format!("02:f1:b0:00:00:{host:02x}"),
            port: format!("v-{name}"),
        }
    }
}

/// A Kubernetes node: a machine with a range of pod addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    #[serde(flatten)]
    pub machine: Machine,
    pub pods: String,
    pub pods6: String,
    /// It has no kubelet: see [`crate::bare`].
    #[serde(default)]
    pub bare: bool,
}

impl std::ops::Deref for Node {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

/// All machines of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub client: Machine,
    /// The control plane; it runs no kubelet, so it is no Kubernetes node.
    pub control: Machine,
    pub nodes: Vec<Node>,
}

impl Plan {
    /// A lab of this many nodes, `n1` and on.
    pub fn of(nodes: u8) -> Self {
        Self::with_bare(nodes, 0)
    }

    /// The same, and after them this many nodes without a kubelet.
    pub fn with_bare(nodes: u8, bare: u8) -> Self {
        let node = |number: u8| Node {
            machine: Machine::numbered(&format!("n{number}"), 10 + number),
            pods: format!("10.244.{number}.0/24"),
            pods6: format!("fd00:10:244:{number:x}::/64"),
            bare: number > nodes,
        };
        Self {
            client: Machine::numbered("client", 1),
            control: Machine::numbered("cp", 10),
            nodes: (1..=nodes.saturating_add(bare)).map(node).collect(),
        }
    }

    /// The nodes on which pods run.
    pub fn kubelets(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !node.bare)
    }

    /// Every machine on the segment.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        [&self.client, &self.control].into_iter().chain(self.nodes.iter().map(|node| &node.machine))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn machines_differ_in_everything() {
        let plan = Plan::of(100);
        let mut seen = BTreeSet::new();
        for machine in plan.machines() {
            let Machine { name, namespace, ip, ip6, mac, port } = machine;
            for value in [name, namespace, &ip.to_string(), &ip6.to_string(), mac, port] {
                assert!(seen.insert(value.clone()), "{value} twice");
            }
        }
    }

    #[test]
    fn nodes_stay_below_the_addresses_of_tests() {
        let plan = Plan::of(100);
        assert!(plan.machines().all(|machine| machine.ip.octets()[3] < FIRST_FOREIGN));
    }

    #[test]
    fn observers_ask_from_addresses_of_their_own() {
        let prefix = OBSERVERS6.strip_suffix("0/112").unwrap();
        assert_eq!(observer6(FIRST_OBSERVER).to_string(), format!("{prefix}c8"));
    }

    #[test]
    fn names_fit_an_interface() {
        // The kernel allows 15 bytes.
        assert!(Plan::of(100).machines().all(|machine| machine.port.len() <= 15));
    }
}
