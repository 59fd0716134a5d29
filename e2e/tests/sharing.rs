//! Several Services on one address.

use std::net::Ipv4Addr;

use anyhow::Result;
use e2e::client;
use e2e::cluster::Lab;
use e2e::config::Config;
use e2e::event::Event;
use e2e::plan::CLIENT;
use e2e::service::{Service, manifest};
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::web;

const POOL: &str = "172.17.255.1-172.17.255.255";
const SHARED: Ipv4Addr = Ipv4Addr::new(172, 17, 255, 2);

/// The cluster's DNS on one address: a Service for each protocol, as users of MetalLB write them.
fn dns(annotations: &str, more: &str) -> String {
    let service = |name: &str, protocol: &str| {
        let ports = format!("ports: [{{port: 53, protocol: {protocol}}}]");
        let spec = format!("{ports}\nselector: {{k8s-app: kube-dns}}\n{more}");
        let text = manifest(name, annotations, &spec);
        text.replace("metadata: {", "metadata: {namespace: kube-system, ")
    };
    service("coredns-tcp", "TCP") + &service("coredns-udp", "UDP")
}

async fn dns_answers_over_udp_and_tcp(annotations: &str, more: &str) -> Result<[Service; 2]> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "dns", async |space| {
        // Something to ask for.
        space.kubectl(&["create", "service", "clusterip", "web-svc-cip", "--tcp=80:8000"])?;
        let path = "jsonpath={.spec.clusterIP}";
        let expected = space.kubectl(&["get", "service", "web-svc-cip", "-o", path])?;
        let name = format!("web-svc-cip.{}.svc.cluster.local", space.name);

        let _config = Config::pool(&lab, "first-pool", POOL)?;
        let _services = Config::apply(&lab, &dns(annotations, more))?;
        let tcp = Service::find(&lab, "kube-system", "coredns-tcp").await?;
        let udp = Service::find(&lab, "kube-system", "coredns-udp").await?;
        for service in [&tcp, &udp] {
            service.await_addresses(&["172.17.255.2"]).await?;
            let assigned = Event::controller("IPAllocated", "Assigned IP [\"172.17.255.2\"]");
            service.await_event(&assigned).await?;
        }
        for over_tcp in [false, true] {
            until(SOON, &format!("an answer, over tcp: {over_tcp}"), async || {
                let answer = client::dig(CLIENT, SHARED, &name, over_tcp)?;
                Ok(Look::when((answer == expected).then_some(()), || answer))
            })
            .await?;
        }
        let node = tcp.announcer().await?;
        assert_eq!(udp.announcer().await?, node);
        for service in [&tcp, &udp] {
            service.await_event(&Event::node_assigned(&node.name)).await?;
        }
        let macs = client::arping(SHARED.into(), 3)?;
        assert_eq!(macs, [node.mac.parse()?; 3], "{}", node.name);
        for service in [&tcp, &udp] {
            let deprecated = service.times_told("deprecatedAnnotation").await?;
            assert_eq!(deprecated > 0, annotations.contains("universe"), "{service:?}");
        }
        if annotations.contains("universe") {
            let text = "Service uses deprecated annotation metallb.universe.tf/allow-shared-ip";
            let event = Event::controller_warning("deprecatedAnnotation", text);
            tcp.await_event(&event).await?;
        }
        Ok([tcp, udp])
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn dns_shares_an_address_by_the_old_annotation_and_field() -> Result<()> {
    let annotations = "{metallb.universe.tf/allow-shared-ip: coredns}";
    dns_answers_over_udp_and_tcp(annotations, "loadBalancerIP: 172.17.255.2").await.map(drop)
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn dns_shares_an_address_by_the_current_annotations() -> Result<()> {
    let annotations =
        "{metallb.io/allow-shared-ip: coredns, metallb.io/loadBalancerIPs: 172.17.255.2}";
    dns_answers_over_udp_and_tcp(annotations, "").await.map(drop)
}

/// What asks for the first one's address, and why it does not get it.
struct Refused {
    name: &'static str,
    key: &'static str,
    port: u16,
    more: &'static str,
    why: fn(&str) -> String,
}

fn other_key(service: &str) -> String {
    let first = service.rsplit_once('/').map_or("", |(namespace, _)| namespace);
    format!("can't change sharing key for \"{service}\", address also in use by {first}/first")
}

fn port_taken(_: &str) -> String {
    "port TCP/80 is already in use on \"172.17.255.2\"".to_owned()
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn who_may_not_share_an_address_is_told_why() -> Result<()> {
    let lab = Lab::attach()?;
    let rows = [
        Refused { name: "same-port", key: "a", port: 80, more: "", why: port_taken },
        Refused { name: "other-key", key: "b", port: 81, more: "", why: other_key },
        Refused { name: "no-key", key: "", port: 81, more: "", why: other_key },
        Refused {
            name: "local-beside-cluster",
            key: "a",
            port: 81,
            more: "externalTrafficPolicy: Local",
            why: other_key,
        },
    ];
    TempNamespace::with(&lab, "not-shared", async |space| {
        let _config = Config::pool(&lab, "first-pool", POOL)?;
        let annotations = |key: &str| {
            let wanted = "metallb.io/loadBalancerIPs: 172.17.255.2";
            format!("{{metallb.io/allow-shared-ip: \"{key}\", {wanted}}}")
        };
        let first = space.balance_with("first", &annotations("a"), "").await?;
        first.await_addresses(&["172.17.255.2"]).await?;
        for Refused { name, key, port, more, why } in rows {
            let spec = format!("ports: [{{port: {port}, targetPort: 8000}}]\n{more}");
            let service = space.balance_with(name, &annotations(key), &spec).await?;
            let key = service.key();
            service.await_event(&Event::allocation_failed(&key, &why(&key))).await?;
            assert_eq!(service.addresses().await?, [""; 0], "{name}");
        }
        first.await_addresses(&["172.17.255.2"]).await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_address_stays_with_the_rest_when_one_who_shares_it_goes() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "shared", async |space| {
        let pods = web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "first-pool", POOL)?;
        let annotations = "{metallb.io/allow-shared-ip: web}";
        let first = space.balance_with("first", annotations, "").await?;
        let ip = first.address().await?.to_string();
        // Without asking for it, who may share an address in use does so.
        let ports = "ports: [{port: 8080, targetPort: 8000}]";
        let second = space.balance_with("second", annotations, ports).await?;
        second.await_addresses(&[&ip]).await?;
        let node = first.announcer().await?;
        assert_eq!(second.announcer().await?, node);

        space.kubectl(&["delete", "service", "first"])?;
        client::curl_reaches(&format!("http://{ip}:8080/index.html"), &pods).await?;
        second.await_addresses(&[&ip]).await?;
        assert_eq!(second.announcer().await?, node);
        assert_eq!(second.times_told("nodeAssigned").await?, 1);
        Ok(())
    })
    .await
}
