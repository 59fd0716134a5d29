//! What breaks, and what the segment sees of it. The observer asks for every address each 10 ms;
//! its trace is printed when something is not as it should be.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::Lab;
use e2e::config::Config;
use e2e::observer::Observer;
use e2e::observer::arp::Mac;
use e2e::plan::Node;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, until};
use e2e::{fault, many};

/// Enough for every node to own some.
const SERVICES: usize = 12;
const QUIET: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_mins(1);
/// What the mesh promises for a dead node; the ownership rules will bring it under a second.
const FAILOVER: Duration = Duration::from_secs(2);

/// Runs `body` with a dozen announced addresses and an observer on all of them, all quiet.
async fn with_addresses(
    test: &str,
    body: impl AsyncFnOnce(&Lab, &Observer, &[Ipv4Addr]) -> Result<()>,
) -> Result<()> {
    let lab = Lab::attach()?;
    let _config = Config::pool(&lab, "faults", "172.17.255.100-172.17.255.199")?;
    TempNamespace::with(&lab, test, async |space| {
        let client = lab.kube_client().await?;
        let watch = many::watch_assigned(client.clone(), space.name.clone(), SERVICES, SOON);
        let (assigned, made) = tokio::join!(watch, many::create(&client, &space.name, SERVICES));
        made?;
        let addresses: Vec<Ipv4Addr> = assigned?.first.values().map(|(ip, _)| *ip).collect();
        let observer = Observer::watch(&lab, &addresses)?;
        observer.settle(QUIET, SOON).await?;
        let result = body(&lab, &observer, &addresses).await;
        if result.is_err() {
            eprintln!("{}", observer.finish()?);
        }
        result
    })
    .await
}

/// The node that owns most of the addresses, its MAC, and which they are.
struct Victim<'a> {
    node: &'a Node,
    mac: Mac,
    owned: BTreeSet<Ipv4Addr>,
}

impl<'a> Victim<'a> {
    fn busiest(lab: &'a Lab, observer: &Observer, addresses: &[Ipv4Addr]) -> Result<Self> {
        let of = |node: &'a Node| -> Result<Self> {
            let mac: Mac = node.mac.parse()?;
            let owns = |ip: &&Ipv4Addr| {
                observer.peek(|trace| trace.owner_at(**ip, observer.now())) == Some(mac)
            };
            Ok(Self { node, mac, owned: addresses.iter().filter(owns).copied().collect() })
        };
        let all: Vec<Self> = lab.nodes().iter().map(of).collect::<Result<_>>()?;
        all.into_iter().max_by_key(|victim| victim.owned.len()).context("no nodes")
    }

    /// Cuts the node's power, waits until others answer for all its addresses, and plugs it in
    /// again; gives when it was cut and how long the slowest address took.
    async fn cut(&self, observer: &Observer) -> Result<(Duration, Duration)> {
        let cut_at = observer.now();
        let cut = fault::cut(self.node)?;
        let last = until(SOON, "others to answer for all addresses", async || {
            let first = |ip: &Ipv4Addr| {
                observer.peek(|it| Some(it.first_answer_by_other(*ip, self.mac, cut_at)?.at))
            };
            let times: Vec<Duration> = self.owned.iter().filter_map(first).collect();
            let last = times.iter().max().filter(|_| times.len() == self.owned.len()).copied();
            Ok(Look::when(last, || format!("{} of {}", times.len(), self.owned.len())))
        })
        .await?;
        cut.heal()?;
        Ok((cut_at, last.saturating_sub(cut_at)))
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn the_addresses_of_a_dead_node_move_within_two_seconds_and_no_others_move() -> Result<()> {
    with_addresses("power-cut", async |lab, observer, addresses| {
        let victim = Victim::busiest(lab, observer, addresses)?;
        let (cut_at, slowest) = victim.cut(observer).await?;
        let during = observer.peek(|trace| trace.since(cut_at));
        let count = victim.owned.len();
        eprintln!("node power cut: {count} addresses moved, the last after {:.0} ms", ms(slowest));
        ensure!(slowest <= FAILOVER, "the last address moved after {:.0} ms", ms(slowest));
        for ip in addresses.iter().filter(|ip| !victim.owned.contains(ip)) {
            ensure!(during.changes(*ip).is_empty(), "{ip} was not the dead node's, and moved");
        }
        observer.settle(QUIET, SOON).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_killed_speaker_costs_its_own_addresses_two_seconds_at_most() -> Result<()> {
    with_addresses("agent-kill", async |lab, observer, addresses| {
        let Victim { node, owned, .. } = Victim::busiest(lab, observer, addresses)?;
        let killed_at = observer.now();
        fault::kill_agent(node)?;
        until(SOON, "the speaker to be back", async || {
            Ok(Look::when(fault::agent(node, fault::SPEAKER).ok(), || "not there".to_owned()))
        })
        .await?;
        observer.settle(QUIET, SOON).await?;
        let trace = observer.peek(|trace| trace.since(killed_at));
        let longest =
            owned.iter().map(|ip| trace.longest_gap(*ip).length()).max().unwrap_or_default();
        eprintln!("speaker killed: longest unanswered gap {:.0} ms", ms(longest));
        ensure!(longest <= FAILOVER, "unanswered for {:.0} ms", ms(longest));
        for ip in addresses.iter().filter(|ip| !owned.contains(ip)) {
            ensure!(trace.changes(*ip).is_empty(), "{ip} is another node's, and moved");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_rollout_of_the_speakers_leaves_no_address_unanswered_for_long() -> Result<()> {
    with_addresses("rollout", async |lab, observer, addresses| {
        let begun = observer.now();
        let speakers = "daemonset/ferrolb-speaker";
        lab.kubectl(&["-n", "metallb-system", "rollout", "restart", speakers])?;
        lab.kubectl(&["-n", "metallb-system", "rollout", "status", speakers, "--timeout=120s"])?;
        observer.settle(QUIET, SOON).await?;
        let trace = observer.peek(|trace| trace.since(begun));
        let longest = addresses.iter().map(|ip| trace.longest_gap(*ip).length()).max();
        let longest = longest.unwrap_or_default();
        let changes: usize = addresses.iter().map(|ip| trace.changes(*ip).len()).sum();
        eprintln!("speaker rollout: longest gap {:.0} ms, {changes} changes of owner", ms(longest));
        ensure!(longest <= Duration::from_millis(500), "unanswered for {:.0} ms", ms(longest));
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn nothing_changes_while_the_api_server_is_away_and_a_dead_node_is_replaced_all_the_same()
-> Result<()> {
    with_addresses("api-outage", async |lab, observer, addresses| {
        let stopped_at = observer.now();
        let outage = fault::stop_api_server(lab)?;
        until(SOON, "ten quiet seconds without the API server", async || {
            let passed = observer.now().saturating_sub(stopped_at);
            Ok(Look::when((passed > Duration::from_secs(10)).then_some(()), || {
                format!("{passed:?}")
            }))
        })
        .await?;
        let quiet = observer.peek(|trace| trace.since(stopped_at));
        for ip in addresses {
            ensure!(quiet.changes(*ip).is_empty(), "{ip} moved during the outage");
            let gap = quiet.longest_gap(*ip).length();
            ensure!(gap < Duration::from_millis(500), "{ip} was unanswered for {:.0} ms", ms(gap));
        }
        let victim = Victim::busiest(lab, observer, addresses)?;
        let (_, slowest) = victim.cut(observer).await?;
        eprintln!("power cut during an API outage: moved after {:.0} ms", ms(slowest));
        ensure!(slowest <= FAILOVER, "moved after {:.0} ms", ms(slowest));
        outage.heal()?;
        until(SOON, "the API server to be back", async || {
            lab.kubectl(&["get", "nodes"]).map(Look::Seen)
        })
        .await?;
        observer.settle(QUIET, SOON).await
    })
    .await
}
