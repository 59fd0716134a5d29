//! `externalTrafficPolicy: Local`, as ingress controllers use it.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::cluster::Lab;
use e2e::config::Config;
use e2e::event::Event;
use e2e::observer::Observer;
use e2e::service::Service;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::{client, web};

const QUIET: Duration = Duration::from_millis(500);
const INGRESS: &str = "externalTrafficPolicy: Local\nports:\n\
    - {name: http, port: 80, targetPort: 8000}\n- {name: https, port: 443, targetPort: 8000}";

/// The nodes that the ready pods run on.
fn nodes_of_pods(space: &TempNamespace) -> Result<Vec<String>> {
    let path = "jsonpath={range .items[?(@.status.phase==\"Running\")]}{.spec.nodeName} {end}";
    let text = space.kubectl(&["get", "pods", "-l", "app=web", "-o", path])?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Waits until both ports answer and the pod sees the client's own address.
async fn the_client_is_seen(lab: &Lab, service: &Service) -> Result<()> {
    let ip = service.address().await?;
    let client = lab.facts.plan.client.ip.to_string();
    for port in [80, 443] {
        let url = format!("http://{ip}:{port}/cgi-bin/source");
        until(SOON, &format!("the client's address at {url}"), async || {
            let source = client::curl(&url)?;
            Ok(Look::when((source == client).then_some(()), || source))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_ingress_is_announced_where_its_pod_runs_and_follows_it() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "ingress", async |space| {
        web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "first-pool", "172.17.255.1-172.17.255.9")?;
        let service = space.balance_with("ingress-nginx", "{}", INGRESS).await?;
        let ip = service.address().await?;
        let from = nodes_of_pods(space)?.pop().context("no pod")?;
        let owner = service.announcer_that(|node| node.name == from).await?;
        the_client_is_seen(&lab, &service).await?;

        let observer = Observer::watch(&lab, &[ip])?;
        observer.settle(QUIET, SOON).await?;
        assert_eq!(client::arping(ip, 1)?, [owner.mac.parse()?]);
        for to in lab.nodes().iter().filter(|node| node.name != from) {
            let before = observer.now();
            let selector = format!(
                r#"{{"spec":{{"template":{{"spec":{{"nodeSelector":{{"kubernetes.io/hostname":"{}"}}}}}}}}}}"#,
                to.name
            );
            space.kubectl(&["patch", "deployment", "web", "-p", &selector])?;
            space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
            service.announcer_that(|node| node.name == to.name).await?;
            service.await_event(&Event::node_assigned(&to.name)).await?;
            observer.settle(QUIET, SOON).await?;
            the_client_is_seen(&lab, &service).await?;
            let moved = observer.peek(|trace| trace.since(before));
            assert_eq!(moved.owner_at(ip, moved.end), Some(to.mac.parse()?), "{moved}");
            // That there is none is the rule of planned moves, which is not in force yet.
            let gap = moved.longest_gap(ip);
            eprintln!(
                "the address followed to {}: longest gap {:?} ({} asks), {} rivalries",
                to.name,
                gap.length(),
                gap.asks,
                moved.rivalries(ip).len()
            );
        }
        observer.finish().map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_node_without_a_ready_pod_never_announces() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "local", async |space| {
        web::deploy(space, 2).await?;
        let _config = Config::pool(&lab, "first-pool", "172.17.255.1-172.17.255.9")?;
        // Several, since any single one could be on the right node by chance.
        for name in ["a", "b", "c", "d"] {
            let service = space.balance_with(name, "{}", INGRESS).await?;
            let node = service.announcer().await?;
            let nodes = nodes_of_pods(space)?;
            assert!(nodes.contains(&node.name), "{name} on {}, pods on {nodes:?}", node.name);
            the_client_is_seen(&lab, &service).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn nobody_answers_while_there_is_no_pod() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "no-pods", async |space| {
        web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "first-pool", "172.17.255.1-172.17.255.9")?;
        let local = space.balance_with("local", "{}", INGRESS).await?;
        let cluster = space.balance("cluster").await?;
        let services = [&local, &cluster];
        for service in services {
            service.announcer().await?;
        }
        space.kubectl(&["scale", "deployment", "web", "--replicas=0"])?;
        for service in services {
            let ip = service.address().await?;
            until(SOON, &format!("silence about {service:?}"), async || {
                let (macs, nodes) = (client::arping(ip, 1)?, service.announcers().await?);
                let silent = macs.is_empty() && nodes.is_empty();
                Ok(Look::when(silent.then_some(()), || format!("{macs:?} {nodes:?}")))
            })
            .await?;
        }
        space.kubectl(&["scale", "deployment", "web", "--replicas=1"])?;
        web::ready_pods(space, 1).await?;
        for service in services {
            service.announcer().await?;
        }
        the_client_is_seen(&lab, &local).await
    })
    .await
}
