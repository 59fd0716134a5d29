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
    use http::{Request, Response};
    use kit::testing::Log;
    use kube::client::Body;
    use serde_json::json;
    use tower_test::mock;

    use super::*;

    #[tokio::test]
    async fn what_metallb_left_about_bgp_is_told_of_in_the_log_and_not_touched() {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let log = Log::collect();
        let telling = tokio::spawn(tell(Client::new(service, "ns"), "ns".to_owned()));
        let mut asked = Vec::new();
        for found in [2, 0, 0, 1] {
            let (request, send) = handle.next_request().await.unwrap();
            asked.push(format!("{} {}", request.method(), request.uri().path()));
            let item = json!({"metadata": {"name": "x"}});
            let list = json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                "metadata": {}, "items": vec![item; found],
            });
            send.send_response(Response::new(Body::from(list.to_string().into_bytes())));
        }
        telling.await.unwrap();
        let path = |rest| format!("GET /apis/metallb.io/{rest}");
        let expected = [
            path("v1beta2/namespaces/ns/bgppeers"),
            path("v1beta1/namespaces/ns/bgpadvertisements"),
            path("v1beta1/namespaces/ns/bfdprofiles"),
            path("v1beta1/namespaces/ns/communities"),
        ];
        assert_eq!(asked, expected);
        assert!(handle.next_request().await.is_none(), "nothing else is asked or written");
        let lines = log.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["level"], "warn");
        assert_eq!(lines[0]["objects"], "2 BGPPeer, 1 Community");
    }

    #[test]
    fn only_what_is_there_is_told_of() {
        assert_eq!(text(&[("BGPPeer", 0), ("Community", 0)]), None);
        let told = text(&[("BGPPeer", 2), ("BFDProfile", 0), ("Community", 1)]);
        assert_eq!(told.as_deref(), Some("2 BGPPeer, 1 Community"));
    }
}
