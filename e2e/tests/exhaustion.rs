//! More Services than addresses.

use anyhow::Result;
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::event::Event;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::{client, web};

const ONE: &str = "172.17.255.1/32";

async fn pool_says(lab: &Lab, assigned: &str, available: &str) -> Result<()> {
    until(SOON, "the pool's status", async || {
        let path = "jsonpath={.status.assignedIPv4} {.status.availableIPv4}";
        let said =
            lab.kubectl(&["-n", config::NAMESPACE, "get", "ipaddresspool", "small", "-o", path])?;
        let expected = format!("{assigned} {available}");
        Ok(Look::when((said == expected).then_some(()), || said))
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_second_service_waits_for_the_only_address_and_gets_it() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "exhausted", async |space| {
        let pods = web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "small", ONE)?;
        pool_says(&lab, "0", "1").await?;
        let first = space.balance("first").await?;
        first.await_addresses(&["172.17.255.1"]).await?;
        pool_says(&lab, "1", "0").await?;
        let second = space.balance("second").await?;
        let refused = Event::allocation_failed(&second.key(), "no available IPs");
        second.await_event(&refused).await?;
        assert_eq!(second.addresses().await?, [""; 0]);
        second.await_allocated(Some(["False", "Exhausted", "no available IPs"])).await?;

        space.kubectl(&["delete", "service", "first"])?;
        second.await_addresses(&["172.17.255.1"]).await?;
        let assigned = Event::controller("IPAllocated", "Assigned IP [\"172.17.255.1\"]");
        second.await_event(&assigned).await?;
        second.await_allocated(None).await?;
        let node = second.announcer().await?;
        second.await_event(&Event::node_assigned(&node.name)).await?;
        client::curl_reaches("http://172.17.255.1/index.html", &pods).await?;
        assert_eq!(second.times_told("AllocationFailed").await?, 1);
        pool_says(&lab, "1", "0").await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_service_that_waits_gets_an_address_when_the_pool_grows() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "growing", async |space| {
        let config = Config::pool(&lab, "small", ONE)?;
        space.balance("first").await?.await_addresses(&["172.17.255.1"]).await?;
        let second = space.balance("second").await?;
        let refused = Event::allocation_failed(&second.key(), "no available IPs");
        second.await_event(&refused).await?;

        config.change(&config::pool("small", "172.17.255.1-172.17.255.2"))?;
        second.await_addresses(&["172.17.255.2"]).await?;
        pool_says(&lab, "2", "0").await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn who_stops_being_a_load_balancer_gives_its_address_back() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "giving-back", async |space| {
        let _config = Config::pool(&lab, "small", ONE)?;
        let first = space.balance("first").await?;
        first.await_addresses(&["172.17.255.1"]).await?;
        let second = space.balance("second").await?;
        let refused = Event::allocation_failed(&second.key(), "no available IPs");
        second.await_event(&refused).await?;

        space.kubectl(&["patch", "service", "first", "-p", r#"{"spec":{"type":"ClusterIP"}}"#])?;
        second.await_addresses(&["172.17.255.1"]).await?;
        first.await_addresses(&[]).await?;
        let pool = first.annotation("metallb.io/ip-allocated-from-pool").await?;
        assert_eq!(pool, None);
        Ok(())
    })
    .await
}
