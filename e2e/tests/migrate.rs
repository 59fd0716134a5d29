//! Configuration of MetalLB before 0.13, turned into objects by `kubectl ferrolb migrate`.

use anyhow::{Result, ensure};
use e2e::cluster::Lab;
use e2e::config::Config;
use e2e::event::Event;
use e2e::namespace::feed;
use e2e::temp_ns::TempNamespace;
use e2e::{client, plugin, web};

const CONFIG_MAP: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  namespace: metallb-system
  name: config
data:
  config: |
    address-pools:
    - name: default
      protocol: layer2
      addresses:
      - 172.17.255.1-172.17.255.255
";

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_old_config_map_becomes_objects_that_give_a_service_its_address() -> Result<()> {
    let lab = Lab::attach()?;
    let objects = feed(&mut plugin::command(&lab, &["migrate", "-"])?, CONFIG_MAP)?;
    TempNamespace::with(&lab, "migrated", async |space| {
        let pods = web::deploy(space, 3).await?;
        let _config = Config::apply(&lab, &objects)?;
        let service = space.balance("web-svc-lb").await?;
        service.await_addresses(&["172.17.255.1"]).await?;
        let from = service.annotation("metallb.io/ip-allocated-from-pool").await?;
        assert_eq!(from.as_deref(), Some("default"));
        let node = service.announcer().await?;
        service.await_event(&Event::node_assigned(&node.name)).await?;
        client::curl_reaches("http://172.17.255.1/index.html", &pods).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_old_config_map_with_a_mistake_becomes_nothing() -> Result<()> {
    let lab = Lab::attach()?;
    let wrong = CONFIG_MAP.replace("layer2", "l2");
    let Err(error) = feed(&mut plugin::command(&lab, &["migrate"])?, &wrong) else {
        anyhow::bail!("it was converted")
    };
    let told = format!("{error:#}");
    let expected = "address-pools[0] \"default\": protocol: \"l2\" is no protocol; \
                    did you mean \"layer2\"?";
    ensure!(told.contains(expected), "{told}");
    Ok(())
}
