//! Advertisements that name interfaces, on nodes that have others: who announces is one that has one of
//! those named for it.

use anyhow::Result;
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::namespace;
use e2e::plan::Node;
use e2e::service::{self, Service};
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::{client, web};

const POOL: &str = "172.17.255.1-172.17.255.60";
/// One more interface of a node, on the same segment.
const LAN: &str = "lan1";
const LAN_MAC: &str = "02:f1:b0:00:07:01";

/// An interface that one node has and the others have not, until it is dropped.
struct Lan(Node);

impl Lan {
    fn on(node: Node) -> Result<Self> {
        let script = format!(
            "link add {LAN} link eth0 address {LAN_MAC} type macvlan mode bridge\nlink set {LAN} up\n"
        );
        namespace::ip(&node.namespace, &script)?;
        Ok(Self(node))
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        if let Err(error) = namespace::ip(&self.0.namespace, &format!("link del {LAN}\n")) {
            eprintln!("{LAN} stays on {}: {error:#}", self.0.name);
        }
    }
}

async fn services(space: &TempNamespace, kind: &str, count: usize) -> Result<Vec<Service>> {
    let name = |number| format!("{kind}-{number}");
    let all: String = (0..count).map(|number| service::manifest(&name(number), "{}", "")).collect();
    space.apply(&all)?;
    let mut found = Vec::new();
    for number in 0..count {
        found.push(Service::find(space.lab(), &space.name, &name(number)).await?);
    }
    Ok(found)
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_interface_named_later_moves_addresses_to_where_it_is_and_one_removed_is_missed_by_nobody()
-> Result<()> {
    let lab = Lab::attach()?;
    let node = lab.node("n2")?;
    let lan = Lan::on(node.clone())?;
    let pool = config::pool("lan", POOL);
    let spec = |spec: &str| pool.clone() + &config::advertisement("lan", spec);
    let config = Config::apply(&lab, &spec("ipAddressPools: [lan]"))?;
    TempNamespace::with(&lab, "interfaces", async |space| {
        web::deploy(space, 1).await?;
        let moved = services(space, "moved", 6).await?;
        for service in &moved {
            service.announcer().await?;
        }
        config.change(&spec(&format!("ipAddressPools: [lan]\ninterfaces: [{LAN}]")))?;
        for service in &moved {
            service.announcer_that(|it| it.name == node.name).await?;
            let ip = service.address().await?;
            until(SOON, &format!("only {LAN} to answer for {ip}"), async || {
                let macs = client::arping(ip, 1)?;
                let is_right = macs == [LAN_MAC.parse()?];
                Ok(Look::when(is_right.then_some(()), || format!("{macs:?}")))
            })
            .await?;
        }
        config.change(&spec("ipAddressPools: [lan]"))?;
        drop(lan);
        // Nine of ten times in a million none of them would fall to it by chance.
        for service in services(space, "new", 30).await? {
            if service.announcer().await?.name == node.name {
                return Ok(());
            }
        }
        anyhow::bail!("{}, which has lost an interface, is given nothing any more", node.name)
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_advertisement_for_each_kind_of_node_makes_those_announce_that_have_what_it_names()
-> Result<()> {
    let lab = Lab::attach()?;
    let for_nodes = |name: &str, values: &str, interface: &str| {
        let expression =
            format!("{{key: kubernetes.io/hostname, operator: In, values: [{values}]}}");
        let selectors = format!("nodeSelectors: [{{matchExpressions: [{expression}]}}]");
        let spec = format!("ipAddressPools: [kinds]\n{selectors}\ninterfaces: [{interface}]");
        config::advertisement(name, &spec)
    };
    // `n1` has no such interface, and the one that it has is not meant for it.
    let both = for_nodes("for-n1", "n1", "enp9s0") + &for_nodes("for-rest", "n2, n3", "eth0");
    let _config = Config::apply(&lab, &(config::pool("kinds", POOL) + &both))?;
    TempNamespace::with(&lab, "kinds", async |space| {
        web::deploy(space, 1).await?;
        for service in services(space, "web", 12).await? {
            let announcer = service.announcer().await?;
            let ip = service.address().await?;
            until(SOON, &format!("{} to answer for {ip}", announcer.name), async || {
                let macs = client::arping(ip, 1)?;
                let is_right = macs == [announcer.mac.parse()?];
                Ok(Look::when(is_right.then_some(()), || format!("{macs:?}")))
            })
            .await?;
        }
        Ok(())
    })
    .await
}
