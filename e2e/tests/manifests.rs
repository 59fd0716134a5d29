//! The ways to install ferrolb that are not its chart with our values: the plain manifests, and the
//! values that MetalLB's users have. Needs a cluster without ferrolb: `e2e/run-tests` gives it one.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::Lab;
use e2e::config::{Config, NAMESPACE};
use e2e::event::Event;
use e2e::metallb::{Removal, await_checks};
use e2e::temp_ns::TempNamespace;
use e2e::{client, web};
use serde_json::Value;

const POOL: &str = "172.17.255.150-172.17.255.159";
/// What MetalLB's chart has as its defaults, and a file of values as its users write it.
const THEIRS: [&str; 2] = ["metallb-defaults-values.yaml", "metallb-values.yaml"];

fn charts(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts").join(path).display().to_string()
}

#[tokio::test]
#[ignore = "needs a lab without ferrolb: make e2e"]
async fn the_plain_manifests_install_what_works_and_nothing_twice() -> Result<()> {
    let lab = Lab::attach()?;
    let _removal = Removal::of_both(&lab);
    let file = charts("manifests/ferrolb.yaml");
    let apply = ["apply", "-f", &file];
    lab.kubectl(&apply)?;
    for what in ["deployment/ferrolb-controller", "daemonset/ferrolb-speaker"] {
        lab.kubectl(&["-n", NAMESPACE, "rollout", "status", what, "--timeout=120s"])?;
    }
    await_checks(&lab).await?;
    TempNamespace::with(&lab, "manifests", async |space| {
        let pods = web::deploy(space, 2).await?;
        let _config = Config::pool(&lab, "manifests", POOL)?;
        let service = space.balance("web").await?;
        let ip = service.address().await?;
        client::curl_reaches(&client::page(ip), &pods).await?;
        let node = service.announcer().await?;
        service.await_event(&Event::node_assigned(&node.name)).await?;

        // Applied once more, as GitOps does: nothing starts anew, and the address stays.
        let said = lab.kubectl(&apply)?;
        let created: Vec<_> = said.lines().filter(|line| line.ends_with(" created")).collect();
        ensure!(created.is_empty(), "{created:?}");
        ensure!(service.announcer().await?.name == node.name, "the address moved");
        client::curl_reaches(&client::page(ip), &pods).await?;
        the_api_server_takes_what_metallbs_values_make(&lab)
    })
    .await
}

/// Every object of the chart with their values, judged strictly by the schemas of the cluster.
fn the_api_server_takes_what_metallbs_values_make(lab: &Lab) -> Result<()> {
    // Without a cluster, a helm built from source assumes a very old one.
    let version: Value = serde_json::from_str(&lab.kubectl(&["version", "-o", "json"])?)?;
    let version = version["serverVersion"]["gitVersion"].as_str().context("no version")?;
    for values in THEIRS {
        let (chart, file) = (charts("ferrolb"), charts(&format!("ferrolb/ci/{values}")));
        let how = ["-n", NAMESPACE, "-f", &file, "--kube-version", version];
        let rendered = lab.helm(&[&["template", "ferrolb", &chart], &how[..]].concat())?;
        // Those of another program's kinds are not known to this cluster.
        let rendered = of_known_kinds(&rendered);
        let judge = ["-n", NAMESPACE, "apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        let said = lab.feed(&judge, &rendered)?;
        let taken = said.lines().filter(|line| line.ends_with("(server dry run)")).count();
        let objects = rendered.matches("\nkind: ").count();
        ensure!(taken == objects, "{values}: {taken} of {objects}:\n{said}");
    }
    Ok(())
}

/// Without the objects of the Prometheus operator.
fn of_known_kinds(manifests: &str) -> String {
    let all = manifests.split("\n---\n");
    let known = all.filter(|object| !object.contains("apiVersion: monitoring.coreos.com/"));
    known.collect::<Vec<_>>().join("\n---\n")
}
