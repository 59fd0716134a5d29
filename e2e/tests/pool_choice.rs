//! Which Services get an address at all, and from which pool.

use anyhow::Result;
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::event::Event;
use e2e::temp_ns::TempNamespace;
use e2e::web;

const FROM: &str = "metallb.io/ip-allocated-from-pool";

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_pool_without_auto_assign_gives_only_when_asked() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "kept", async |space| {
        let pool = config::pool_with("kept", "172.17.255.1-172.17.255.9", "autoAssign: false");
        let config = Config::apply(&lab, &(pool + &config::advertisement("all", "")))?;
        let silent = space.balance("silent").await?;
        let refused = Event::allocation_failed(&silent.key(), "no available IPs");
        silent.await_event(&refused).await?;
        let asking = "{metallb.io/address-pool: kept}";
        let asking = space.balance_with("asking", asking, "").await?;
        asking.await_addresses(&["172.17.255.1"]).await?;
        assert_eq!(silent.addresses().await?, [""; 0]);

        // Switched on it gives to those who wait; switched off again it takes nothing back.
        config.change(&config::pool("kept", "172.17.255.1-172.17.255.9"))?;
        silent.await_addresses(&["172.17.255.2"]).await?;
        config.change(&config::pool_with(
            "kept",
            "172.17.255.1-172.17.255.9",
            "autoAssign: false",
        ))?;
        let late = space.balance("late").await?;
        late.await_event(&Event::allocation_failed(&late.key(), "no available IPs")).await?;
        silent.await_addresses(&["172.17.255.2"]).await?;
        assert_eq!(silent.times_told("ClearAssignment").await?, 0);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn pools_of_a_namespace_go_first_by_priority_and_are_for_it_alone() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "pinned", async |space| {
        let other = TempNamespace::create(&lab, "other").await?;
        let pinned = |name: &str, address: &str, priority: u8| {
            let more = format!(
                "serviceAllocation: {{priority: {priority}, namespaces: [{}]}}",
                space.name
            );
            config::pool_with(name, address, &more)
        };
        // By name they would come in another order.
        let pools = config::pool("a-open", "172.17.255.1-172.17.255.9")
            + &pinned("b-last", "172.17.255.10/32", 50)
            + &pinned("c-first", "172.17.255.20/32", 20)
            + &config::advertisement("all", "");
        let _config = Config::apply(&lab, &pools)?;
        for (name, address, pool) in [
            ("one", "172.17.255.20", "c-first"),
            ("two", "172.17.255.10", "b-last"),
            ("three", "172.17.255.1", "a-open"),
        ] {
            let service = space.balance(name).await?;
            service.await_addresses(&[address]).await?;
            assert_eq!(service.annotation(FROM).await?.as_deref(), Some(pool), "{name}");
        }
        let stranger = other.balance("stranger").await?;
        stranger.await_addresses(&["172.17.255.2"]).await?;
        let asking = "{metallb.io/address-pool: c-first}";
        let asking = other.balance_with("asking", asking, "").await?;
        let why = "pool c-first not compatible for ip assignment";
        asking.await_event(&Event::allocation_failed(&asking.key(), why)).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_service_of_another_class_is_left_to_others() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "class", async |space| {
        web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "first-pool", "172.17.255.1-172.17.255.9")?;
        let class = "loadBalancerClass: example.com/other";
        let foreign = space.balance_with("foreign", "{}", class).await?;
        // What came later and has its address shows that the other one was passed over.
        let ours = space.balance("ours").await?;
        ours.await_addresses(&["172.17.255.1"]).await?;
        ours.announcer().await?;
        assert_eq!(foreign.addresses().await?, [""; 0]);
        assert_eq!(foreign.events().await?, []);

        // Another controller's address is not announced either, nor taken away.
        let status = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"172.17.255.5"}]}}}"#;
        space.kubectl(&["patch", "service", "foreign", "--subresource=status", "-p", status])?;
        let later = space.balance("later").await?;
        later.await_addresses(&["172.17.255.2"]).await?;
        later.announcer().await?;
        assert_eq!(foreign.addresses().await?, ["172.17.255.5"]);
        assert_eq!(foreign.announcers().await?, [""; 0]);
        assert_eq!(e2e::client::arping([172, 17, 255, 5].into(), 1)?, []);
        Ok(())
    })
    .await
}
