//! Nothing is written where nothing happens: Services of all kinds, the ones that wait and the ones
//! that nobody announces among them; and a pod that is replaced is nothing that we write about.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::Lab;
use e2e::config::{self, Config};
use e2e::many;
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};
use e2e::web;
use e2e::writes::{self, Writes};
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

/// How many of each kind; 500 in all.
const PLAIN: usize = 200;
const IPV6: usize = 60;
const PREFER: usize = 60;
const REQUIRE: usize = 40;
const PAIRS: usize = 20;
const LOCAL: usize = 40;
const ASKING: usize = 30;
const WAITING: usize = 20;
const SILENT: usize = 10;

const POOL: &str = "172.17.244.0/22, \"fd17:255::1:0/112\"";
/// One that no advertisement names.
const UNHEARD: &str = "172.17.243.0/24";

/// How long nothing is done, and then, how long a new pod's endpoints are watched for what they may bring
/// about: longer than anything of ours waits between two looks at the same thing, or much longer.
const A_WHILE: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(10)];
const LONG: [Duration; 2] = [Duration::from_mins(1), Duration::from_secs(20)];

/// What our programs write to, the Leases apart. In a cluster where pods come and go, others write
/// to other things.
const OURS: [&str; 11] = [
    "services",
    "services/status",
    "ipaddresspools/status",
    "servicel2statuses",
    "servicel2statuses/status",
    "configurationstates",
    "configurationstates/status",
    "speakers",
    "speakers/status",
    "secrets",
    "validatingwebhookconfigurations",
];

fn ours(writes: &Writes) -> u64 {
    OURS.iter().map(|what| writes.to(what)).sum()
}

/// A Service; those with pods behind them are served by the Deployment.
fn service(name: &str, annotations: &Value, more: Value) -> Value {
    let mut spec = json!({
        "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false,
        "ports": [{"port": 80, "targetPort": 8000}],
    });
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    json!({"metadata": {"name": name, "annotations": annotations}, "spec": spec})
}

/// All of them. Those that have a reason to be moved have pods behind them; the others have an
/// EndpointSlice made by hand, since Kubernetes takes its time to make hundreds.
fn services() -> Vec<Value> {
    let families = |policy: &str| json!({"ipFamilyPolicy": policy});
    let ipv6 = json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]});
    let named = |kind: &str, count: usize, of: &dyn Fn(usize) -> (Value, Value)| -> Vec<Value> {
        let one = |number| {
            let (annotations, more) = of(number);
            service(&format!("{kind}-{number}"), &annotations, more)
        };
        (0..count).map(one).collect()
    };
    let asks = |ip: String| json!({"metallb.io/loadBalancerIPs": ip});
    let pair = |number: usize| {
        let port = 80 + number % 2;
        let ports = json!({"ports": [{"port": port, "targetPort": 8000}]});
        (json!({"metallb.io/allow-shared-ip": format!("pair-{}", number / 2)}), ports)
    };
    let local = json!({"externalTrafficPolicy": "Local", "selector": {"app": "web"}});
    [
        named("plain", PLAIN, &|_| (json!({}), json!({}))),
        named("ipv6", IPV6, &|_| (json!({}), ipv6.clone())),
        named("prefer", PREFER, &|_| (json!({}), families("PreferDualStack"))),
        named("require", REQUIRE, &|_| (json!({}), families("RequireDualStack"))),
        named("pair", 2 * PAIRS, &pair),
        named("local", LOCAL, &|_| (json!({}), local.clone())),
        named("asking", ASKING, &|number| (asks(format!("172.17.247.{number}")), json!({}))),
        named("waiting", WAITING, &|number| (asks(format!("192.0.2.{number}")), json!({}))),
        named("silent", SILENT, &|_| (json!({"metallb.io/address-pool": "unheard"}), json!({}))),
    ]
    .concat()
}

/// The EndpointSlice of a Service that has no pods.
fn slice(service: &Value) -> Option<Value> {
    if service["spec"].get("selector").is_some() {
        return None;
    }
    let name = &service["metadata"]["name"];
    let is_ipv6 = service["spec"]["ipFamilies"] == json!(["IPv6"]);
    let (family, address) =
        if is_ipv6 { ("IPv6", "fd00:10:244:1::fa") } else { ("IPv4", "10.244.1.250") };
    Some(json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": family,
        "ports": [{"port": 8000, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "nodeName": "n1", "conditions": {"ready": true}}],
    }))
}

/// Waits until every Service that can have addresses has them, and of both families if it must.
async fn await_addresses(services: &Api<Service>) -> Result<()> {
    let expected = |name: &str| match name.split('-').next() {
        Some("waiting") => 0,
        Some("prefer" | "require") => 2,
        _ => 1,
    };
    until(3 * SOON, "addresses for all", async || {
        let all = services.list(&ListParams::default()).await?.items;
        let count = |it: &Service| {
            let status = it.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            status.and_then(|it| it.ingress.as_ref()).map_or(0, Vec::len)
        };
        let wrong = all.iter().filter(|it| count(it) != expected(&it.name_any()));
        let wrong: Vec<String> = wrong.map(ResourceExt::name_any).collect();
        Ok(Look::when(wrong.is_empty().then_some(()), || format!("not yet: {wrong:?}")))
    })
    .await
}

/// Waits for as long as that.
async fn look_on(time: Duration) -> Result<()> {
    let begun = Instant::now();
    until(2 * time, "the end of the observation", async || {
        let passed = begun.elapsed();
        Ok(Look::when((passed >= time).then_some(()), || format!("{passed:?}")))
    })
    .await
}

/// How many Events our programs have told so far, repeated ones included.
async fn told(client: &Client) -> Result<i32> {
    let all = Api::<Event>::all(client.clone()).list(&ListParams::default()).await?;
    let is_ours = |event: &&Event| {
        let component = event.source.as_ref().and_then(|source| source.component.as_deref());
        component.is_some_and(|component| component.starts_with("metallb-"))
    };
    Ok(all.iter().filter(is_ours).map(|event| event.count.unwrap_or(1)).sum())
}

/// Deletes a pod of the Deployment that is not the only one of its node, so that no Service with
/// local traffic has to move, and waits until another one is ready.
async fn replace_a_pod(space: &TempNamespace, client: &Client, pods: usize) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &space.name);
    let all = api.list(&ListParams::default().labels("app=web")).await?.items;
    let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let is_spare = |pod: &&Pod| all.iter().filter(|other| node(other) == node(pod)).count() > 1;
    let victim = all.iter().find(is_spare).context("every pod is alone on its node")?.name_any();
    space.kubectl(&["delete", "pod", &victim])?;
    let ready = web::ready_pods(space, pods).await?;
    ensure!(!ready.contains(&victim), "{victim} is still there");
    Ok(())
}

/// Gives Services that any node may announce other endpoints than they have, on another node.
fn move_endpoints(space: &TempNamespace) -> Result<()> {
    let endpoints =
        json!([{"addresses": ["10.244.2.250"], "nodeName": "n2", "conditions": {"ready": true}}]);
    let patch = json!({ "endpoints": endpoints }).to_string();
    for name in ["plain-0", "prefer-0", "require-0", "pair-0", "asking-0"] {
        space.kubectl(&["patch", "endpointslice", name, "--type=merge", "-p", &patch])?;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn nothing_is_written_while_nothing_happens_nor_after_a_pod_was_replaced() -> Result<()> {
    idle(A_WHILE).await
}

#[tokio::test]
#[ignore = "needs a lab: make test-long"]
async fn nothing_is_written_in_an_idle_minute_nor_after_a_pod_was_replaced() -> Result<()> {
    idle(LONG).await
}

async fn idle([at_rest, after_a_pod]: [Duration; 2]) -> Result<()> {
    let lab = Lab::attach()?;
    let unheard = config::pool_with("unheard", UNHEARD, "autoAssign: false");
    let heard = config::advertisement("idle", "ipAddressPools: [idle]");
    let _config = Config::apply(&lab, &(config::pool("idle", POOL) + &unheard + &heard))?;
    TempNamespace::with(&lab, "idle", async |space| {
        let client = lab.kube_client().await?;
        let pods = 2 * lab.nodes().len();
        web::deploy(space, pods).await?;
        let all = services();
        ensure!(all.len() == 500, "{}", all.len());
        let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &space.name);
        many::post(&slices, all.iter().filter_map(slice)).await?;
        let services: Api<Service> = Api::namespaced(client.clone(), &space.name);
        many::post(&services, all).await?;
        await_addresses(&services).await?;
        writes::quiet(&lab).await?;

        let before = Writes::now(&lab)?;
        look_on(at_rest).await?;
        let idle = Writes::now(&lab)?.since(&before);
        eprintln!("{at_rest:?} at rest with 500 Services: {} writes ({idle})", idle.total());
        ensure!(idle.total() == 0, "{at_rest:?} at rest saw {idle}");

        let (before, said) = (Writes::now(&lab)?, told(&client).await?);
        replace_a_pod(space, &client, pods).await?;
        move_endpoints(space)?;
        look_on(after_a_pod).await?;
        let replaced = Writes::now(&lab)?.since(&before);
        eprintln!("a pod replaced: {} writes of ours ({replaced})", ours(&replaced));
        ensure!(replaced.to("endpointslices") > 0, "the endpoints did not change: {replaced}");
        ensure!(ours(&replaced) == 0, "a pod was replaced: {replaced}");
        let more = told(&client).await? - said;
        ensure!(more == 0, "a pod was replaced, and {more} Events told");
        e2e::many::delete(&client, &space.name).await
    })
    .await
}
