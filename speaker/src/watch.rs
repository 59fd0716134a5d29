//! The watches: what the API server says, handed to the engine as facts. One task per kind of
//! object; each goes on for ever, and none decides anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::SocketAddr;

use crds::model::ids::{NodeName, ServiceKey};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kit::feed::{self, feed};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::engine::{Change, Event};
use crate::view;

pub mod config;

/// Where events go.
pub type Events = mpsc::Sender<Event>;

/// Watches all Services and tells of those that are ours to announce.
pub async fn services(client: Client, class: Option<String>, events: Events) {
    let translate = Translation {
        strip: |_: &mut Service| (),
        key,
        view: move |object: &Service| view::service(object, class.as_deref()),
        wrap: Event::Services,
    };
    translate.run(Api::all(client), events).await;
}

/// Watches all EndpointSlices.
pub async fn slices(client: Client, events: Events) {
    let translate = Translation {
        strip: |object: &mut EndpointSlice| object.ports = None,
        key,
        view: view::slice,
        wrap: Event::Slices,
    };
    translate.run(Api::all(client), events).await;
}

/// Watches all Nodes.
pub async fn nodes(client: Client, events: Events) {
    let translate = Translation {
        strip: |object: &mut Node| object.spec = None,
        key: |metadata: &ObjectMeta| NodeName::from(name(metadata)),
        view: |object: &Node| Some(view::node(object)),
        wrap: Event::Nodes,
    };
    translate.run(Api::all(client), events).await;
}

/// Watches the speaker pods, those in `namespace` with `labels`, for the addresses of the mesh.
pub async fn peers(client: Client, namespace: String, labels: String, port: u16, events: Events) {
    let api = Api::namespaced(client, &namespace);
    let config = watcher::Config::default().labels(&labels);
    let mut changes = std::pin::pin!(feed(api, config, |pod: &mut Pod| pod.spec = None));
    let mut peers: BTreeMap<String, SocketAddr> = BTreeMap::new();
    while let Some(change) = changes.next().await {
        match change {
            feed::Change::Reset {
                objects,
                unreadable: _,
            } => {
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
struct Translation<K, Key, V, View: Fn(&K) -> Option<V>> {
    strip: fn(&mut K),
    key: fn(&ObjectMeta) -> Key,
    /// `None` for objects that are none of our business.
    view: View,
    wrap: fn(Change<Key, V>) -> Event,
}

impl<K, Key, V, View> Translation<K, Key, V, View>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    Key: Ord,
    View: Fn(&K) -> Option<V>,
{
    async fn run(self, api: Api<kube::core::DeserializeGuard<K>>, events: Events) {
        let mut changes = std::pin::pin!(feed(api, watcher::Config::default(), self.strip));
        while let Some(change) = changes.next().await {
            let Some(change) = self.translate(change) else {
                continue;
            };
            if events.send((self.wrap)(change)).await.is_err() {
                return;
            }
        }
    }

    fn translate(&self, change: feed::Change<K>) -> Option<Change<Key, V>> {
        let entry = |object: &K| Some(((self.key)(object.meta()), (self.view)(object)?));
        match change {
            feed::Change::Reset {
                objects,
                unreadable,
            } => {
                unreadable.iter().for_each(warn::<K>);
                Some(Change::Replace(objects.iter().filter_map(entry).collect()))
            }
            feed::Change::Put(object) => Some(match entry(&object) {
                Some((key, value)) => Change::Set(key, value),
                None => Change::Remove((self.key)(object.meta())),
            }),
            feed::Change::Gone(metadata) => Some(Change::Remove((self.key)(&metadata))),
            feed::Change::Unreadable(object) => {
                warn::<K>(&object);
                None
            }
        }
    }
}

fn warn<K: Resource<DynamicType = ()>>(object: &feed::Unreadable) {
    let kind = K::kind(&());
    let (name, error) = (key(&object.metadata), &object.error);
    tracing::warn!(kind = %kind, object = %name, error, "an object cannot be read and is left as it was");
}

fn name(metadata: &ObjectMeta) -> String {
    metadata.name.clone().unwrap_or_default()
}

fn key(metadata: &ObjectMeta) -> ServiceKey {
    ServiceKey::new(
        metadata.namespace.clone().unwrap_or_default(),
        name(metadata),
    )
}
