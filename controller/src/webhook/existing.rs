//! The pools that there are: asked for anew for each review, since two pools that are made one after
//! the other must not both be allowed the same addresses because a watch lags. Where that takes too
//! long or fails, the last that was seen must do.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crds::api::v1beta1::IPAddressPool;
use crds::model::compile::{Kind, Resources, Unreadable};
use futures::StreamExt as _;
use kit::feed::{Change, feed};
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};

/// How long asking may take: half of the time that the API server waits for the review.
const LIMIT: Duration = Duration::from_secs(5);

/// Pools by name; one that cannot be read, with what is wrong with it.
type Pools = BTreeMap<String, Result<IPAddressPool, String>>;

/// The pools, fresh or as last seen.
pub struct Existing {
    client: Client,
    namespace: String,
    seen: Mutex<Option<Pools>>,
}

impl Existing {
    /// Those in `namespace`. To see anything while the API server is away, it must be
    /// [watching](Self::watch).
    pub fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace, seen: Mutex::default() }
    }

    /// What there is; `None` when nobody knows.
    pub async fn now(&self) -> Option<Resources> {
        let api: Api<DeserializeGuard<IPAddressPool>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let error = match tokio::time::timeout(LIMIT, api.list(&ListParams::default())).await {
            Ok(Ok(list)) => {
                let read = |guarded: DeserializeGuard<IPAddressPool>| match guarded.0 {
                    Ok(pool) => (pool.name_any(), Ok(pool)),
                    Err(bad) => (bad.metadata.name.unwrap_or_default(), Err(bad.error)),
                };
                return Some(resources(list.items.into_iter().map(read).collect()));
            }
            Ok(Err(error)) => kit::client::brief(&error),
            Err(_) => "timeout".to_owned(),
        };
        tracing::warn!(error, "pools not listed for a review: taking those last seen");
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.map(resources)
    }

    /// Keeps up with what there is, for ever.
    pub async fn watch(&self) {
        let api = Api::namespaced(self.client.clone(), &self.namespace);
        let changes = feed(api, watcher::Config::default(), |_: &mut IPAddressPool| ());
        let mut changes = pin!(changes);
        while let Some(change) = changes.next().await {
            take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner), change);
        }
    }
}

fn take(seen: &mut Option<Pools>, change: Change<IPAddressPool>) {
    let pools = seen.get_or_insert_default();
    match change {
        Change::Reset { objects, unreadable } => {
            let read = objects.into_iter().map(|pool| (pool.name_any(), Ok(pool)));
            let odd = unreadable.into_iter();
            let odd = odd.map(|bad| (bad.metadata.name.unwrap_or_default(), Err(bad.error)));
            *pools = read.chain(odd).collect();
        }
        Change::Put(pool) => {
            pools.insert(pool.name_any(), Ok(pool));
        }
        Change::Gone(metadata) => {
            pools.remove(&metadata.name.unwrap_or_default());
        }
        Change::Unreadable(bad) => {
            pools.insert(bad.metadata.name.unwrap_or_default(), Err(bad.error));
        }
    }
}

fn resources(pools: Pools) -> Resources {
    let mut resources = Resources::default();
    for (name, pool) in pools {
        match pool {
            Ok(pool) => resources.pools.push(pool),
            Err(error) => {
                let kind = Kind::IpAddressPool;
                resources.unreadable.push(Unreadable { kind, name, error });
            }
        }
    }
    resources
}

#[cfg(test)]
mod tests {
    use kit::feed;

    use super::*;

    fn pool(name: &str) -> IPAddressPool {
        IPAddressPool::new(
            name,
            serde_json::from_value(serde_json::json!({"addresses": []})).unwrap(),
        )
    }

    #[test]
    fn what_is_seen_follows_the_changes() {
        let mut seen = None;
        let odd = |name: &str| feed::Unreadable {
            metadata: Box::new(pool(name).metadata),
            error: "spec: expected a map".to_owned(),
        };
        let listed =
            Change::Reset { objects: vec![pool("a"), pool("b")], unreadable: vec![odd("c")] };
        take(&mut seen, listed);
        take(&mut seen, Change::Gone(Box::new(pool("a").metadata)));
        take(&mut seen, Change::Unreadable(odd("b")));
        take(&mut seen, Change::Put(pool("c")));
        let resources = resources(seen.unwrap());
        assert_eq!(resources.pools.iter().map(IPAddressPool::name_any).collect::<Vec<_>>(), ["c"]);
        assert_eq!(resources.unreadable.len(), 1);
        assert_eq!(resources.unreadable[0].name, "b");
    }
}
