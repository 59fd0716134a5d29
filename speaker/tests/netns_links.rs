//! The netlink watch on real links: what it reports when links come, change and go.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;
use std::thread::{self, JoinHandle};

use crate::netns::responder::runtime;
use crate::netns::{CLIENT_LINK, CLIENT_MAC, NODE_LINK, NODE_MAC, Namespace, Wire, wait_for};
use crds::model::ids::{IfIndex, MacAddr};
use ipnetwork::IpNetwork;
use speaker::io::links;
use speaker::link::{DEFAULT_EXCLUSIONS, Exclusions, Ineligible, LinkFacts, eligible};
use tokio::sync::{mpsc, oneshot};

/// A watch at work within a namespace.
struct Watch {
    lists: mpsc::Receiver<Vec<LinkFacts>>,
    last: Vec<LinkFacts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts, and waits for the first list.
    fn start(namespace: &Namespace) -> Self {
        let (sender, lists) = mpsc::channel(64);
        let (stop, stopped) = oneshot::channel();
        let namespace = namespace.name().to_owned();
        let thread = thread::spawn(move || {
            Namespace::enter_named(&namespace);
            runtime().block_on(async {
                tokio::select! {
                    ended = links::watch(sender) => panic!("{}", ended.unwrap_err()),
                    _ = stopped => {}
                }
            });
        });
        let mut watch = Self { lists, last: vec![], stop: Some(stop), thread: Some(thread) };
        watch.until("first list", |_| true);
        watch
    }

    /// Takes lists until one of them satisfies `holds`.
    fn until(&mut self, what: &str, holds: impl Fn(&[LinkFacts]) -> bool) -> &[LinkFacts] {
        let mut last = std::mem::take(&mut self.last);
        wait_for(what, || {
            last = self.lists.try_recv().map_err(|_| format!("{last:#?}"))?;
            if holds(&last) { Ok(()) } else { Err(format!("{last:#?}")) }
        });
        self.last = last;
        &self.last
    }

    /// As [`Self::until`], about the node's link.
    fn until_link(&mut self, what: &str, holds: impl Fn(&LinkFacts) -> bool) -> LinkFacts {
        let list = self.until(what, |list| named(list, NODE_LINK).is_some_and(&holds));
        named(list, NODE_LINK).unwrap().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            assert!(thread::panicking(), "the watch's thread failed");
        }
    }
}

fn named<'l>(list: &'l [LinkFacts], name: &str) -> Option<&'l LinkFacts> {
    list.iter().find(|link| link.name == name)
}

fn reason(link: &LinkFacts) -> Result<MacAddr, Ineligible> {
    eligible(link, &Exclusions::new(DEFAULT_EXCLUSIONS).unwrap())
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn first_list_holds_every_link_with_its_facts() {
    let wire = Wire::new();
    let watch = Watch::start(&wire.node);
    let [lo, link] = &watch.last[..] else { panic!("{:#?}", watch.last) };
    assert!(lo.loopback && lo.mac.is_none() && lo.name == "lo");
    assert_eq!(lo.addresses.len(), 2, "{lo:?}");
    assert_eq!((link.index, &*link.name), (wire.node.index(NODE_LINK), NODE_LINK));
    assert_eq!(link.mac, Some(NODE_MAC));
    assert!(link.up && link.carrier && link.broadcast && !link.no_arp && !link.loopback);
    assert!(link.addresses.contains(&"192.0.2.2/24".parse().unwrap()), "{link:?}");
    assert_eq!(reason(link), Ok(NODE_MAC));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn link_down_lost_carrier_and_return_are_told_apart() {
    let wire = Wire::new();
    let mut watch = Watch::start(&wire.node);
    wire.node.ip(&format!("link set {NODE_LINK} down"));
    let link = watch.until_link("link down", |link| !link.up);
    assert_eq!(reason(&link), Err(Ineligible::Down));
    wire.node.ip(&format!("link set {NODE_LINK} up"));
    watch.until_link("link up", |link| link.up && link.carrier);
    // The other end of the cable.
    wire.client.ip(&format!("link set {CLIENT_LINK} down"));
    let link = watch.until_link("carrier lost", |link| !link.carrier);
    assert_eq!(reason(&link), Err(Ineligible::NoCarrier));
    wire.client.ip(&format!("link set {CLIENT_LINK} up"));
    let link = watch.until_link("carrier back", |link| link.carrier);
    assert_eq!(reason(&link), Ok(NODE_MAC));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn recreated_link_of_the_same_name_has_another_index() {
    let wire = Wire::new();
    let mut watch = Watch::start(&wire.node);
    let old = named(&watch.last, NODE_LINK).unwrap().index;
    wire.client.ip(&format!("link del {CLIENT_LINK}"));
    watch.until("link gone", |list| named(list, NODE_LINK).is_none());
    wire.connect();
    let new = watch.until_link("link again", |link| link.carrier);
    assert_ne!(new.index, old);
    assert_eq!(new.index, wire.node.index(NODE_LINK));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn changed_mac_name_and_addresses_are_reported() {
    let wire = Wire::new();
    let mut watch = Watch::start(&wire.node);
    let new_mac = MacAddr([2, 0, 0, 0, 0, 0xbb]);
    wire.node.ip(&format!("link set {NODE_LINK} address {new_mac}"));
    watch.until_link("changed MAC", |link| link.mac == Some(new_mac));
    wire.node.ip(&format!("addr add 2001:db8::2/64 dev {NODE_LINK}"));
    let address = "2001:db8::2/64".parse().unwrap();
    watch.until_link("added address", |link| link.addresses.contains(&address));
    wire.node.ip(&format!("addr del 192.0.2.2/24 dev {NODE_LINK}"));
    watch.until_link("removed address", |link| !link.addresses.iter().any(IpNetwork::is_ipv4));
    wire.node.ip(&format!("link set {NODE_LINK} arp off"));
    let link = watch.until_link("ARP off", |link| link.no_arp);
    assert_eq!(reason(&link), Err(Ineligible::NoArp));
    let index = link.index;
    wire.node.ip(&format!("link set {NODE_LINK} name veth9"));
    let list = watch.until("new name", |list| named(list, "veth9").is_some());
    let renamed = named(list, "veth9").unwrap();
    assert_eq!(renamed.index, index);
    assert_eq!(reason(renamed).unwrap_err().reason(), "excluded");
}

/// The kernel announces that a port leaves its bridge by a *delete* message for the port.
#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn port_that_joins_and_leaves_a_bridge_stays_a_link() {
    let wire = Wire::new();
    let mut watch = Watch::start(&wire.node);
    wire.node.ip("link add br0 type bridge");
    let bridge = wire.node.index("br0");
    wire.node.ip(&format!("link set {NODE_LINK} master br0"));
    let link = watch.until_link("bridge port", |link| link.master.is_some());
    assert_eq!(reason(&link), Err(Ineligible::Enslaved { master: bridge }));
    wire.node.ip(&format!("link set {NODE_LINK} nomaster"));
    let link = watch.until_link("free link", |link| link.master.is_none());
    assert_eq!(reason(&link), Ok(NODE_MAC));
}

/// 20,000 address changes while nobody reads overrun the socket's buffer; the list that comes after
/// must be the truth all the same.
#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn list_is_right_after_more_changes_than_the_socket_can_hold() {
    let wire = Wire::new();
    let (sender, mut lists) = mpsc::channel(64);
    wire.node.within(|| {
        runtime().block_on(async {
            let watch = tokio::spawn(links::watch(sender));
            lists.recv().await.unwrap();
            let mut batch = String::new();
            for n in 0..10_000_u32 {
                let address = format!("10.{}.{}.1/32 dev {NODE_LINK}", n >> 8, n & 255);
                writeln!(batch, "addr add {address}\naddr del {address}").unwrap();
            }
            writeln!(batch, "addr add 10.255.0.1/32 dev {NODE_LINK}").unwrap();
            // Blocks this thread, and with it the only one that could read the socket.
            let mut ip = wire.node.command("ip -batch -").stdin(Stdio::piped()).spawn().unwrap();
            ip.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
            assert!(ip.wait().unwrap().success());
            assert!(lost_notifications() > 0, "nothing was lost, so nothing was tested");
            let final_address = "10.255.0.1/32".parse().unwrap();
            let right = async {
                loop {
                    let list = lists.recv().await.unwrap();
                    let link = named(&list, NODE_LINK).unwrap();
                    let v4: Vec<_> = link.addresses.iter().filter(|ip| ip.is_ipv4()).collect();
                    if v4.contains(&&final_address) {
                        assert_eq!(v4.len(), 2, "{v4:?}");
                        return;
                    }
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(10), right).await.unwrap();
            assert!(!watch.is_finished());
        });
    });
}

/// The sum of the column "Drops" over the netlink sockets of the calling thread's namespace.
fn lost_notifications() -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    let drops = |line: &str| line.split_whitespace().nth(8).unwrap().parse::<u64>().unwrap();
    table.lines().skip(1).map(drops).sum()
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn nothing_is_reported_while_nothing_changes() {
    let wire = Wire::new();
    let mut watch = Watch::start(&wire.client);
    assert_eq!(named(&watch.last, CLIENT_LINK).unwrap().mac, Some(CLIENT_MAC));
    // Each brings notifications, but leaves everything as it was: the alias is not in the facts.
    for alias in ["one", "two", "three"] {
        wire.client.ip(&format!("link set {CLIENT_LINK} alias {alias}"));
    }
    wire.client.ip("link set lo mtu 1400");
    wire.client.ip("addr add 127.0.0.9/8 dev lo");
    let list = watch.until("next list", |_| true);
    let lo = list.iter().find(|link| link.index == IfIndex(1)).unwrap();
    assert!(lo.addresses.contains(&"127.0.0.9/8".parse().unwrap()), "an unchanged list was sent");
}
