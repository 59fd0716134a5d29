//! The first Service anyone makes, and what goes wrong with it most often.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::event::Event;
use e2e::observer::Observer;
use e2e::service::Service;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::{client, web};

const QUIET: Duration = Duration::from_millis(500);
const FIRST_POOL: &str = "172.17.255.1-172.17.255.255";

fn assigned_first() -> Event {
    Event::controller("IPAllocated", "Assigned IP [\"172.17.255.1\"]")
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn the_example_gives_a_service_an_address_that_answers() -> Result<()> {
    let lab = Lab::attach()?;
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/first-service.yaml");
    // It is applied as a user applies it, and so lands in `default`.
    let _made = Config::apply(&lab, &fs::read_to_string(example)?)?;
    let service = Service::find(&lab, "default", "web-svc-lb").await?;

    service.await_addresses(&["172.17.255.1"]).await?;
    let from = service.annotation("metallb.io/ip-allocated-from-pool").await?;
    assert_eq!(from.as_deref(), Some("first-pool"));
    service.await_event(&assigned_first()).await?;
    let node = service.announcer().await?;
    service.await_event(&Event::node_assigned(&node.name)).await?;
    until(SOON, "the controller's log line", async || {
        let line = allocation_line(&lab, "default/web-svc-lb")?;
        let wanted = r#""event":"ipAllocated","ip":["172.17.255.1"],"#;
        let text = r#""msg":"IP address assigned by controller""#;
        let found = line.contains(wanted) && line.contains(text);
        Ok(Look::when(found.then_some(()), || line))
    })
    .await?;

    lab.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    let names = "jsonpath={.items[*].metadata.name}";
    let pods = lab.kubectl(&["get", "pods", "-l", "app=web", "-o", names])?;
    let pods = pods.split_whitespace().map(str::to_owned).collect();
    client::curl_reaches("http://172.17.255.1/index.html", &pods).await
}

/// The last line of the controllers that tells of an address for this Service.
fn allocation_line(lab: &Lab, service: &str) -> Result<String> {
    let selector = "app.kubernetes.io/component=controller";
    let text =
        lab.kubectl(&["-n", config::NAMESPACE, "logs", "-l", selector, "--tail=-1", "--prefix"])?;
    let about = |line: &&str| line.contains("ipAllocated") && line.contains(service);
    let mut lines: Vec<_> = text.lines().filter(about).collect();
    // Two controllers may have logged it, one of them for an earlier run.
    lines.sort_by_key(|line| line.split_once("\"ts\":").map(|(_, rest)| rest));
    Ok(lines.pop().unwrap_or("none").to_owned())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_advertisement_that_names_its_pool_announces_it() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "named-pool", async |space| {
        let pods = web::deploy(space, 3).await?;
        let spec = "ipAddressPools: [first-pool]";
        let objects = config::pool("first-pool", FIRST_POOL) + &config::advertisement("a", spec);
        let _config = Config::apply(&lab, &objects)?;
        let service = space.balance("web-svc-lb").await?;
        service.await_addresses(&["172.17.255.1"]).await?;
        let node = service.announcer().await?;
        service.await_event(&Event::node_assigned(&node.name)).await?;
        client::curl_reaches("http://172.17.255.1/index.html", &pods).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_service_made_before_its_pool_gets_its_address_when_the_pool_comes() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "before-pool", async |space| {
        let pods = web::deploy(space, 3).await?;
        let service = space.balance("web-svc-lb").await?;
        let refused = Event::allocation_failed(&service.key(), "no available IPs");
        service.await_event(&refused).await?;
        assert_eq!(service.addresses().await?, [""; 0]);

        let _config = Config::pool(&lab, "first-pool", FIRST_POOL)?;
        service.await_addresses(&["172.17.255.1"]).await?;
        service.await_event(&assigned_first()).await?;
        let node = service.announcer().await?;
        service.await_event(&Event::node_assigned(&node.name)).await?;
        client::curl_reaches("http://172.17.255.1/index.html", &pods).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_address_that_no_advertisement_covers_is_told_of_on_its_service() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "no-advertisement", async |space| {
        let pods = web::deploy(space, 1).await?;
        let _pool = Config::apply(&lab, &config::pool("first-pool", FIRST_POOL))?;
        let service = space.balance("web-svc-lb").await?;
        let ip = service.address().await?;
        let why = format!("no L2Advertisement covers pool \"first-pool\": nobody answers for {ip}");
        service.await_event(&Event::controller_warning("notAnnounced", &why)).await?;
        service.await_announced(Some(["False", "NoAdvertisement", &why])).await?;
        assert_eq!(client::arping(ip, 1)?, []);

        // One that is for another pool does not help; one that is for this does.
        let other = config::advertisement("other", "ipAddressPools: [another-pool]");
        let _other = Config::apply(&lab, &other)?;
        service.await_announced(Some(["False", "NoAdvertisement", &why])).await?;
        let _right = Config::apply(&lab, &config::advertisement("example", ""))?;
        service.await_announced(None).await?;
        client::curl_reaches(&format!("http://{ip}/index.html"), &pods).await?;
        assert_eq!(service.times_told("notAnnounced").await?, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_address_that_no_pod_is_behind_is_told_of_on_its_service() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "no-pods", async |space| {
        let _config = Config::pool(&lab, "first-pool", FIRST_POOL)?;
        let service = space.balance("web-svc-lb").await?;
        let ip = service.address().await?;
        let why =
            format!("no endpoint is ready (kubectl get endpointslices): nobody answers for {ip}");
        service.await_announced(Some(["False", "NoEndpoints", &why])).await?;
        service.await_event(&Event::controller_warning("notAnnounced", &why)).await?;
        assert_eq!(client::arping(ip, 1)?, []);

        let pods = web::deploy(space, 1).await?;
        client::curl_reaches(&format!("http://{ip}/index.html"), &pods).await?;
        service.await_announced(None).await?;
        assert_eq!(service.times_told("notAnnounced").await?, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_host_beyond_a_router_reaches_the_address_through_any_node() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "off-subnet", async |space| {
        let pods = web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "first-pool", FIRST_POOL)?;
        let service = space.balance("web-svc-lb").await?;
        let ip = service.address().await?;
        let observer = Observer::watch(&lab, &[ip])?;
        observer.settle(QUIET, SOON).await?;
        let url = format!("http://{ip}/index.html");
        for node in lab.nodes() {
            lab.route_outside_via(&node.name)?;
            until(SOON, &format!("an answer through {}", node.name), async || {
                let name = client::curl_from_outside(&url)?;
                Ok(Look::when(pods.contains(&name).then_some(()), || name))
            })
            .await?;
        }
        lab.route_outside_via(&lab.nodes()[0].name)?;
        let trace = observer.finish()?;
        let owner = trace.answerers(ip).into_keys().next().context("nobody")?;
        let announcer = service.announcer().await?;
        assert_eq!(owner, announcer.mac.parse()?, "{trace}");
        assert_eq!(trace.answerers(ip).len(), 1, "{trace}");
        Ok(())
    })
    .await
}
