//! Objects that only matter to BGP and are there already: who took over from MetalLB is told once, in
//! the log, that they are without effect. Those that come later are told of when they are applied.

use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client};

/// Kind, plural and version.
const KINDS: [[&str; 3]; 4] = [
    ["BGPPeer", "bgppeers", "v1beta2"],
    ["BGPAdvertisement", "bgpadvertisements", "v1beta1"],
    ["BFDProfile", "bfdprofiles", "v1beta1"],
    ["Community", "communities", "v1beta1"],
];

/// How long to wait after the first failure, and at most.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_LIMIT: Duration = Duration::from_mins(1);

/// Says in the log how many there are in `namespace`, if there are any.
pub async fn tell(client: Client, namespace: String) {
    let mut wait = RETRY;
    loop {
        match counts(&client, &namespace).await {
            Ok(counts) => {
                if let Some(objects) = text(&counts) {
                    tracing::warn!(objects, "ferrolb does not do BGP: these are kept and ignored");
                }
                return;
            }
            Err(error) => {
                let error = kit::client::brief(&error);
                tracing::debug!(error, "cannot look for objects about BGP, trying again");
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_LIMIT);
    }
}

async fn counts(
    client: &Client,
    namespace: &str,
) -> Result<Vec<(&'static str, usize)>, kube::Error> {
    let mut counts = Vec::new();
    for [kind, plural, version] in KINDS {
        let kind_of = GroupVersionKind::gvk(crds::names::GROUP, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&kind_of, plural);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        match api.list_metadata(&ListParams::default()).await {
            Ok(list) => counts.push((kind, list.items.len())),
            // The kind is not defined here.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(counts)
}

/// As `2 BGPPeer, 1 Community`; `None` when there is nothing.
fn text(counts: &[(&str, usize)]) -> Option<String> {
    let some = counts.iter().filter(|(_, count)| *count > 0);
    let parts: Vec<String> = some.map(|(kind, count)| format!("{count} {kind}")).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_is_told_of() {
        assert_eq!(text(&[("BGPPeer", 0), ("Community", 0)]), None);
        let told = text(&[("BGPPeer", 2), ("BFDProfile", 0), ("Community", 1)]);
        assert_eq!(told.as_deref(), Some("2 BGPPeer, 1 Community"));
    }
}
