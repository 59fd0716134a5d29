//! What MetalLB 0.16 leaves in a cluster, and ferrolb that comes afterwards: every Service keeps what
//! it has, and is answered; what was written about that is put in order; what is none of ours stays.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::away::Away;
use e2e::checks::Unchecked;
use e2e::cluster::Lab;
use e2e::config::{Config, NAMESPACE};
use e2e::leftovers::{announced, gone_pod, judged, secrets};
use e2e::observer::Observer;
use e2e::scene::QUIET;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, until};
use e2e::{service, web};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

const POOL: &str = "172.17.255.10-172.17.255.29, \"fd17:255::10-fd17:255::29\"";
const FROM: &str = "metallb.io/ip-allocated-from-pool";
const CLAIM: &str = "ferrolb.io/claim";
/// Kubernetes deletes what belongs to a Pod that is gone, and speakers find one another.
const SETTLED: Duration = Duration::from_mins(2);

/// A Service that MetalLB gave addresses: name, annotation, lines of its spec, addresses.
type Given = (&'static str, &'static str, &'static str, &'static [&'static str]);

const GIVEN: [Given; 8] = [
    ("plain", "", "", &["172.17.255.11"]),
    ("asking", "metallb.io/loadBalancerIPs: 172.17.255.12", "", &["172.17.255.12"]),
    ("of-old", "metallb.universe.tf/loadBalancerIPs: 172.17.255.13", "", &["172.17.255.13"]),
    ("by-field", "", "loadBalancerIP: 172.17.255.14", &["172.17.255.14"]),
    ("sharing", "metallb.universe.tf/allow-shared-ip: key", "", &["172.17.255.15"]),
    (
        "shared",
        "metallb.io/allow-shared-ip: key",
        "ports: [{port: 8080, targetPort: 8000}]",
        &["172.17.255.15"],
    ),
    (
        "local",
        "metallb.universe.tf/address-pool: left",
        "externalTrafficPolicy: Local",
        &["172.17.255.16"],
    ),
    ("dual", "", "ipFamilyPolicy: RequireDualStack", &["172.17.255.17", "fd17:255::17"]),
];

/// Of each kind for BGP one.
const BGP: &str = "
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: left, namespace: metallb-system}
spec: {myASN: 64500, peerASN: 64501, peerAddress: 172.18.0.1, holdTime: 1m30s}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: left, namespace: metallb-system}
spec: {ipAddressPools: [left], communities: [nothing]}
---
apiVersion: metallb.io/v1beta1
kind: Community
metadata: {name: left, namespace: metallb-system}
spec: {communities: [{name: nothing, value: '65535:65281'}]}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: left, namespace: metallb-system}
spec: {receiveInterval: 300}
";
const BGP_NAMES: [&str; 4] =
    ["bgppeers/left", "bgpadvertisements/left", "communities/left", "bfdprofiles/left"];

/// The configuration of MetalLB before 0.13; nobody reads it any more.
const OF_OLD: &str = "
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config, namespace: metallb-system}
data:
  config: |
    address-pools: [{name: left, protocol: layer2, addresses: [172.17.255.10-172.17.255.29]}]
";

fn kubectl(lab: &Lab, args: &[&str]) -> Result<String> {
    lab.kubectl(&[&["-n", NAMESPACE], args].concat())
}

fn of_kind(client: &kube::Client, kind: &str, plural: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("metallb.io", "v1beta1", kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

/// The version of each of these objects: whoever writes to one changes it.
fn versions(lab: &Lab, namespace: &str, names: &[&str]) -> Result<BTreeMap<String, String>> {
    let version = |name: &&str| {
        let path = "jsonpath={.metadata.resourceVersion}";
        Ok(((*name).to_owned(), lab.kubectl(&["-n", namespace, "get", name, "-o", path])?))
    };
    names.iter().map(version).collect()
}

/// Everything as it is when MetalLB's pods have just been deleted.
fn leave(lab: &Lab, space: &TempNamespace) -> Result<()> {
    for (name, annotation, spec, addresses) in GIVEN {
        let annotations = format!("{{{FROM}: left, {annotation}}}");
        space.apply(&service::manifest(name, &annotations, spec))?;
        let entry = |ip: &&str| json!({"ip": ip, "ipMode": "VIP"});
        let ingress: Vec<Value> = addresses.iter().map(entry).collect();
        let patch = json!({"status": {"loadBalancer": {"ingress": ingress}}}).to_string();
        let status = ["--subresource=status", "--type=merge", "-p", &patch];
        space.kubectl(&[&["patch", "service", name], &status[..]].concat())?;
    }
    secrets(lab)?;
    kubectl(lab, &["delete", "servicel2statuses,configurationstates", "--all"])?;
    judged(lab, "controller", "poolReconcilerValid", &json!([]))?;
    for node in lab.nodes() {
        let name = format!("speaker-{}", node.name);
        judged(lab, &name, "configReconcilerValid", &gone_pod(&name))?;
    }
    for (number, (service, ..)) in GIVEN.iter().enumerate() {
        // Not all of them have an owner, as when they came from a backup.
        let owner = if number % 2 == 0 { gone_pod("metallb-speaker-x") } else { json!([]) };
        announced(lab, &space.name, number, service, &owner)?;
    }
    announced(lab, &space.name, 99, "deleted", &json!([]))
}

/// What the ServiceL2Statuses say about the Services of a namespace: who announces each, and whether
/// a speaker of ours said so.
async fn records(client: &kube::Client, space: &str) -> Result<Vec<(String, String, bool)>> {
    let labels = format!("metallb.io/service-namespace={space}");
    let api = of_kind(client, "ServiceL2Status", "servicel2statuses");
    let found = api.list(&ListParams::default().labels(&labels)).await?.items;
    let record = |it: DynamicObject| {
        let label = |key: &str| it.metadata.labels.as_ref().and_then(|all| all.get(key)).cloned();
        let ours = it.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(CLAIM));
        let of = label("metallb.io/service-name").unwrap_or_default();
        (of, label("metallb.io/node").unwrap_or_default(), ours)
    };
    let mut all: Vec<_> = found.into_iter().map(record).collect();
    all.sort();
    Ok(all)
}

/// Waits until there is one record for each Service, and of ours.
async fn await_records(client: &kube::Client, space: &str) -> Result<BTreeMap<String, String>> {
    until(SETTLED, "one ServiceL2Status of ours for each Service", async || {
        let found = records(client, space).await?;
        let nodes: BTreeMap<String, String> =
            found.iter().map(|(of, node, _)| (of.clone(), node.clone())).collect();
        let is_complete = GIVEN.iter().all(|(name, ..)| nodes.contains_key(*name));
        let is_good = is_complete && found.len() == GIVEN.len() && found.iter().all(|it| it.2);
        Ok(Look::when(is_good.then_some(nodes), || format!("{found:?}")))
    })
    .await
}

/// Waits until all programs say of themselves that their configuration is valid.
async fn await_valid(lab: &Lab, client: &kube::Client) -> Result<()> {
    let api = of_kind(client, "ConfigurationState", "configurationstates");
    until(SETTLED, "every ConfigurationState to be valid", async || {
        let all = api.list(&ListParams::default()).await?.items;
        let valid = all.iter().filter(|it| it.data["status"]["result"] == "Valid").count();
        let is_good = valid == all.len() && valid == lab.nodes().len() + 1;
        let said = || {
            let name = |it: &DynamicObject| it.metadata.name.clone().unwrap_or_default();
            let said = |it| format!("{}: {}", name(it), it.data["status"]["result"]);
            all.iter().map(said).collect::<Vec<_>>().join(", ")
        };
        Ok(Look::when(is_good.then_some(()), said))
    })
    .await
}

/// That one controller at least has said in its log what is without effect.
async fn await_warning(lab: &Lab) -> Result<()> {
    const SAID: &str = "1 BGPPeer, 1 BGPAdvertisement, 1 BFDProfile, 1 Community";
    let controllers = "app.kubernetes.io/component=controller";
    until(SETTLED, "a warning about BGP", async || {
        let logs = kubectl(lab, &["logs", "-l", controllers, "--tail=-1"])?;
        let said = logs.lines().any(|line| line.contains(SAID) && line.contains("\"warn\""));
        Ok(Look::when(said.then_some(()), || logs.lines().take(20).collect()))
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn services_keep_what_metallb_gave_them_and_the_rest_is_put_in_order() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "after-metallb", async |space| {
        let client = lab.kube_client().await?;
        web::deploy(space, lab.nodes().len()).await?;
        // Guards in this order: what is checked needs controllers, and these are back first.
        let unchecked = Unchecked::begin(&lab)?;
        let away = Away::begin(&lab)?;
        let _config = Config::pool(&lab, "left", POOL)?;
        let _bgp = Config::apply(&lab, &format!("{BGP}{OF_OLD}"))?;
        leave(&lab, space)?;
        let services: Vec<String> =
            GIVEN.iter().map(|(name, ..)| format!("service/{name}")).collect();
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        let written = versions(&lab, &space.name, &services)?;
        let kept: Vec<&str> = BGP_NAMES.into_iter().chain(["configmap/config"]).collect();
        let of_bgp = versions(&lab, NAMESPACE, &kept)?;

        // IPv4 says it for both: the addresses of a Service are never at two nodes.
        let ips = GIVEN.iter().filter_map(|(.., addresses)| addresses.first()?.parse().ok());
        let mut ips: Vec<_> = ips.collect();
        ips.dedup();
        let observer = Observer::watch(&lab, &ips)?;
        away.end()?;
        unchecked.end()?;
        let nodes = await_records(&client, &space.name).await?;
        observer.settle(QUIET, SETTLED).await?;
        await_valid(&lab, &client).await?;
        await_warning(&lab).await?;

        let trace = observer.finish()?;
        for (name, _, _, addresses) in GIVEN {
            let ip = addresses[0].parse()?;
            let macs: Vec<_> = trace.answerers(ip).into_keys().collect();
            let node = nodes.get(name).context("no record")?;
            ensure!(macs == [lab.node(node)?.mac.parse()?], "{name} at {node}: {macs:?}\n{trace}");
            let service = service::Service::find(&lab, &space.name, name).await?;
            ensure!(service.addresses().await? == addresses, "{name}");
        }
        let now = versions(&lab, &space.name, &services)?;
        ensure!(now == written, "Services were written to: {written:?}, now {now:?}");
        let now = versions(&lab, NAMESPACE, &kept)?;
        ensure!(now == of_bgp, "what is none of ours was written to: {of_bgp:?}, now {now:?}");
        // A new Service gets one of the others.
        let new = space.balance("new").await?.address().await?.to_string();
        ensure!(GIVEN.iter().all(|(.., taken)| !taken.contains(&&*new)), "{new} was taken");
        Ok(())
    })
    .await
}
