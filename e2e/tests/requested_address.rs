//! Services that ask for an address or a pool, and what they are told when they cannot have it.

use anyhow::Result;
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::event::Event;
use e2e::temp_ns::TempNamespace;
use e2e::{client, web};

const IPS: &str = "metallb.io/loadBalancerIPs";
const OLD_IPS: &str = "metallb.universe.tf/loadBalancerIPs";
const POOL: &str = "metallb.io/address-pool";
const BOTH: &str =
    "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP";

/// Two pools that give on their own, and one that does not.
fn pools() -> String {
    let kept = config::pool_with("kept", "172.17.255.200-172.17.255.209", "autoAssign: false");
    config::pool("first-pool", "172.17.255.1-172.17.255.99")
        + &config::pool("second-pool", "172.17.255.100-172.17.255.109")
        + &kept
        + &config::advertisement("all", "")
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_object_store_gets_exactly_the_address_it_asks_for() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "minio", async |space| {
        let pods = web::deploy(space, 1).await?;
        let _config = Config::apply(&lab, &pools())?;
        let spec = "ports: [{port: 9000, targetPort: 8000}]\nloadBalancerIP: 172.17.255.9";
        let minio = space.balance_with("minio", "{}", spec).await?;
        minio.await_addresses(&["172.17.255.9"]).await?;
        let assigned = Event::controller("IPAllocated", "Assigned IP [\"172.17.255.9\"]");
        minio.await_event(&assigned).await?;
        client::curl_reaches("http://172.17.255.9:9000/index.html", &pods).await
    })
    .await
}

/// What a Service asks for and what it gets.
struct Granted {
    name: &'static str,
    annotations: String,
    spec: &'static str,
    address: &'static str,
    pool: &'static str,
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn each_way_of_asking_is_understood() -> Result<()> {
    let lab = Lab::attach()?;
    let granted = |name, annotations: String, spec, address, pool| Granted {
        name,
        annotations: format!("{{{annotations}}}"),
        spec,
        address,
        pool,
    };
    let field = "loadBalancerIP: 172.17.255.20";
    let rows = [
        granted("field", String::new(), field, "172.17.255.20", "first-pool"),
        granted("annotation", format!("{IPS}: 172.17.255.21"), "", "172.17.255.21", "first-pool"),
        granted("old", format!("{OLD_IPS}: 172.17.255.22"), "", "172.17.255.22", "first-pool"),
        granted(
            "current-first",
            format!("{IPS}: 172.17.255.23, {OLD_IPS}: 172.17.255.24"),
            "",
            "172.17.255.23",
            "first-pool",
        ),
        granted("pool", format!("{POOL}: second-pool"), "", "172.17.255.100", "second-pool"),
        granted(
            "old-pool",
            "metallb.universe.tf/address-pool: second-pool".to_owned(),
            "",
            "172.17.255.101",
            "second-pool",
        ),
        granted(
            "pool-and-address",
            format!("{POOL}: second-pool, {IPS}: 172.17.255.105"),
            "",
            "172.17.255.105",
            "second-pool",
        ),
        granted("kept-pool", format!("{POOL}: kept"), "", "172.17.255.200", "kept"),
        granted("kept-address", format!("{IPS}: 172.17.255.205"), "", "172.17.255.205", "kept"),
    ];
    TempNamespace::with(&lab, "granted", async |space| {
        let _config = Config::apply(&lab, &pools())?;
        for Granted { name, annotations, spec, address, pool } in rows {
            let service = space.balance_with(name, &annotations, spec).await?;
            service.await_addresses(&[address]).await?;
            let from = service.annotation("metallb.io/ip-allocated-from-pool").await?;
            assert_eq!(from.as_deref(), Some(pool), "{name}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_wish_that_cannot_be_granted_is_refused_with_the_reason() -> Result<()> {
    let lab = Lab::attach()?;
    let ip = |ip: &str| format!("{IPS}: {ip}");
    let rows = [
        ("outside", ip("192.0.2.1"), "[\"192.0.2.1\"] is not allowed in config"),
        ("unknown-pool", format!("{POOL}: nope"), "unknown pool \"nope\""),
        (
            "other-pool",
            format!("{POOL}: second-pool, {IPS}: 172.17.255.5"),
            "requested loadBalancer IP(s) [\"172.17.255.5\"] is not compatible with requested \
             address pool second-pool",
        ),
        (
            "other-family",
            ip("\"fd17:255::1\""),
            "requested loadBalancer IP(s) [\"fd17:255::1\"] does not match the ipFamily of the \
             service",
        ),
        (
            "taken",
            ip("172.17.255.9"),
            "can't change sharing key for \"SPACE/taken\", address also in use by SPACE/holder",
        ),
    ];
    TempNamespace::with(&lab, "refused", async |space| {
        let _config = Config::apply(&lab, &pools())?;
        let wanted = "loadBalancerIP: 172.17.255.9";
        let holder = space.balance_with("holder", "{}", wanted).await?;
        holder.await_addresses(&["172.17.255.9"]).await?;
        for (name, annotations, why) in rows {
            let service = space.balance_with(name, &format!("{{{annotations}}}"), "").await?;
            let why = why.replace("SPACE", &space.name);
            service.await_event(&Event::allocation_failed(&service.key(), &why)).await?;
            assert_eq!(service.addresses().await?, [""; 0], "{name}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_wish_that_cannot_be_read_is_told_of_and_takes_nothing_away() -> Result<()> {
    let lab = Lab::attach()?;
    let rows = [
        ("annotation", "{metallb.io/loadBalancerIPs: raw}", "", {
            "invalid metallb.io/loadBalancerIPs: \"raw\""
        }),
        (
            "both",
            "{metallb.io/loadBalancerIPs: 172.17.255.9}",
            "loadBalancerIP: 172.17.255.9",
            BOTH,
        ),
        (
            "one-family",
            "{metallb.io/loadBalancerIPs: '172.17.255.5,172.17.255.6'}",
            "",
            "IPFamilyForAddresses: same address family [\"172.17.255.5\" \"172.17.255.6\"]",
        ),
    ];
    TempNamespace::with(&lab, "unreadable", async |space| {
        let _config = Config::apply(&lab, &pools())?;
        for (name, annotations, spec, why) in rows {
            let why = format!("invalid requested loadbalancer IPs: {why}");
            let told = Event::controller_warning("LoadBalancerFailed", &why);
            let fresh = space.balance_with(&format!("{name}-fresh"), annotations, spec).await?;
            fresh.await_event(&told).await?;
            assert_eq!(fresh.addresses().await?, [""; 0], "{name}");

            let settled = format!("{name}-settled");
            let ip = space.balance(&settled).await?.address().await?.to_string();
            let service = space.balance_with(&settled, annotations, spec).await?;
            service.await_event(&told).await?;
            service.await_addresses(&[&ip]).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn another_wish_moves_a_service_to_another_address() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "another", async |space| {
        let _config = Config::apply(&lab, &pools())?;
        let service = space.balance("web").await?;
        service.await_addresses(&["172.17.255.1"]).await?;
        space.balance_with("web", "{metallb.io/loadBalancerIPs: 172.17.255.7}", "").await?;
        service.await_addresses(&["172.17.255.7"]).await?;
        let assigned = Event::controller("IPAllocated", "Assigned IP [\"172.17.255.7\"]");
        service.await_event(&assigned).await?;
        space.balance_with("web", "{metallb.io/address-pool: second-pool}", "").await?;
        service.await_addresses(&["172.17.255.100"]).await
    })
    .await
}
