//! Another host has an address of the pool: before a Service gets it, or afterwards.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::families::Families;
use e2e::fault;
use e2e::namespace::inside;
use e2e::observer::{self, Kind, Mac, Observer};
use e2e::plan::Machine;
use e2e::scene::{self, Scene};
use e2e::service::Service;
use e2e::temp_ns::TempNamespace;
use e2e::trace::Trace;
use e2e::wait::{Look, SOON, until};
use e2e::{event, speakers, web};

const CONFLICT: &str = "AddressConflict";

/// Waits for the Event about a conflict; it names the other host's MAC.
async fn told_of(service: &Service, rival: &Machine) -> Result<()> {
    until(SOON, "the Event about the conflict", async || {
        let told = service.events().await?;
        let names_it = |text: &str| text.to_lowercase().contains(&rival.mac);
        let found = told.iter().any(|(it, _)| it.reason == CONFLICT && names_it(&it.message));
        Ok(Look::when(found.then_some(()), || event::lines(&told)))
    })
    .await
}

/// Nothing but questions of our nodes was ever on the wire for this address.
fn ensure_silent(trace: &Trace, lab: &Lab, ip: IpAddr) -> Result<()> {
    let ours: Vec<Mac> = lab.nodes().iter().map(|node| node.mac.parse()).collect::<Result<_>>()?;
    let answered = trace.answers_for(ip).find(|it| ours.contains(&it.mac));
    ensure!(answered.is_none(), "a node of ours answered: {answered:?}\n{trace}");
    let said = trace.announcements_of(ip);
    let announced = said.into_iter().find(|it| it.kind != Kind::Probe && ours.contains(&it.mac));
    ensure!(announced.is_none(), "a node of ours announced: {announced:?}\n{trace}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_address_that_another_host_has_is_not_announced_and_the_service_gets_another()
-> Result<()> {
    exchanged("taken", config::disputed, Families::Default).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_ipv6_address_that_another_host_has_is_exchanged_as_well() -> Result<()> {
    exchanged("taken-ipv6", config::disputed6, Families::Ipv6).await
}

async fn exchanged(
    test: &str,
    pool: fn(&Lab) -> Result<[IpAddr; 4]>,
    families: Families,
) -> Result<()> {
    let lab = Lab::attach()?;
    let pool = pool(&lab)?;
    TempNamespace::with(&lab, test, async |space| {
        web::deploy(space, 1).await?;
        let taken = pool[0];
        let (rival, _there) = fault::foreign_host(taken)?;
        let observer = Observer::watch(&lab, &[taken])?;
        let _config = Config::pool(&lab, "duplicate", &config::range(pool))?;
        let service = space.balance_with("web", "{}", &families.lines()).await?;
        until(SOON, "an address that nobody has", async || {
            let found = service.addresses().await?;
            let good = !found.is_empty() && !found.contains(&taken.to_string());
            Ok(Look::when(good.then_some(()), || format!("{found:?}")))
        })
        .await?;
        told_of(&service, &rival).await?;
        service.announcer().await?;
        ensure_silent(&observer.finish()?, &lab, taken)
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_service_that_asked_for_exactly_that_address_is_not_announced() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "asked", async |space| {
        web::deploy(space, 1).await?;
        let pool = config::disputed(&lab)?;
        let taken = pool[0];
        let (rival, there) = fault::foreign_host(taken)?;
        let observer = Observer::watch(&lab, &[taken])?;
        let _config = Config::pool(&lab, "duplicate", &config::range(pool))?;
        let asks = format!("{{metallb.io/loadBalancerIPs: {taken}}}");
        let service = space.balance_with("web", &asks, "").await?;
        service.await_addresses(&[&taken.to_string()]).await?;
        told_of(&service, &rival).await?;
        let announcers = service.announcers().await?;
        ensure!(announcers.is_empty(), "announced by {announcers:?}");
        ensure_silent(&observer.finish()?, &lab, taken)?;
        // Once the other host is gone, nothing stands in the way.
        there.heal()?;
        service.announcer().await.map(drop)
    })
    .await
}

/// Whoever is on the segment can send a frame in anybody's name.
#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn forged_frames_are_asked_about_and_believed_by_nobody() -> Result<()> {
    /// Longer than questions take, and until what a Speaker object says is written.
    const A_WHILE: Duration = Duration::from_secs(4);
    Scene::with("forged", 1, async |scene| {
        let IpAddr::V4(ip) = scene.addresses[0] else { bail!("{:?}", scene.addresses) };
        let owner = scene.busiest()?;
        for frames in [1, 3_000] {
            let begun = scene.now();
            observer::forge_claims(ip, frames)?;
            scene.look_on(A_WHILE).await?;
            let trace = scene.since(begun);
            let asked = trace.announcements_of(ip.into()).any(|it| it.mac == owner.mac);
            // At most once in ten seconds.
            ensure!(asked || frames > 1, "the owner said nothing\n{trace}");
            for node in scene.lab.nodes() {
                let status = speakers::status(&scene.client, &node.name).await?;
                let conflicts = status["conflicts"].as_array().map_or(0, Vec::len);
                ensure!(conflicts == 0, "{} after {frames} frames: {status}", node.name);
            }
        }
        scene.settle().await?;
        ensure!(scene.owners().get(&ip.into()) == Some(&owner.mac), "{:?}", scene.owners());
        let events = scene.space.kubectl(&["get", "events"])?;
        ensure!(!events.contains(CONFLICT), "{events}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_owner_keeps_its_address_and_defends_it_once_in_ten_seconds() -> Result<()> {
    const LOUD: Duration = Duration::from_secs(25);
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "defended", async |space| {
        web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "duplicate", &config::range(config::disputed(&lab)?))?;
        let service = space.balance("web").await?;
        let ip = service.address().await?;
        let owner = service.announcer().await?;
        let observer = Observer::watch(&lab, &[ip])?;
        observer.hush(Duration::from_secs(5)).await?;
        let begun = observer.now();
        let (rival, there) = fault::foreign_host(ip)?;
        // It insists, once a second.
        let seconds = LOUD.as_secs().to_string();
        let mut arping = inside(&rival.namespace, "arping");
        arping.args(["-A", "-I", "eth0", "-w", &seconds, &ip.to_string()]);
        // iputils counts the answers that nobody gives, and is not pleased.
        let insisting = tokio::task::spawn_blocking(move || arping.output());
        told_of(&service, &rival).await?;
        insisting.await??;
        there.heal()?;
        let trace = observer.finish()?.since(begun);
        let mac: Mac = owner.mac.parse()?;
        let gap = trace.since(begun).longest_gap(ip).length();
        ensure!(gap < Duration::from_millis(500), "unanswered for {gap:?}\n{trace}");
        let after = trace.end.saturating_sub(Duration::from_millis(500));
        ensure!(trace.owner_at(ip, after).is_some(), "{trace}");
        ensure!(trace.answerers(ip).contains_key(&mac), "the owner fell silent\n{trace}");
        ensure_defended_slowly(&trace, ip, mac)
    })
    .await
}

/// An announcement is a request and a reply at once; between two there are ten seconds.
fn ensure_defended_slowly(trace: &Trace, ip: IpAddr, owner: Mac) -> Result<()> {
    let said: Vec<Duration> =
        trace.announcements_of(ip).filter(|it| it.mac == owner).map(|it| it.at).collect();
    ensure!(!said.is_empty(), "it was not defended\n{trace}");
    for pair in said.windows(2) {
        let apart = pair[1].saturating_sub(pair[0]);
        let one = apart < Duration::from_millis(50);
        let ms = scene::ms(apart);
        ensure!(one || apart >= Duration::from_millis(9_900), "{ms:.0} ms apart\n{trace}");
    }
    Ok(())
}
