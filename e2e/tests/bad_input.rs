//! Mistakes in pools and advertisements: the API server refuses those it can see by itself, and those
//! that were made while nobody checked disturb nothing that works.

use anyhow::{Context, Result};
use e2e::checks::Unchecked;
use e2e::client;
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::event::{self, Event};
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::web;

const POOL: &str = "172.17.255.1-172.17.255.9";

/// In ferrolb's namespace.
fn kubectl(lab: &Lab, args: &[&str]) -> Result<String> {
    lab.kubectl(&[&["-n", config::NAMESPACE], args].concat())
}

/// Waits until all ConfigurationStates say this: the controller's and each speaker's.
async fn state_says(lab: &Lab, result: &str, summary: &str) -> Result<()> {
    let speakers = lab.nodes().iter().map(|node| format!("speaker-{}", node.name));
    for name in speakers.chain(["controller".to_owned()]) {
        let expected = format!("{result}|{summary}");
        until(SOON, &format!("{name}: {expected}"), async || {
            let path = "jsonpath={.status.result}|{.status.errorSummary}";
            let said = kubectl(lab, &["get", "configurationstate", &name, "-o", path])?;
            Ok(Look::when((said == expected).then_some(()), || said))
        })
        .await?;
    }
    Ok(())
}

/// Waits until the object itself says so, by an Event.
async fn is_told_of_on(lab: &Lab, object: &str, message: &str) -> Result<()> {
    let uid = kubectl(lab, &["get", object, "-o", "jsonpath={.metadata.uid}"])?;
    let expected = Event::controller_warning("InvalidConfiguration", message);
    event::await_about(&lab.kube_client().await?, config::NAMESPACE, &uid, &expected).await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn what_the_schema_forbids_is_refused_with_the_name_of_the_field() -> Result<()> {
    let lab = Lab::attach()?;
    let preferred = |weight: u8| {
        let preference = "preference: {matchLabels: {a: b}}";
        format!("preferredNodeSelectors: [{{weight: {weight}, {preference}}}]")
    };
    let weight = "spec.preferredNodeSelectors[0].weight";
    let rows = [
        ("no addresses", config::pool("bad", ""), "spec.addresses", "no prefixes"),
        (
            "a bare address",
            config::pool("bad", "172.17.255.1"),
            "spec.addresses",
            "must be a CIDR such as 192.0.2.0/24 or a range",
        ),
        ("a number for an address", config::pool("bad", "5"), "spec.addresses[0]", "string"),
        ("too heavy", config::advertisement("bad", &preferred(101)), weight, "100"),
        ("too light", config::advertisement("bad", &preferred(0)), weight, "1"),
    ];
    for (name, yaml, field, why) in rows {
        let refusal = Config::apply(&lab, &yaml).err().with_context(|| format!("{name}: taken"))?;
        let text = format!("{refusal:#}");
        assert!(text.contains(field) && text.contains(why), "{name}: {text}");
    }
    state_says(&lab, "Valid", "").await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_bad_object_is_told_of_and_the_good_ones_work_on() -> Result<()> {
    let lab = Lab::attach()?;
    let _unchecked = Unchecked::begin(&lab)?;
    let pool = |addresses: &str| ("ipaddresspool/bad", config::pool("bad", addresses));
    let advertisement = |spec: &str| ("l2advertisement/bad", config::advertisement("bad", spec));
    let rows = [
        (
            pool("172.17.255.99-172.17.255.90"),
            "IPAddressPool \"bad\": spec.addresses[0]: invalid CIDR \
             \"172.17.255.99-172.17.255.90\" in pool \"bad\": invalid IP range \
             \"172.17.255.99-172.17.255.90\": start IP \"172.17.255.99\" is after the end IP \
             \"172.17.255.90\"",
        ),
        (
            pool("172.17.255.90/32, 300.0.0.0/24"),
            "IPAddressPool \"bad\": spec.addresses[1]: invalid CIDR \"300.0.0.0/24\" in pool \
             \"bad\": invalid CIDR \"300.0.0.0/24\"",
        ),
        (
            pool("172.17.255.5-172.17.255.20"),
            "IPAddressPool \"bad\": spec.addresses[0]: CIDR \"172.17.255.5-172.17.255.20\" in \
             pool \"bad\" overlaps with already defined CIDR \"172.17.255.1-172.17.255.9\" of \
             pool \"good\"",
        ),
        (
            advertisement("ipAddressPools: [good, good]"),
            "L2Advertisement \"bad\": spec.ipAddressPools[1]: duplicate definition of \
             ipAddressPools \"good\"",
        ),
        (
            advertisement("nodeSelectors: [{matchExpressions: [{key: a, operator: Is}]}]"),
            "L2Advertisement \"bad\": spec.nodeSelectors[0]: invalid label selector: \
             \"Is\" is not a valid label selector operator",
        ),
    ];
    TempNamespace::with(&lab, "bad-input", async |space| {
        let pods = web::deploy(space, 1).await?;
        let _good = Config::pool(&lab, "good", POOL)?;
        state_says(&lab, "Valid", "").await?;
        let old = space.balance("old").await?;
        old.await_addresses(&["172.17.255.1"]).await?;
        for (number, ((object, yaml), message)) in rows.into_iter().enumerate() {
            let bad = Config::apply(&lab, &yaml)?;
            state_says(&lab, "Invalid", message).await?;
            is_told_of_on(&lab, object, message).await?;
            let new = space.balance(&format!("new-{number}")).await?;
            let ip = new.address().await?;
            new.announcer().await?;
            client::curl_reaches(&format!("http://{ip}/index.html"), &pods).await?;
            bad.remove()?;
            state_says(&lab, "Valid", "").await?;
        }
        old.await_addresses(&["172.17.255.1"]).await?;
        assert_eq!(old.times_told("nodeAssigned").await?, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_pool_edited_into_an_invalid_state_keeps_its_services_addresses() -> Result<()> {
    let lab = Lab::attach()?;
    let _unchecked = Unchecked::begin(&lab)?;
    TempNamespace::with(&lab, "edited", async |space| {
        let pods = web::deploy(space, 1).await?;
        let config = Config::pool(&lab, "good", POOL)?;
        let service = space.balance("web").await?;
        let ip = service.address().await?;
        let node = service.announcer().await?;
        let invalid = "172.17.255.9-172.17.255.1";
        config.change(&config::pool("good", invalid))?;
        let message = format!(
            "IPAddressPool \"good\": spec.addresses[0]: invalid CIDR \"{invalid}\" in pool \
             \"good\": invalid IP range \"{invalid}\": start IP \"172.17.255.9\" is after the end \
             IP \"172.17.255.1\""
        );
        state_says(&lab, "Invalid", &message).await?;
        is_told_of_on(&lab, "ipaddresspool/good", &message).await?;
        // Its last valid form is in force.
        let second = space.balance("second").await?;
        second.await_addresses(&["172.17.255.2"]).await?;

        // Controllers that never saw the valid form take nothing away either.
        let selector = "app.kubernetes.io/component=controller";
        kubectl(&lab, &["delete", "pods", "-l", selector])?;
        let third = space.balance("third").await?;
        third.await_event(&Event::allocation_failed(&third.key(), "no available IPs")).await?;
        service.await_addresses(&[&ip.to_string()]).await?;
        second.await_addresses(&["172.17.255.2"]).await?;
        client::curl_reaches(&format!("http://{ip}/index.html"), &pods).await?;
        assert_eq!(client::arping(ip, 1)?, [node.mac.parse()?]);
        for service in [&service, &second] {
            assert_eq!(service.times_told("nodeAssigned").await?, 1, "{service:?}");
        }

        // Nor do speakers that never saw it fall silent.
        kubectl(&lab, &["delete", "pods", "-l", "app.kubernetes.io/component=speaker"])?;
        kubectl(&lab, &["rollout", "status", "daemonset/ferrolb-speaker", "--timeout=60s"])?;
        client::curl_reaches(&format!("http://{ip}/index.html"), &pods).await?;
        client::forget_neighbours()?;
        client::curl_reaches(&format!("http://{ip}/index.html"), &pods).await?;

        config.change(&config::pool("good", POOL))?;
        state_says(&lab, "Valid", "").await?;
        third.await_addresses(&["172.17.255.3"]).await?;
        for service in [&service, &second] {
            assert_eq!(service.times_told("IPAllocated").await?, 1, "{service:?}");
            assert_eq!(service.times_told("ClearAssignment").await?, 0, "{service:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn the_configuration_state_comes_back_when_somebody_deletes_it() -> Result<()> {
    let lab = Lab::attach()?;
    let _unchecked = Unchecked::begin(&lab)?;
    let _bad = Config::apply(&lab, &config::pool("bad", "172.17.255.0/33"))?;
    let message = "IPAddressPool \"bad\": spec.addresses[0]: invalid CIDR \"172.17.255.0/33\" in \
                   pool \"bad\": invalid CIDR \"172.17.255.0/33\"";
    state_says(&lab, "Invalid", message).await?;
    let speaker = format!("speaker-{}", lab.nodes()[0].name);
    kubectl(&lab, &["delete", "configurationstate", "controller", &speaker])?;
    state_says(&lab, "Invalid", message).await
}
