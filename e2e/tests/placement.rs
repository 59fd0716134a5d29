//! Which node announces: exclusion, node selectors and preferences, interfaces.

use anyhow::Result;
use e2e::chart::Settings;
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::event::Event;
use e2e::label::{EXCLUDE, Label};
use e2e::observer::Observer;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::{client, speakers, web};

const POOL: &str = "172.17.255.1-172.17.255.9";

/// The pool, and an advertisement with this spec.
fn announced(spec: &str) -> String {
    config::pool("first-pool", POOL) + &config::advertisement("first-pool", spec)
}

fn host(node: &str) -> String {
    format!("{{matchLabels: {{kubernetes.io/hostname: {node}}}}}")
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_excluded_node_gives_its_addresses_away_and_takes_none_back() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "excluded", async |space| {
        let pods = web::deploy(space, 2).await?;
        let _config = Config::pool(&lab, "first-pool", POOL)?;
        let service = space.balance("web").await?;
        let ip = service.address().await?;
        let home = service.announcer().await?;
        service.await_event(&Event::node_assigned(&home.name)).await?;
        let observer = Observer::watch(&lab, &[ip])?;

        let excluded = Label::put(&lab, &home, EXCLUDE, "")?;
        let heir = service.announcer_that(|node| node.name != home.name).await?;
        service.await_event(&Event::node_assigned(&heir.name)).await?;
        assert_eq!(client::arping(ip, 1)?, [heir.mac.parse()?]);
        client::curl_reaches(&format!("http://{ip}/index.html"), &pods).await?;
        excluded.remove()?;
        speakers::await_state(&lab.kube_client().await?, &home.name, "Active").await?;
        // What is made afterwards is announced, and that one has stayed where it was.
        space.balance("another").await?.announcer().await?;
        assert_eq!(service.announcer().await?, heir);
        assert_eq!(service.times_told("nodeAssigned").await?, 2);
        let trace = observer.finish()?;
        let macs: Vec<_> = trace.changes(ip).iter().map(|change| change.to).collect();
        assert_eq!(macs, [heir.mac.parse()?], "{trace}");
        eprintln!("given away: longest gap {:?}", trace.longest_gap(ip).length());
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn node_assigned_is_said_once_and_not_on_unrelated_changes() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "said-once", async |space| {
        web::deploy(space, 2).await?;
        let _config = Config::pool(&lab, "first-pool", POOL)?;
        let shared = "{metallb.io/allow-shared-ip: a}";
        let service = space.balance_with("web", shared, "").await?;
        let node = service.announcer().await?;
        service.await_event(&Event::node_assigned(&node.name)).await?;

        space.kubectl(&["label", "service", "web", "example.com/note=1"])?;
        space.kubectl(&["annotate", "service", "web", "example.com/note=1"])?;
        space.kubectl(&["scale", "deployment", "web", "--replicas=3"])?;
        web::ready_pods(space, 3).await?;
        let _label = Label::put(&lab, &node, "example.com/note", "1")?;
        let _other = Config::pool(&lab, "other", "172.17.255.100/32")?;
        // Its neighbour on the same address is announced by the same speaker, after all that.
        let ports = "ports: [{port: 8080, targetPort: 8000}]";
        let neighbour = space.balance_with("neighbour", shared, ports).await?;
        neighbour.await_event(&Event::node_assigned(&node.name)).await?;
        assert_eq!(service.announcer().await?, node);
        assert_eq!(service.times_told("nodeAssigned").await?, 1);
        assert_eq!(service.times_told("IPAllocated").await?, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_status_object_that_somebody_deletes_comes_back_and_nothing_is_said_again() -> Result<()>
{
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "deleted-status", async |space| {
        web::deploy(space, 1).await?;
        let _config = Config::pool(&lab, "first-pool", POOL)?;
        let service = space.balance("web").await?;
        let node = service.announcer().await?;
        service.await_event(&Event::node_assigned(&node.name)).await?;
        let label = format!("metallb.io/service-namespace={}", space.name);
        let object = ["servicel2statuses", "-l", label.as_str()];
        let kubectl = |verb| lab.kubectl(&[&["-n", config::NAMESPACE, verb], &object[..]].concat());
        let old = kubectl("get")?;
        kubectl("delete")?;
        until(SOON, "another object", async || {
            let new = kubectl("get")?;
            Ok(Look::when((new.contains(&node.name) && new != old).then_some(()), || new))
        })
        .await?;
        assert_eq!(service.announcer().await?, node);
        // What is written for another Service is written after that.
        let other = space.balance("other").await?;
        other.await_event(&Event::node_assigned(&other.announcer().await?.name)).await?;
        assert_eq!(service.times_told("nodeAssigned").await?, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn advertisements_choose_nodes_by_selectors_and_preferences() -> Result<()> {
    let lab = Lab::attach()?;
    // A living owner's address moves to a preferred node by the plan.
    let _settings = Settings::with(&lab, &["controller.placement.settlingSeconds=1"])?;
    let prefer = |weight: u8, node| format!("- {{weight: {weight}, preference: {}}}", host(node));
    let rows = [
        ("only n2", format!("nodeSelectors: [{}]", host("n2")), "n2"),
        ("only n3", format!("nodeSelectors: [{}]", host("n3")), "n3"),
        ("prefer n1", format!("preferredNodeSelectors:\n{}", prefer(1, "n1")), "n1"),
        (
            "prefer n2 to n1",
            format!("preferredNodeSelectors:\n{}\n{}", prefer(10, "n1"), prefer(100, "n2")),
            "n2",
        ),
    ];
    TempNamespace::with(&lab, "selectors", async |space| {
        web::deploy(space, 1).await?;
        let config = Config::apply(&lab, &announced(&rows[0].1))?;
        // Several, since any single one could be on the right node by chance.
        let services =
            [space.balance("a").await?, space.balance("b").await?, space.balance("c").await?];
        for (name, spec, node) in &rows {
            config.change(&announced(spec))?;
            for service in &services {
                let ip = service.address().await?;
                let owner = service.announcer_that(|it| it.name == *node).await?;
                service.await_event(&Event::node_assigned(node)).await?;
                assert_eq!(client::arping(ip, 1)?, [owner.mac.parse()?], "{name}");
            }
        }
        // A preferred node that is out of service is no reason to be silent.
        let _excluded = Label::put(&lab, lab.node("n2")?, EXCLUDE, "")?;
        for service in &services {
            service.announcer_that(|node| node.name == "n1").await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_advertisement_for_interfaces_that_are_not_there_is_told_of() -> Result<()> {
    let lab = Lab::attach()?;
    let on_n2 = |interfaces: &str| {
        announced(&format!("nodeSelectors: [{}]\ninterfaces: [{interfaces}]", host("n2")))
    };
    TempNamespace::with(&lab, "interfaces", async |space| {
        let pods = web::deploy(space, 1).await?;
        let config = Config::apply(&lab, &on_n2("nope0"))?;
        let service = space.balance("web").await?;
        let ip = service.address().await?;
        let text = format!(
            "the interfaces specified by LB IP \"{ip}\" doesn't exist in assigned node \"n2\" \
             with protocol \"layer2\""
        );
        service.await_event(&Event::announce_failed(&text)).await?;
        assert_eq!(client::arping(ip, 1)?, []);
        assert_eq!(service.announcers().await?, [""; 0]);
        assert_eq!(service.times_told("nodeAssigned").await?, 0);

        config.change(&on_n2("nope0, eth0"))?;
        let node = service.announcer().await?;
        service.await_event(&Event::node_assigned("n2")).await?;
        assert_eq!(client::arping(ip, 1)?, [node.mac.parse()?]);
        client::curl_reaches(&format!("http://{ip}/index.html"), &pods).await?;
        assert_eq!(service.times_told("announceFailed").await?, 1);

        config.change(&on_n2("nope0"))?;
        until(SOON, "silence", async || {
            let macs = client::arping(ip, 1)?;
            Ok(Look::when(macs.is_empty().then_some(()), || format!("{macs:?}")))
        })
        .await
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn an_advertisement_for_some_services_leaves_the_others_silent() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "some", async |space| {
        web::deploy(space, 1).await?;
        let _config = Config::apply(&lab, &announced("serviceSelectors: [{matchLabels: {a: b}}]"))?;
        let service = space.balance("web").await?;
        let ip = service.address().await?;
        let why = format!(
            "no L2Advertisement selects this Service with its address from pool \"first-pool\": \
             nobody answers for {ip}"
        );
        service.await_event(&Event::controller_warning("notAnnounced", &why)).await?;
        assert_eq!(client::arping(ip, 1)?, []);
        space.kubectl(&["label", "service", "web", "a=b"])?;
        service.announcer().await?;
        service.await_announced(None).await
    })
    .await
}
