//! ARP as a user looks at it: with arping, with `ip neigh`, with tcpdump. And what IPv6 has in common
//! with it.

use std::time::Duration;

use anyhow::Result;
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::families::Families;
use e2e::label::{EXCLUDE, Label};
use e2e::namespace::{inside, output};
use e2e::observer::Observer;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::{client, fault, web};

const QUIET: Duration = Duration::from_millis(500);
const POOL: &str = "172.17.255.1-172.17.255.9";
const POOL6: &str = "fd17:255::301-fd17:255::309";

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn arping_and_the_neighbour_cache_know_the_announcing_nodes_mac() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "one-mac", async |space| {
        let pods = web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "first-pool", POOL)?;
        let service = space.balance("web").await?;
        let ip = service.address().await?;
        let mac = service.announcer().await?.mac.parse()?;
        assert_eq!(client::arping(ip, 3)?, [mac; 3]);
        client::forget_neighbours()?;
        client::curl_reaches(&format!("http://{ip}/index.html"), &pods).await?;
        assert_eq!(client::neighbour(ip)?, Some(mac));
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_new_owner_says_so_and_neighbour_caches_follow() -> Result<()> {
    follow("gratuitous", Families::Default).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_new_owner_of_an_ipv6_address_says_so_and_neighbour_caches_follow() -> Result<()> {
    follow("unsolicited", Families::Ipv6).await
}

async fn follow(test: &str, families: Families) -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, test, async |space| {
        let pods = web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "first-pool", &families.pool(POOL, POOL6))?;
        let service = space.balance_with("web", "{}", &families.lines()).await?;
        let ip = service.address().await?;
        let url = client::page(ip);
        let old = service.announcer().await?;
        client::curl_reaches(&url, &pods).await?;
        let observer = Observer::watch(&lab, &[ip])?;
        observer.settle(QUIET, SOON).await?;
        assert_eq!(client::neighbour(ip)?, Some(old.mac.parse()?));

        let before = observer.now();
        let _excluded = Label::put(&lab, &old, EXCLUDE, "")?;
        let new = service.announcer_that(|node| node.name != old.name).await?;
        let mac = new.mac.parse()?;
        until(SOON, "the neighbour cache to follow", async || {
            let known = client::neighbour(ip)?;
            Ok(Look::when((known == Some(mac)).then_some(()), || format!("{known:?}")))
        })
        .await?;
        client::curl_reaches(&url, &pods).await?;
        let trace = observer.finish()?.since(before);
        let said: Vec<_> =
            trace.announcements_of(ip).filter(|it| it.kind.is_announcement()).collect();
        assert!(said.iter().any(|it| it.mac == mac), "{} is silent\n{trace}", new.name);
        let last = said.last().map(|it| it.mac);
        assert_eq!(last, Some(mac), "the last word is not the owner's\n{trace}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn nothing_is_said_unasked_while_nothing_changes() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "quiet", async |space| {
        web::deploy(space, 2).await?;
        let _config = Config::pool(&lab, "first-pool", POOL)?;
        let service = space.balance("web").await?;
        let ip = service.address().await?;
        service.announcer().await?;
        let observer = Observer::watch(&lab, &[ip])?;
        observer.hush(Duration::from_secs(3)).await?;
        let before = observer.now();
        // One endpoint less, one more, other pools, other Services: none of it moves this one.
        space.kubectl(&["scale", "deployment", "web", "--replicas=1"])?;
        web::ready_pods(space, 1).await?;
        space.kubectl(&["scale", "deployment", "web", "--replicas=2"])?;
        web::ready_pods(space, 2).await?;
        let _other = Config::apply(&lab, &config::pool("other", "172.17.255.100/32"))?;
        space.kubectl(&["annotate", "service", "web", "example.com/note=1"])?;
        space.balance("another").await?.announcer().await?;
        let trace = observer.finish()?.since(before);
        assert_eq!(trace.announcements_of(ip).count(), 0, "{trace}");
        assert!(trace.changes(ip).is_empty(), "{trace}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn another_host_that_speaks_for_the_address_is_logged() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "conflict", async |space| {
        web::deploy(space, 1).await?;
        let pool = config::range(config::disputed(&lab)?);
        let _config = Config::pool(&lab, "disputed", &pool)?;
        let service = space.balance("web").await?;
        let ip = service.address().await?;
        let owner = service.announcer().await?;
        let (rival, fault) = fault::foreign_host(ip)?;
        // It says so to all, as a host does that has just been given an address.
        let mut arping = inside(&rival.namespace, "arping");
        arping.args(["-A", "-I", "eth0", "-c", "2", "-w", "3", &ip.to_string()]);
        // iputils counts the answers that nobody gives, and is not pleased.
        let _ = output(&mut arping);
        until(SOON, "the log line of the conflict", async || {
            let text = speaker_log(&lab, &owner.name)?;
            let found = text.lines().rev().find(|line| {
                line.contains(r#""event":"addressConflict""#)
                    && line.contains(&rival.mac)
                    && line.contains(&format!("\"ip\":\"{ip}\""))
            });
            Ok(Look::when(found.map(str::to_owned), || {
                text.lines().last().unwrap_or_default().to_owned()
            }))
        })
        .await?;
        fault.heal()
    })
    .await
}

/// What the speaker on this node logged.
fn speaker_log(lab: &Lab, node: &str) -> Result<String> {
    let selector = "app.kubernetes.io/component=speaker";
    let on_node = format!("spec.nodeName={node}");
    let path = "jsonpath={.items[0].metadata.name}";
    let find = ["get", "pods", "-l", selector, "--field-selector", &on_node, "-o", path];
    let pod = lab.kubectl(&[&["-n", config::NAMESPACE], &find[..]].concat())?;
    lab.kubectl(&["-n", config::NAMESPACE, "logs", &pod])
}
