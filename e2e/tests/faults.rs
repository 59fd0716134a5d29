//! What breaks, and what the segment sees of it. The observer asks for every address each 10 ms;
//! its trace is printed when something is not as it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::Lab;
use e2e::config::Config;
use e2e::observer::Observer;
use e2e::plan::Node;
use e2e::temp_ns::TempNamespace;
use e2e::trace::Trace;
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

/// Who answers for each address now.
fn owners(
    lab: &Lab,
    trace: &Trace,
    addresses: &[Ipv4Addr],
    at: Duration,
) -> BTreeMap<Ipv4Addr, String> {
    let name = |ip: Ipv4Addr| {
        let mac = trace.owner_at(ip, at)?;
        Some((ip, lab.node_with_mac(&mac.to_string())?.name.clone()))
    };
    addresses.iter().filter_map(|ip| name(*ip)).collect()
}

/// The node that owns most addresses, and which.
fn busiest<'a>(
    lab: &'a Lab,
    owners: &BTreeMap<Ipv4Addr, String>,
) -> Result<(&'a Node, BTreeSet<Ipv4Addr>)> {
    let of = |node: &Node| -> BTreeSet<Ipv4Addr> {
        owners.iter().filter(|(_, name)| **name == node.name).map(|(ip, _)| *ip).collect()
    };
    let ranked = lab.nodes().iter().map(|node| (node, of(node)));
    ranked.max_by_key(|(_, owned)| owned.len()).context("no nodes")
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn the_addresses_of_a_dead_node_move_within_two_seconds_and_no_others_move() -> Result<()> {
    with_addresses("power-cut", async |lab, observer, addresses| {
        let before = observer.peek(|trace| owners(lab, trace, addresses, observer.now()));
        let (node, owned) = busiest(lab, &before)?;
        let mac = observer.peek(|trace| trace.owner_at(*owned.first()?, observer.now()));
        let mac = mac.context("nobody answers")?;
        let cut_at = observer.now();
        let cut = fault::cut(node)?;
        let moved = |trace: &Trace| -> BTreeMap<Ipv4Addr, Duration> {
            let first =
                |ip: &Ipv4Addr| Some((*ip, trace.first_answer_by_other(*ip, mac, cut_at)?.at));
            owned.iter().filter_map(first).collect()
        };
        let times = until(SOON, "all addresses to be answered by others", async || {
            let moved = observer.peek(moved);
            let all = moved.len() == owned.len();
            Ok(Look::when(all.then(|| moved.clone()), || {
                format!("{} of {}", moved.len(), owned.len())
            }))
        })
        .await?;
        let during = observer.peek(|trace| trace.since(cut_at));
        cut.heal()?;
        let last = times.values().max().copied().unwrap_or_default();
        let slowest = last.saturating_sub(cut_at);
        eprintln!(
            "node power cut: {} addresses moved, the last after {:.0} ms",
            owned.len(),
            ms(slowest)
        );
        ensure!(slowest <= FAILOVER, "the last address moved after {:.0} ms", ms(slowest));
        for ip in addresses.iter().filter(|ip| !owned.contains(ip)) {
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
        let before = observer.peek(|trace| owners(lab, trace, addresses, observer.now()));
        let (node, owned) = busiest(lab, &before)?;
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
        let before = observer.peek(|trace| owners(lab, trace, addresses, observer.now()));
        let (node, owned) = busiest(lab, &before)?;
        let mac = observer.peek(|trace| trace.owner_at(*owned.first()?, observer.now()));
        let mac = mac.context("nobody answers")?;
        let cut_at = observer.now();
        let cut = fault::cut(node)?;
        let last = until(SOON, "others to take over without the API server", async || {
            let first = |ip: &Ipv4Addr| {
                observer.peek(|it| Some(it.first_answer_by_other(*ip, mac, cut_at)?.at))
            };
            let times: Option<Vec<Duration>> = owned.iter().map(first).collect();
            Ok(Look::when(times.and_then(|times| times.into_iter().max()), || {
                "some are silent".to_owned()
            }))
        })
        .await?;
        let slowest = last.saturating_sub(cut_at);
        cut.heal()?;
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
