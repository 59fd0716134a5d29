//! Tests of the lab itself: that it is the Kubernetes it claims to be, that the observer sees what
//! happens, and that faults happen and end. They need no program of ours.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::cluster::Lab;
use e2e::observer::Observer;
use e2e::plan::{CLIENT, DNS_SERVICE, Machine, OUTSIDE, POOL};
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, until};
use e2e::{client, fault, web};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams};

const QUIET: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn all_nodes_are_ready() -> Result<()> {
    let lab = Lab::attach()?;
    let nodes: Api<Node> = Api::all(lab.kube_client().await?);
    let found = nodes.list(&ListParams::default()).await?.items;
    assert_eq!(found.len(), lab.nodes().len());
    for node in found {
        let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True");
        assert!(ready, "{:?}: {conditions:?}", node.metadata.name);
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_service_reaches_all_its_pods_from_every_node() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "service", async |space| {
        let pods = web::deploy(space, 3).await?;
        space.kubectl(&["expose", "deployment", "web", "--port=80", "--target-port=8000"])?;
        let ip = space.kubectl(&["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"])?;
        let url = format!("http://{ip}/index.html");
        let machines = lab.nodes().iter().map(|node| &node.machine);
        for machine in machines.chain([&lab.facts.plan.control]) {
            let mut seen = BTreeSet::new();
            until(SOON, &format!("all pods from {}", machine.name), async || {
                seen.insert(client::curl_from(&machine.namespace, &url)?);
                Ok(Look::when((seen == pods).then_some(()), || format!("{seen:?} of {pods:?}")))
            })
            .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn cluster_dns_answers_over_udp_and_tcp() -> Result<()> {
    let lab = Lab::attach()?;
    let name = "kubernetes.default.svc.cluster.local";
    for node in lab.nodes() {
        for tcp in [false, true] {
            let answer = client::dig(&node.namespace, DNS_SERVICE, name, tcp)?;
            assert_eq!(answer, "10.96.0.1", "from {} over tcp: {tcp}", node.name);
        }
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn pods_answer_logs_and_exec() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "exec", async |space| {
        let pods = web::deploy(space, 1).await?;
        let said = space.kubectl(&["exec", "deploy/web", "--", "/bin/busybox", "hostname"])?;
        ensure!(pods.contains(said.trim()), "{said} is none of {pods:?}");
        space.kubectl(&["logs", "deploy/web"]).map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn every_machine_answers_for_its_own_address_only() -> Result<()> {
    let lab = Lab::attach()?;
    let of = |node: &Machine| [IpAddr::from(node.ip), IpAddr::from(node.ip6)];
    let addresses: Vec<_> = lab.nodes().iter().flat_map(|node| of(node)).collect();
    let observer = Observer::watch(&lab, &addresses)?;
    observer.settle(QUIET, SOON).await?;
    let trace = observer.finish()?;
    for node in lab.nodes() {
        for ip in of(node) {
            let macs: Vec<_> = trace.answerers(ip).into_keys().collect();
            assert_eq!(macs, [node.mac.parse()?], "{}\n{trace}", node.name);
            assert!(trace.longest_gap(ip).asks <= 3, "{trace}");
            let asked = if ip.is_ipv4() { client::arping(ip, 1)? } else { client::ndisc6(ip)? };
            assert_eq!(asked, macs);
            // The client's kernel agrees, once it has asked.
            client::curl_from(CLIENT, &client::page(ip)).ok();
            assert_eq!(client::neighbour(ip)?, Some(macs[0]));
        }
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_cut_node_falls_silent_and_comes_back() -> Result<()> {
    let lab = Lab::attach()?;
    let (victim, witness) = (&lab.nodes()[0], &lab.nodes()[1]);
    let [lost, kept] = [victim, witness].map(|node| IpAddr::from(node.ip));
    let observer = Observer::watch(&lab, &[lost, kept])?;
    observer.settle(QUIET, SOON).await?;

    let before = observer.now();
    let cut = fault::cut(victim)?;
    until(SOON, "half a second of silence", async || {
        let gap = observer.peek(|trace| trace.longest_gap(lost));
        Ok(Look::when((gap.length() >= QUIET).then_some(()), || format!("{gap:?}")))
    })
    .await?;
    cut.heal()?;
    observer.settle(QUIET, SOON).await?;

    let trace = observer.finish()?;
    let gap = trace.longest_gap(lost);
    assert!(gap.from + trace.interval * 2 >= before, "silent before the cut\n{trace}");
    assert!(trace.changes(lost).is_empty(), "{trace}");
    assert!(trace.longest_gap(kept).length() < QUIET, "the cut hit others too\n{trace}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn two_hosts_with_one_address_are_seen_as_rivals() -> Result<()> {
    let lab = Lab::attach()?;
    let ip = [172, 17, 255, 200].into();
    let (first, _owner) = fault::foreign_host(ip)?;
    let observer = Observer::watch(&lab, &[ip])?;
    observer.settle(QUIET, SOON).await?;
    let (second, rival) = fault::foreign_host(ip)?;
    until(SOON, "two answerers", async || {
        let seen = observer.peek(|trace| trace.rivalries(ip));
        Ok(Look::when(seen.iter().any(|it| it.sure > 10).then_some(()), || format!("{seen:?}")))
    })
    .await?;
    rival.heal()?;
    observer.settle(QUIET, SOON).await?;
    let trace = observer.finish()?;
    let macs: Vec<_> = trace.answerers(ip).into_keys().collect();
    assert_eq!(macs, [first.mac.parse()?, second.mac.parse()?], "{trace}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn thirty_addresses_are_watched_without_falling_behind() -> Result<()> {
    let lab = Lab::attach()?;
    let addresses: Vec<_> = (1..=30).map(|host| [172, 17, 255, host].into()).collect();
    let (_host, foreign) = fault::foreign_host(addresses[0])?;
    let observer = Observer::watch(&lab, &addresses)?;
    until(SOON, "three seconds of observation", async || {
        let now = observer.now();
        Ok(Look::when((now.as_secs() >= 3).then_some(()), || format!("{now:?}")))
    })
    .await?;
    let trace = observer.finish()?;
    foreign.heal()?;
    // One that nobody else has, in a pool that no machine knows: answered by its host alone.
    assert!(trace.longest_gap(addresses[0]).asks <= 5, "{trace}");
    assert_eq!(trace.answers.len(), trace.answers_for(addresses[0]).count());
    // The machine is shared; a twentieth of the asks late is a busy second, not a slow observer.
    assert!(trace.skipped() * 20 <= trace.asks.len(), "{trace}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_stopped_api_server_answers_again_when_continued() -> Result<()> {
    let lab = Lab::attach()?;
    let stopped = fault::stop_api_server(&lab)?;
    let quick = ["get", "--raw", "/readyz", "--request-timeout=1s"];
    assert!(lab.kubectl(&quick).is_err());
    stopped.heal()?;
    until(SOON, "the API server", async || lab.kubectl(&quick).map(Look::Seen)).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_cut_port_is_closed_on_one_node_and_opens_again() -> Result<()> {
    let lab = Lab::attach()?;
    // The kubelets listen on this one; they ask for a certificate that curl does not have.
    let reachable = |node: &e2e::plan::Node| {
        let url = format!("https://{}:10250/healthz", node.ip);
        let mut curl = std::process::Command::new("curl");
        curl.args(["--insecure", "--silent", "--output", "/dev/null", "--max-time", "1", &url]);
        curl.status().map(|status| status.success())
    };
    let (victim, witness) = (&lab.nodes()[0], &lab.nodes()[1]);
    assert!(reachable(victim)?);
    let cut = fault::cut_port(victim, 10250)?;
    assert!(!reachable(victim)? && reachable(witness)?);
    cut.heal()?;
    assert!(reachable(victim)?);
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_hung_program_is_found_stopped_and_continues() -> Result<()> {
    let lab = Lab::attach()?;
    let node = &lab.nodes()[0];
    let process = fault::agent(node, "kube-proxy")?;
    let hung = fault::hang_program(&lab, &format!("kube-proxy-{}", node.name))?;
    assert!(process.is_stopped());
    hung.heal()?;
    until(SOON, "kube-proxy", async || {
        Ok(Look::when((!process.is_stopped()).then_some(()), || "stopped".to_owned()))
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn the_host_outside_reaches_the_pool_through_a_node() -> Result<()> {
    let lab = Lab::attach()?;
    for node in lab.nodes() {
        lab.route_outside_via(&node.name)?;
        let mut command = std::process::Command::new("ip");
        command.args(["-n", CLIENT, "route", "get", "172.17.255.1"]);
        command.args(["from", "198.51.100.2", "iif", "out0"]);
        let route = e2e::namespace::output(&mut command)?;
        assert!(route.contains(&format!("via {} ", node.ip)), "{POOL} from {OUTSIDE}: {route}");
    }
    lab.route_outside_via(&lab.nodes()[0].name)
}
