//! Services by the hundred: made as fast as the API server takes them, without pods behind them.
//! Each has an EndpointSlice made by hand, so that it counts as served, and no node port, of which
//! there are only 2,768.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::families::Families;

/// So many Services.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    pub count: usize,
    pub families: Families,
}

impl From<usize> for Batch {
    fn from(count: usize) -> Self {
        Self { count, families: Families::Default }
    }
}

impl Families {
    /// So many Services of these families.
    pub fn times(self, count: usize) -> Batch {
        Batch { count, families: self }
    }
}

/// Requests under way at one time.
const CONNECTIONS: usize = 16;

/// Makes Services called `many-0` and so on, and their EndpointSlices first. Returns when the last
/// Service was made.
pub async fn create(client: &Client, namespace: &str, batch: impl Into<Batch>) -> Result<Instant> {
    let Batch { count, families } = batch.into();
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    post(&slices, (0..count).map(slice)).await?;
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    post(&services, (0..count).map(|number| service(number, families))).await?;
    Ok(Instant::now())
}

/// Deletes all Services of `namespace`, many at a time: kubectl takes one after another.
pub async fn delete(client: &Client, namespace: &str) -> Result<()> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let names = services.list_metadata(&ListParams::default()).await?;
    futures::stream::iter(names.items.into_iter().filter_map(|object| object.metadata.name))
        .map(async |name| {
            services.delete(&name, &DeleteParams::default()).await.context("deleting a Service")
        })
        .buffer_unordered(CONNECTIONS)
        .try_for_each(async |_| Ok(()))
        .await
}

/// Makes all of these, several at a time.
pub async fn post<K>(api: &Api<K>, objects: impl IntoIterator<Item = Value>) -> Result<()>
where
    K: Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    futures::stream::iter(objects)
        .map(async |object| {
            let object: K = serde_json::from_value(object)?;
            api.create(&PostParams::default(), &object).await.context("creating an object")
        })
        .buffer_unordered(CONNECTIONS)
        .try_for_each(async |_| Ok(()))
        .await
}

fn service(number: usize, families: Families) -> Value {
    let mut spec = families.spec();
    spec["type"] = json!("LoadBalancer");
    spec["allocateLoadBalancerNodePorts"] = json!(false);
    spec["ports"] = json!([{"port": 80, "targetPort": 8000}]);
    json!({"metadata": {"name": format!("many-{number}")}, "spec": spec})
}

fn slice(number: usize) -> Value {
    let name = format!("many-{number}");
    json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"port": 8000, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.244.1.250"], "nodeName": "n1", "conditions": {"ready": true}}],
    })
}

/// When each Service of a namespace had an address.
#[derive(Debug, Default, Clone)]
pub struct Assigned {
    /// The addresses that each Service was first seen with, and when.
    pub first: BTreeMap<String, (Vec<IpAddr>, Instant)>,
    /// Services that were seen with others later: never right.
    pub changed: Vec<String>,
}

/// Watches the Services of `namespace` until `count` of them have addresses. To be started before
/// they are made.
pub async fn watch_assigned(
    client: Client,
    namespace: String,
    count: usize,
    deadline: Duration,
) -> Result<Assigned> {
    let api: Api<Service> = Api::namespaced(client, &namespace);
    let mut assigned = Assigned::default();
    let all = async {
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
        while assigned.first.len() < count {
            match events.next().await {
                Some(Ok(watcher::Event::Apply(it) | watcher::Event::InitApply(it))) => {
                    assigned.take(&it);
                }
                Some(_) => {}
                None => bail!("the watch ended"),
            }
        }
        Ok(())
    };
    match tokio::time::timeout(deadline, all).await {
        Ok(result) => result?,
        Err(_) => {
            bail!("after {deadline:?} {} of {count} Services have addresses", assigned.first.len())
        }
    }
    Ok(assigned)
}

impl Assigned {
    fn take(&mut self, service: &Service) {
        let found = addresses_of(service);
        if found.is_empty() {
            return;
        }
        let name = service.metadata.name.clone().unwrap_or_default();
        match self.first.get(&name) {
            None => {
                self.first.insert(name, (found, Instant::now()));
            }
            Some((first, _)) if *first != found => self.changed.push(name),
            Some(_) => {}
        }
    }

    /// All of them.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.first.values().flat_map(|(addresses, _)| addresses).copied()
    }

    /// When the last one had its address.
    pub fn last(&self) -> Option<Instant> {
        self.first.values().map(|(_, at)| *at).max()
    }

    /// Addresses that two Services have.
    pub fn given_twice(&self) -> Vec<IpAddr> {
        let mut holders: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for ip in self.addresses() {
            *holders.entry(ip).or_default() += 1;
        }
        holders.into_iter().filter(|(_, count)| *count > 1).map(|(ip, _)| ip).collect()
    }
}

/// The addresses of all Services of `namespace`, by name; those without one are left out.
pub async fn addresses(client: &Client, namespace: &str) -> Result<BTreeMap<String, Vec<IpAddr>>> {
    let api: Api<Service> = Api::namespaced(client.clone(), namespace);
    let services = api.list(&ListParams::default()).await?;
    let entry = |service: &Service| Some((service.metadata.name.clone()?, addresses_of(service)));
    let all = services.iter().filter_map(entry);
    Ok(all.filter(|(_, addresses)| !addresses.is_empty()).collect())
}

fn addresses_of(service: &Service) -> Vec<IpAddr> {
    let ingress = || service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref();
    let entries = ingress().into_iter().flatten();
    entries.filter_map(|entry| entry.ip.as_deref()?.parse().ok()).collect()
}
