//! The watches: what the API server says, handed to the engine as facts. One task per kind of
//! object; each goes on for ever, and none decides anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::SocketAddr;

use crds::model::ids::{NodeName, ServiceKey};
use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kit::feed::{self, feed};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::engine::{Change, Event};
use crate::objects::{EndpointSlice, Node, Pod, Service};
use crate::view;

pub mod config;

/// Where events go.
pub type Events = mpsc::Sender<Event>;

/// Watches all Services and tells of those that are ours to announce.
pub async fn services(client: Client, class: Option<String>, events: Events) {
    let view = move |object: &Service| view::service(object, class.as_deref());
    Translation { key, view, wrap: Event::Services }.run(Api::all(client), events).await;
}

/// Watches all EndpointSlices.
pub async fn slices(client: Client, events: Events) {
    let view: fn(&EndpointSlice) -> _ = view::slice;
    Translation { key, view, wrap: Event::Slices }.run(Api::all(client), events).await;
}

/// Watches all Nodes.
pub async fn nodes(client: Client, events: Events) {
    let key = |metadata: &ObjectMeta| NodeName::from(name(metadata));
    let view = |object: &Node| Some(view::node(object));
    Translation { key, view, wrap: Event::Nodes }.run(Api::all(client), events).await;
}

/// Watches the speaker pods, those in `namespace` with `labels`, for the addresses of the mesh.
pub async fn peers(client: Client, namespace: String, labels: String, port: u16, events: Events) {
    let api = Api::namespaced(client, &namespace);
    let config = watcher::Config::default().labels(&labels);
    let mut changes = std::pin::pin!(feed(api, config, |_: &mut Pod| ()));
    let mut peers: BTreeMap<String, SocketAddr> = BTreeMap::new();
    while let Some(change) = changes.next().await {
        match change {
            feed::Change::Reset { objects, unreadable: _ } => {
                peers = objects
                    .iter()
                    .filter_map(|pod| Some((name(&pod.metadata), view::peer(pod, port)?)))
                    .collect();
            }
            feed::Change::Put(pod) => {
                match view::peer(&pod, port) {
                    Some(address) => peers.insert(name(&pod.metadata), address),
                    None => peers.remove(&name(&pod.metadata)),
                };
            }
            feed::Change::Gone(metadata) => {
                peers.remove(&name(&metadata));
            }
            feed::Change::Unreadable(_) => {}
        }
        let addresses: BTreeSet<SocketAddr> = peers.values().copied().collect();
        if events.send(Event::Peers(addresses)).await.is_err() {
            return;
        }
    }
}

/// How one kind of object becomes events.
pub(crate) struct Translation<Key, V, View> {
    /// What it goes by.
    pub(crate) key: fn(&ObjectMeta) -> Key,
    /// `None` for objects that are none of our business.
    pub(crate) view: View,
    /// Which event it is.
    pub(crate) wrap: fn(Change<Key, V>) -> Event,
}

impl<Key: Ord, V, View> Translation<Key, V, View> {
    async fn run<K>(self, api: Api<kube::core::DeserializeGuard<K>>, events: Events)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
        View: Fn(&K) -> Option<V>,
    {
        let mut changes = std::pin::pin!(feed(api, watcher::Config::default(), |_| ()));
        while let Some(change) = changes.next().await {
            let Some(event) = self.translate(&change) else { continue };
            if events.send(event).await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn translate<K>(&self, change: &feed::Change<K>) -> Option<Event>
    where
        K: Resource<DynamicType = ()>,
        View: Fn(&K) -> Option<V>,
    {
        let entry = |object: &K| Some(((self.key)(object.meta()), (self.view)(object)?));
        let change = match change {
            feed::Change::Reset { objects, unreadable } => {
                unreadable.iter().for_each(warn::<K>);
                Change::Replace(objects.iter().filter_map(entry).collect())
            }
            feed::Change::Put(object) => match entry(object) {
                Some((key, value)) => Change::Set(key, value),
                None => Change::Remove((self.key)(object.meta())),
            },
            feed::Change::Gone(metadata) => Change::Remove((self.key)(metadata)),
            feed::Change::Unreadable(object) => {
                warn::<K>(object);
                return None;
            }
        };
        Some((self.wrap)(change))
    }
}

fn warn<K: Resource<DynamicType = ()>>(object: &feed::Unreadable) {
    let kind = K::kind(&());
    let (name, error) = (key(&object.metadata), &object.error);
    tracing::warn!(kind = %kind, object = %name, error, "an object cannot be read and is left as it was");
}

/// The name of an object.
pub(crate) fn name(metadata: &ObjectMeta) -> String {
    metadata.name.clone().unwrap_or_default()
}

fn key(metadata: &ObjectMeta) -> ServiceKey {
    ServiceKey::new(metadata.namespace.clone().unwrap_or_default(), name(metadata))
}
