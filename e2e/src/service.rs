//! A Service of type LoadBalancer as its user sees it: its address, its Events, and which node
//! announces it.

use std::fmt;
use std::net::IpAddr;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;

use crate::cluster::Lab;
use crate::config;
use crate::event::{self, Event};
use crate::plan::Node;
use crate::temp_ns::TempNamespace;
use crate::wait::{Look, SOON, until};

/// A Service, whether it exists already or not.
#[derive(Clone)]
pub struct Service {
    lab: Lab,
    client: kube::Client,
    pub namespace: String,
    pub name: String,
}

impl TempNamespace {
    /// Makes a Service of type LoadBalancer for the pods `web`, port 80 to [`crate::web::PORT`].
    pub async fn balance(&self, name: &str) -> Result<Service> {
        self.balance_with(name, "{}", "").await
    }

    /// The same with these annotations and more lines in its spec, which may replace the port.
    pub async fn balance_with(&self, name: &str, annotations: &str, more: &str) -> Result<Service> {
        self.apply(&manifest(name, annotations, more))?;
        Service::find(self.lab(), &self.name, name).await
    }
}

/// A Service of type LoadBalancer.
pub fn manifest(name: &str, annotations: &str, more: &str) -> String {
    let ports = if more.contains("ports:") { "" } else { "ports: [{port: 80, targetPort: 8000}]" };
    let selector = if more.contains("selector:") { "" } else { "selector: {app: web}" };
    let lines = [ports, selector, more].map(str::lines).into_iter().flatten();
    let lines: Vec<_> = lines.filter(|line| !line.trim().is_empty()).collect();
    let spec = lines.join("\n  ");
    format!(
        "---\napiVersion: v1\nkind: Service\n\
         metadata: {{name: {name}, annotations: {annotations}}}\n\
         spec:\n  type: LoadBalancer\n  {spec}\n"
    )
}

impl Service {
    /// The Service of this name.
    pub async fn find(lab: &Lab, namespace: &str, name: &str) -> Result<Self> {
        Ok(Self {
            client: lab.kube_client().await?,
            lab: lab.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// `namespace/name`, as messages have it.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The object.
    pub async fn get(&self) -> Result<core::Service> {
        let api: Api<core::Service> = Api::namespaced(self.client.clone(), &self.namespace);
        api.get(&self.name).await.with_context(|| self.key())
    }

    /// The addresses in its status.
    pub async fn addresses(&self) -> Result<Vec<String>> {
        let status = self.get().await?.status.unwrap_or_default();
        let entries = status.load_balancer.unwrap_or_default().ingress.unwrap_or_default();
        Ok(entries.into_iter().filter_map(|entry| entry.ip).collect())
    }

    /// Waits for an address, and returns it; of two the first.
    pub async fn address(&self) -> Result<IpAddr> {
        until(SOON, &format!("an address for {}", self.key()), async || {
            let all = self.addresses().await?;
            let first = all.first().and_then(|text| text.parse().ok());
            Ok(Look::when(first, || "none".to_owned()))
        })
        .await
    }

    /// Waits until it has this many addresses, and returns them.
    pub async fn await_count(&self, count: usize) -> Result<Vec<IpAddr>> {
        until(SOON, &format!("{count} addresses for {}", self.key()), async || {
            let all = self.addresses().await?;
            let parsed: Vec<IpAddr> = all.iter().filter_map(|it| it.parse().ok()).collect();
            Ok(Look::when((parsed.len() == count).then_some(parsed), || format!("{all:?}")))
        })
        .await
    }

    /// Waits until its addresses are these.
    pub async fn await_addresses(&self, expected: &[&str]) -> Result<()> {
        until(SOON, &format!("{} to have {expected:?}", self.key()), async || {
            let found = self.addresses().await?;
            Ok(Look::when((found == expected).then_some(()), || format!("{found:?}")))
        })
        .await
    }

    /// One of its annotations.
    pub async fn annotation(&self, key: &str) -> Result<Option<String>> {
        let annotations = self.get().await?.metadata.annotations;
        Ok(annotations.and_then(|mut all| all.remove(key)))
    }

    /// Waits until its condition `ferrolb.io/Announced` says this; `None`: until there is none.
    pub async fn await_announced(&self, expected: Option<[&str; 3]>) -> Result<()> {
        self.await_condition("ferrolb.io/Announced", expected).await
    }

    /// The same for the condition `ferrolb.io/Allocated`.
    pub async fn await_allocated(&self, expected: Option<[&str; 3]>) -> Result<()> {
        self.await_condition("ferrolb.io/Allocated", expected).await
    }

    async fn await_condition(&self, kind: &str, expected: Option<[&str; 3]>) -> Result<()> {
        until(SOON, &format!("the condition {kind} {expected:?}"), async || {
            let conditions = self.get().await?.status.unwrap_or_default().conditions;
            let mut all = conditions.unwrap_or_default().into_iter();
            let found = all.find(|condition| condition.type_ == kind);
            let said = found.as_ref().map(|it| [&*it.status, &*it.reason, &*it.message]);
            Ok(Look::when((said == expected).then_some(()), || format!("{said:?}")))
        })
        .await
    }

    /// The Events about it, and how often each was said.
    pub async fn events(&self) -> Result<Vec<(Event, i32)>> {
        let uid = self.get().await?.metadata.uid.unwrap_or_default();
        event::about(&self.client, &self.namespace, &uid).await
    }

    /// How often Events of this reason were said.
    pub async fn times_told(&self, reason: &str) -> Result<i32> {
        let told = self.events().await?;
        Ok(told.iter().filter(|(event, _)| event.reason == reason).map(|(_, count)| count).sum())
    }

    /// Waits for exactly this Event.
    pub async fn await_event(&self, expected: &Event) -> Result<()> {
        let uid = self.get().await?.metadata.uid.unwrap_or_default();
        event::await_about(&self.client, &self.namespace, &uid, expected).await
    }

    /// The nodes that say in a ServiceL2Status that they announce it.
    pub async fn announcers(&self) -> Result<Vec<String>> {
        let kind = GroupVersionKind::gvk("metallb.io", "v1beta1", "ServiceL2Status");
        let resource = ApiResource::from_gvk_with_plural(&kind, "servicel2statuses");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), config::NAMESPACE, &resource);
        let labels = format!(
            "metallb.io/service-name={},metallb.io/service-namespace={}",
            self.name, self.namespace
        );
        let found = api.list(&ListParams::default().labels(&labels)).await?.items;
        let node = |it: DynamicObject| Some(it.data.pointer("/status/node")?.as_str()?.to_owned());
        Ok(found.into_iter().filter_map(node).collect())
    }

    /// Waits until exactly one node says that it announces it, and `fits`.
    pub async fn announcer_that(&self, fits: impl Fn(&Node) -> bool) -> Result<Node> {
        until(SOON, &format!("the announcer of {}", self.key()), async || {
            let found = self.announcers().await?;
            let node = match found.as_slice() {
                [one] => Some(self.lab.node(one)?.clone()).filter(&fits),
                _ => None,
            };
            Ok(Look::when(node, || format!("{found:?}")))
        })
        .await
    }

    /// Waits until exactly one node says that it announces it.
    pub async fn announcer(&self) -> Result<Node> {
        self.announcer_that(|_| true).await
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service {}", self.key())
    }
}
