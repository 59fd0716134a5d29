//! The controller goes away and another one comes: nothing changes for a Service that has what it
//! should have.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::event::Event;
use e2e::metallb::await_checks;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::web;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

const CONTROLLERS: &str = "app.kubernetes.io/component=controller";

/// In ferrolb's namespace.
fn kubectl(lab: &Lab, args: &[&str]) -> Result<String> {
    lab.kubectl(&[&["-n", config::NAMESPACE], args].concat())
}

/// The pod that holds the controllers' lease.
fn leader(lab: &Lab) -> Result<String> {
    let path = "jsonpath={.items[*].spec.holderIdentity}";
    let holder = kubectl(lab, &["get", "leases", "-o", path])?;
    let pod = holder.split_once('_').map_or(&*holder, |(pod, _)| pod);
    Ok(pod.to_owned())
}

fn controllers(lab: &Lab) -> Result<Vec<String>> {
    let names = "jsonpath={.items[*].metadata.name}";
    let text = kubectl(lab, &["get", "pods", "-l", CONTROLLERS, "-o", names])?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Every Service of the cluster, at its version.
async fn versions(client: &kube::Client) -> Result<BTreeMap<String, Option<String>>> {
    let api: Api<Service> = Api::all(client.clone());
    let all = api.list(&ListParams::default()).await?.items;
    let key = |it: &Service| format!("{}/{}", it.namespace().unwrap_or_default(), it.name_any());
    Ok(all.iter().map(|service| (key(service), service.resource_version())).collect())
}

/// Lets `replace` take away controllers, and returns those that were there.
async fn nothing_changes_when(
    test: &str,
    replace: impl AsyncFn(&Lab, &[String]) -> Result<()>,
) -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, test, async |space| {
        let client = lab.kube_client().await?;
        // Services that nobody can announce would be told so, after a while.
        web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "small", "172.17.255.1-172.17.255.4")?;
        let shared = "{metallb.io/allow-shared-ip: a}";
        let http = "ports: [{port: 8080, targetPort: 8000}]";
        let services = [
            (space.balance("plain").await?, "172.17.255.1"),
            (space.balance_with("shared", shared, "").await?, "172.17.255.2"),
            (space.balance_with("shares", shared, http).await?, "172.17.255.2"),
            (
                space.balance_with("asking", "{}", "loadBalancerIP: 172.17.255.4").await?,
                "172.17.255.4",
            ),
        ];
        for (service, ip) in &services {
            service.await_addresses(&[ip]).await?;
        }
        let refused = space.balance_with("refused", "{}", "loadBalancerIP: 172.17.255.4").await?;
        let owner = services[3].0.key();
        let why = format!(
            "can't change sharing key for \"{}\", address also in use by {owner}",
            refused.key()
        );
        let refused_event = Event::allocation_failed(&refused.key(), &why);
        refused.await_event(&refused_event).await?;
        refused.await_allocated(Some(["False", "NotShared", &why])).await?;

        let before = versions(&client).await?;
        let old = controllers(&lab)?;
        replace(&lab, &old).await?;

        // A Service that is new shows that the next leader has looked at all the others.
        let new = space.balance("new").await?;
        new.await_addresses(&["172.17.255.3"]).await?;
        new.await_event(&Event::controller("IPAllocated", "Assigned IP [\"172.17.255.3\"]"))
            .await?;
        let mut after = versions(&client).await?;
        after.remove(&new.key()).context("the new Service is not there")?;
        assert_eq!(after, before, "no Service may have been written to");
        for (service, ip) in &services {
            service.await_addresses(&[ip]).await?;
            assert_eq!(service.times_told("IPAllocated").await?, 1, "{service:?}");
            assert_eq!(service.times_told("ClearAssignment").await?, 0, "{service:?}");
        }
        Ok(())
    })
    .await
}

async fn await_leader(lab: &Lab, fits: impl Fn(&String) -> bool) -> Result<()> {
    until(SOON * 3, "another leader", async || {
        let now = leader(lab)?;
        Ok(Look::when(fits(&now).then_some(()), || now))
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn services_are_left_alone_when_the_leader_is_deleted() -> Result<()> {
    nothing_changes_when("leader-deleted", async |lab, _| {
        let old = leader(lab)?;
        kubectl(lab, &["delete", "pod", &old, "--wait=false"])?;
        await_leader(lab, |now| *now != old).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn services_are_left_alone_when_all_controllers_are_deleted_at_once() -> Result<()> {
    nothing_changes_when("all-deleted", async |lab, old| {
        let force = ["--grace-period=0", "--force"];
        kubectl(lab, &[&["delete", "pod", "-l", CONTROLLERS], &force[..]].concat())?;
        await_leader(lab, |now| !now.is_empty() && !old.contains(now)).await?;
        // They answer the webhook, too: what comes next may be an object.
        await_checks(lab).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn services_are_left_alone_by_a_rollout() -> Result<()> {
    nothing_changes_when("rollout", async |lab, old| {
        let path = "jsonpath={.items[0].metadata.name}";
        let name = kubectl(lab, &["get", "deployments", "-l", CONTROLLERS, "-o", path])?;
        let deployment = format!("deployment/{name}");
        kubectl(lab, &["rollout", "restart", &deployment])?;
        kubectl(lab, &["rollout", "status", &deployment, "--timeout=90s"])?;
        await_leader(lab, |now| !now.is_empty() && !old.contains(now)).await
    })
    .await
}
