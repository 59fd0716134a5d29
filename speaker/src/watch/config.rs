//! Watches pools and advertisements, and compiles them into the configuration in force.

use std::collections::BTreeMap;

use crds::api::v1beta1::{IPAddressPool, L2Advertisement};
use crds::model::compile::{Compiled, Config, Problem, Resources, compile};
use futures::StreamExt as _;
use kit::feed::{Change, feed};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::sync::watch;

use super::{Events, name, warn};
use crate::engine::Event;
use crate::metrics::ConfigGauges;

/// Objects by name; `None` until they were listed for the first time.
type Objects<K> = Option<BTreeMap<String, K>>;

/// Watches the configuration in `namespace` and hands every new one to `events`, and what is wrong
/// with it to `problems`.
pub async fn watch(
    client: Client,
    namespace: String,
    gauges: ConfigGauges,
    problems: watch::Sender<Option<Vec<Problem>>>,
    events: Events,
) {
    let config = watcher::Config::default;
    let pools =
        feed(Api::namespaced(client.clone(), &namespace), config(), |_: &mut IPAddressPool| ());
    let advertisements =
        feed(Api::namespaced(client, &namespace), config(), |_: &mut L2Advertisement| ());
    let (mut pools, mut advertisements) = (std::pin::pin!(pools), std::pin::pin!(advertisements));
    let (mut known_pools, mut known_advertisements) = (None, None);
    let mut last = Compiled::default();
    loop {
        tokio::select! {
            Some(change) = pools.next() => take(&mut known_pools, change),
            Some(change) = advertisements.next() => take(&mut known_advertisements, change),
            else => return,
        }
        let (Some(pools), Some(advertisements)) = (&known_pools, &known_advertisements) else {
            continue;
        };
        let next = judge(pools, advertisements, &last.config);
        tell(&next.problems, &last.problems);
        gauges.set(next.problems.is_empty());
        // Told only where it differs; nobody listens when the process is ending.
        problems.send_if_modified(|known| {
            let is_new = known.as_ref() != Some(&next.problems);
            if is_new {
                *known = Some(next.problems.clone());
            }
            is_new
        });
        last.clone_from(&next);
        if events.send(Event::Config(next.config)).await.is_err() {
            return;
        }
    }
}

fn judge(
    pools: &BTreeMap<String, IPAddressPool>,
    advertisements: &BTreeMap<String, L2Advertisement>,
    last: &Config,
) -> Compiled {
    let resources = Resources {
        pools: pools.values().cloned().collect(),
        advertisements: advertisements.values().cloned().collect(),
        // Namespaces only say who may draw from a pool, which is the controller's business.
        ..Resources::default()
    };
    compile(&resources, last)
}

fn take<K: Resource<DynamicType = ()>>(objects: &mut Objects<K>, change: Change<K>) {
    let entry = |object: K| (name(object.meta()), object);
    match change {
        Change::Reset { objects: listed, unreadable } => {
            let mut fresh: BTreeMap<String, K> = listed.into_iter().map(entry).collect();
            // One that cannot be read any more stays as it was.
            for object in &unreadable {
                warn::<K>(object);
                let name = name(&object.metadata);
                if let Some(kept) = objects.as_mut().and_then(|objects| objects.remove(&name)) {
                    fresh.insert(name, kept);
                }
            }
            *objects = Some(fresh);
        }
        Change::Put(object) => objects.get_or_insert_default().extend([entry(object)]),
        Change::Gone(metadata) => {
            objects.get_or_insert_default().remove(&name(&metadata));
        }
        Change::Unreadable(object) => warn::<K>(&object),
    }
}

/// Logs what is newly wrong, and once that all is well again.
fn tell(problems: &[Problem], before: &[Problem]) {
    for problem in problems.iter().filter(|problem| !before.contains(problem)) {
        let reason = problem.cause.reason();
        tracing::error!(error = %problem, reason, "failed to parse the configuration");
    }
    if problems.is_empty() && !before.is_empty() {
        tracing::info!(event = "config reloaded", "the configuration is valid again");
    }
}

#[cfg(test)]
mod tests {
    use kit::testing::Log;
    use serde_json::json;

    use super::*;

    #[test]
    fn bad_configuration_is_logged_once_by_the_text_that_metallb_documents() {
        let pool = |addresses: &str| {
            let spec = json!({"addresses": [addresses]});
            let pool = IPAddressPool::new("p", serde_json::from_value(spec).unwrap());
            BTreeMap::from([("p".to_owned(), pool)])
        };
        let judged = |addresses| judge(&pool(addresses), &BTreeMap::new(), &Config::default());
        let (bad, good) = (judged("oops").problems, judged("10.0.0.0/24").problems);
        let error = bad[0].to_string();
        assert!(error.contains("invalid CIDR \"oops\" in pool \"p\""), "{error}");
        let log = Log::collect();
        tell(&bad, &[]);
        tell(&bad, &bad);
        tell(&good, &bad);
        tell(&good, &good);
        let lines = [
            json!({
                "level": "error", "error": error, "reason": "invalidRange",
                "msg": "failed to parse the configuration",
            }),
            json!({
                "level": "info", "event": "config reloaded",
                "msg": "the configuration is valid again",
            }),
        ];
        assert_eq!(log.take(), lines);
    }
}
