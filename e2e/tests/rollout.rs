//! All speakers are replaced, one after the other, under traffic: nobody notices.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::cluster::Lab;
use e2e::config::Config;
use e2e::observer::INTERVAL;
use e2e::scene::{self, SETTLED, Scene, ms};
use e2e::temp_ns::TempNamespace;
use e2e::visitor::Visitor;
use e2e::{client, many, speakers, web};

/// Addresses nobody stands behind, and those of web servers.
const BARE: usize = 24;
const SERVED: usize = 6;
const REQUESTS_EVERY: Duration = Duration::from_millis(20);

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_rollout_of_the_speakers_changes_no_mac_and_fails_no_request() -> Result<()> {
    let lab = Lab::attach()?;
    let _config = Config::pool(&lab, "rollout", "172.17.255.100-172.17.255.199")?;
    TempNamespace::with(&lab, "rollout", async |space| {
        let served = serve(space).await?;
        let kube = lab.kube_client().await?;
        let watch = many::watch_assigned(kube.clone(), space.name.clone(), BARE + SERVED, SETTLED);
        let (assigned, made) = tokio::join!(watch, many::create(&kube, &space.name, BARE));
        made?;
        let addresses = assigned?.first.values().map(|(ip, _)| *ip).collect();
        let scene = Scene::of(&lab, space, addresses, INTERVAL).await?;
        scene.play(async |scene| under_traffic(scene, served).await).await
    })
    .await
}

/// Services before web servers; all of them reachable.
async fn serve(space: &TempNamespace) -> Result<Vec<Ipv4Addr>> {
    let pods = web::deploy(space, 3).await?;
    let mut served = Vec::new();
    for number in 0..SERVED {
        served.push(space.balance(&format!("web-{number}")).await?.address().await?);
    }
    for ip in &served {
        client::curl_reaches(&format!("http://{ip}/index.html"), &pods).await?;
    }
    Ok(served)
}

async fn under_traffic(scene: &Scene<'_>, served: Vec<Ipv4Addr>) -> Result<()> {
    let begun = scene.now();
    let visitor = Visitor::start(served, REQUESTS_EVERY)?;
    let lab = scene.lab.clone();
    tokio::task::spawn_blocking(move || speakers::roll_out(&lab)).await??;
    scene.settle().await?;
    let visits = visitor.finish()?;
    let trace = scene.since(begun);
    let changes: usize = scene.addresses.iter().map(|ip| trace.changes(*ip).len()).sum();
    eprintln!(
        "rollout in {:.1?}: longest gap {:.0} ms, {changes} changes of owner; {} requests, \
         {} failed, the slowest {:.0} ms",
        scene.now().saturating_sub(begun),
        ms(scene::longest_gap(&trace)),
        visits.made,
        visits.failed.len(),
        ms(visits.slowest),
    );
    let trace = scene.judged(begun)?;
    scene.ensure_unmoved(&trace, &BTreeSet::new())?;
    scene::ensure_one_answerer(&trace, Duration::ZERO)?;
    scene::ensure_no_two_unanswered(&trace)?;
    ensure!(visits.failed.is_empty(), "{:#?}", visits.failed);
    Ok(())
}
