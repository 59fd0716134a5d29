//! IPv6, alone and beside IPv4: the same as for IPv4, by neighbour discovery, and both addresses of a
//! Service always at one node. Duplicate addresses, rollouts and neighbour caches that follow a new
//! owner are in `duplicate`, `rollout` and `arp`.

use std::net::{IpAddr, Ipv6Addr};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::event::Event;
use e2e::families::Families;
use e2e::fault::{self, Fault};
use e2e::label::DRAIN;
use e2e::namespace::{feed, inside, ip, output, sysctl};
use e2e::observer::{Kind, Observer};
use e2e::plan::Node;
use e2e::scene::{Scene, trial};
use e2e::service::Service;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::writes::Writes;
use e2e::{client, web};
use serde_json::json;

const POOL: &str = "172.17.255.50-172.17.255.69";
const POOL6: &str = "fd17:255::350-fd17:255::369";

fn both() -> String {
    Families::Both.pool(POOL, POOL6)
}

/// The one IPv6 address of a Service before `web`.
async fn ipv6_alone(space: &TempNamespace) -> Result<(Service, IpAddr)> {
    let service = space.balance_with("web", "{}", &Families::Ipv6.lines()).await?;
    let ip = service.address().await?;
    ensure!(ip.is_ipv6() && service.addresses().await?.len() == 1, "{ip}");
    Ok((service, ip))
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_service_of_both_families_has_two_addresses_at_one_node() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "both", async |space| {
        let pods = web::deploy(space, 2).await?;
        let _config = Config::pool(&lab, "dual", &both())?;
        let service = space.balance_with("web", "{}", &Families::Both.lines()).await?;
        let ips = service.await_count(2).await?;
        ensure!(ips[0].is_ipv4() && ips[1].is_ipv6(), "{ips:?}");
        let assigned = format!("Assigned IP [\"{}\" \"{}\"]", ips[0], ips[1]);
        service.await_event(&Event::controller("IPAllocated", &assigned)).await?;
        let node = service.announcer().await?;
        service.await_event(&Event::node_assigned(&node.name)).await?;
        let mac = node.mac.parse()?;
        assert_eq!(client::arping(ips[0], 2)?, [mac; 2]);
        assert_eq!(client::ndisc6(ips[1])?, [mac]);
        for ip in ips {
            client::curl_reaches(&client::page(ip), &pods).await?;
        }
        assert_eq!(service.announcers().await?.len(), 1);
        assert_eq!(service.times_told("nodeAssigned").await?, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_client_finds_an_ipv6_address_and_makes_sure_that_it_is_still_there() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "neighbour", async |space| {
        let pods = web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "dual", POOL6)?;
        let (service, ip) = ipv6_alone(space).await?;
        let mac = service.announcer().await?.mac.parse()?;
        client::forget_neighbours()?;
        client::curl_reaches(&client::page(ip), &pods).await?;
        assert_eq!(client::neighbour(ip)?, Some(mac));
        assert_eq!(client::neighbour_state(ip)?, "REACHABLE");
        // From here on nothing is sent there but the kernel's question to that MAC alone.
        client::set_neighbour_state(ip, "stale")?;
        assert_eq!(client::neighbour_state(ip)?, "STALE");
        client::set_neighbour_state(ip, "probe")?;
        until(SOON, "the neighbour to be reachable", async || {
            let state = client::neighbour_state(ip)?;
            Ok(match state.as_str() {
                "REACHABLE" => Look::Seen(()),
                "PROBE" => Look::NotYet(state),
                _ => Look::Never(state),
            })
        })
        .await?;
        assert_eq!(client::neighbour(ip)?, Some(mac));
        Ok(())
    })
    .await
}

/// The state of an address that a host gave itself, as `ip address` words it.
fn address_state(namespace: &str, address: IpAddr) -> Result<String> {
    let only = format!("{address}/128");
    let show = ["-n", namespace, "-6", "-o", "address", "show", "dev", "eth0", "to", &only];
    output(Command::new("ip").args(show))
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_host_that_asks_before_it_takes_our_address_learns_that_it_is_taken() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "dad", async |space| {
        web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "dual", POOL6)?;
        let (service, taken) = ipv6_alone(space).await?;
        let owner = service.announcer().await?.mac.parse()?;
        let observer = Observer::watch(&lab, &[taken])?;
        // An announcement alone would tell the host, before it has asked.
        observer.hush(Duration::from_secs(5)).await?;
        let begun = observer.now();

        let (host, _there) = fault::bystander()?;
        let asks = ["accept_dad", "dad_transmits"].map(|it| format!("net/ipv6/conf/eth0/{it}"));
        sysctl(&host.namespace, &asks.each_ref().map(|it| (it.as_str(), "1")))?;
        // The other is nobody's, though of the same pool.
        let free: IpAddr = "fd17:255::369".parse()?;
        for address in [taken, free] {
            ip(&host.namespace, &format!("addr add {address}/128 dev eth0\n"))?;
        }
        until(SOON, "the host to have asked for both", async || {
            let (one, other) =
                (address_state(&host.namespace, taken)?, address_state(&host.namespace, free)?);
            let good = one.contains("dadfailed") && !other.contains("tentative");
            Ok(Look::when(good.then_some(()), || one + &other))
        })
        .await?;
        let trace = observer.finish()?.since(begun);
        let stranger = host.mac.parse()?;
        let said: Vec<_> = trace.announcements_of(taken).map(|it| (it.kind, it.mac)).collect();
        assert_eq!(said, [(Kind::Probe, stranger), (Kind::Unsolicited, owner)], "{trace}");
        assert_eq!(trace.answerers(taken).into_keys().collect::<Vec<_>>(), [owner], "{trace}");
        Ok(())
    })
    .await
}

/// Whether the node's kernel asks the switch for questions about this address.
fn listens(node: &Node, address: IpAddr) -> Result<bool> {
    let IpAddr::V6(v6) = address else { bail!("no groups in IPv4") };
    let [.., high, low] = v6.segments();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low).to_string();
    let show = ["-n", &node.namespace, "-6", "maddress", "show", "dev", "eth0"];
    let text = output(Command::new("ip").args(show))?;
    Ok(text.split_whitespace().any(|word| word == group))
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn the_owner_is_in_the_group_of_its_address_as_long_as_it_has_it() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "group", async |space| {
        web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "dual", POOL6)?;
        let (service, ip) = ipv6_alone(space).await?;
        let owner = service.announcer().await?;
        ensure!(listens(&owner, ip)?, "{} is not in the group of {ip}", owner.name);
        space.kubectl(&["delete", "service", "web"])?;
        until(SOON, "nobody in the group", async || {
            let mut all = lab.nodes().iter().map(|node| listens(node, ip));
            let still = all.try_fold(false, |any, one| Ok::<_, anyhow::Error>(any | one?))?;
            Ok(Look::when((!still).then_some(()), || "somebody is".to_owned()))
        })
        .await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn ipv6_addresses_are_spread_and_survive_the_death_of_a_node() -> Result<()> {
    Scene::with("ipv6", Families::Ipv6.times(24), async |scene| {
        let holders = scene.holders()?;
        ensure!(holders.iter().all(|holder| !holder.owned.is_empty()), "{holders:?}");
        trial::dies_and_returns(scene, fault::cut_silently).await.map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn both_addresses_go_to_one_node_when_theirs_dies() -> Result<()> {
    Scene::with("both-die", Families::Both.times(8), async |scene| {
        let cuts: [fn(&Node) -> Result<Fault>; 2] = [fault::cut, fault::cut_silently];
        for cut in cuts {
            let trace = trial::dies_and_returns(scene, cut).await?;
            scene.ensure_together(&trace).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_killed_speaker_moves_no_address_of_either_family() -> Result<()> {
    Scene::with("both-killed", Families::Both.times(8), async |scene| {
        let holder = scene.busiest()?;
        trial::agent_dies(scene, &holder).await.map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_drained_node_hands_over_both_families() -> Result<()> {
    Scene::with("both-drained", Families::Both.times(8), async |scene| {
        let trace = trial::drained(scene, DRAIN, "Drained").await?;
        scene.ensure_together(&trace).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn who_prefers_two_addresses_gets_the_second_when_the_pool_has_one() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "second", async |space| {
        let pods = web::deploy(space, 1).await?;
        for only in [POOL, POOL6] {
            let config = Config::pool(&lab, "dual", only)?;
            let prefers = "ipFamilyPolicy: PreferDualStack";
            let service = space.balance_with("web", "{}", prefers).await?;
            let first = service.address().await?;
            let node = service.announcer().await?;
            assert_eq!(service.addresses().await?, [first.to_string()]);

            config.change(&config::pool("dual", &both()))?;
            let ips = service.await_count(2).await?;
            assert_eq!((ips[0], ips[1].is_ipv4()), (first, first.is_ipv6()));
            let added = format!("Assigned additional IP \"{}\"", ips[1]);
            service.await_event(&Event::controller("IPAllocated", &added)).await?;
            for ip in ips {
                client::curl_reaches(&client::page(ip), &pods).await?;
            }
            assert_eq!(service.announcer().await?, node);
            space.kubectl(&["delete", "service", "web"])?;
            config.remove()?;
        }
        Ok(())
    })
    .await
}

/// Makes a Service prefer two families without giving it a second cluster IP: one that was made
/// before the cluster had both. The API server writes no such thing, so it goes past it.
async fn prefer_both_with_one_cluster_ip(lab: &Lab, service: &Service) -> Result<()> {
    let mut object = service.get().await?;
    let spec = object.spec.as_mut().context("no spec")?;
    ensure!(spec.cluster_ips.as_ref().is_some_and(|ips| ips.len() == 1), "{spec:?}");
    spec.ip_family_policy = Some("PreferDualStack".to_owned());
    let encoded = |text: &str| feed(Command::new("base64").arg("--wrap=0"), text);
    let key = format!("/registry/services/specs/{}/{}", service.namespace, service.name);
    let value = serde_json::to_string(&object)?;
    let body = json!({"key": encoded(&key)?, "value": encoded(&value)?}).to_string();
    let mut put = inside(&lab.facts.plan.control.namespace, "curl");
    put.args(["--silent", "--show-error", "--fail", "--data-binary", "@-"]);
    feed(put.arg("http://127.0.0.1:2379/v3/kv/put"), &body)?;
    until(SOON, "the API server to know", async || {
        let spec = service.get().await?.spec.unwrap_or_default();
        let good = spec.ip_family_policy.as_deref() == Some("PreferDualStack")
            && spec.cluster_ips.as_ref().is_some_and(|ips| ips.len() == 1);
        Ok(Look::when(good.then_some(()), || format!("{spec:?}")))
    })
    .await
}

/// MetalLB adds a second address, finds that it does not suit the Service, takes both away, and
/// begins again.
#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn who_prefers_two_addresses_and_has_one_cluster_ip_keeps_its_one_address() -> Result<()> {
    const LONG: Duration = Duration::from_secs(8);
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "one-cluster-ip", async |space| {
        let pods = web::deploy(space, 1).await?;
        let config = Config::pool(&lab, "dual", &both())?;
        let service = space.balance("web").await?;
        let only = service.address().await?;
        let node = service.announcer().await?;
        service.await_event(&Event::node_assigned(&node.name)).await?;
        let (told, before) = (service.events().await?, Writes::now(&lab)?);

        prefer_both_with_one_cluster_ip(&lab, &service).await?;
        // Every Service is looked at again.
        let wider = Families::Both.pool("172.17.255.50-172.17.255.79", POOL6);
        config.change(&config::pool("dual", &wider))?;
        let begun = Instant::now();
        until(LONG * 2, "some seconds to pass", async || {
            let passed = begun.elapsed();
            Ok(Look::when((passed >= LONG).then_some(()), || format!("{passed:?}")))
        })
        .await?;
        let writes = Writes::now(&lab)?.since(&before);
        assert_eq!(writes.to("services/status"), 0, "{writes}");
        assert_eq!(service.events().await?, told);
        assert_eq!(service.addresses().await?, [only.to_string()]);
        client::curl_reaches(&client::page(only), &pods).await
    })
    .await
}
