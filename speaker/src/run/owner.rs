//! What the objects belong to that a speaker writes.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Api, Client, Resource as _};

use crate::objects::Pod;

/// The pause before the own pod is asked for again.
const PAUSE: Duration = Duration::from_secs(2);

/// What the status objects shall belong to: the DaemonSet, so that they outlive a pod and are
/// found again by its successor; without one the pod itself, as in MetalLB. `None` where the API
/// server has no such pod, or does not show it: then they belong to nobody, and all else goes on.
pub(super) async fn owner(client: &Client, namespace: &str, pod: &str) -> Option<OwnerReference> {
    if pod.is_empty() {
        return None;
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    loop {
        match pods.get(pod).await {
            Ok(pod) => {
                let owners = pod.metadata.owner_references.iter().flatten();
                let daemon_set = owners.clone().find(|owner| owner.kind == "DaemonSet").cloned();
                let plain = |owner| OwnerReference {
                    controller: None,
                    block_owner_deletion: None,
                    ..owner
                };
                return daemon_set.or_else(|| pod.owner_ref(&())).map(plain);
            }
            Err(error @ kube::Error::Api(_)) => {
                tracing::warn!(%error, "cannot read the own pod: status objects will have no owner");
                return None;
            }
            // The API server is away, so nothing could be written either.
            Err(error) => {
                tracing::debug!(%error, "cannot read the own pod, trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kit::testing::Log;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower_test::mock;

    use super::*;

    /// What `owner` gives when the API server answers like this, one after the other; without an
    /// answer it breaks the connection.
    async fn asked(answers: Vec<Option<(u16, Value)>>) -> Option<OwnerReference> {
        let (service, mut server) = mock::pair::<Request<Body>, Response<Body>>();
        let client = Client::new(service, "default");
        let serve = async {
            for answer in answers {
                let (request, respond) = server.next_request().await.unwrap();
                assert_eq!(request.uri().path(), "/api/v1/namespaces/metallb-system/pods/p");
                match answer {
                    Some((status, body)) => {
                        let body = Body::from(serde_json::to_vec(&body).unwrap());
                        let answer = Response::builder().status(status).body(body);
                        respond.send_response(answer.unwrap());
                    }
                    None => respond.send_error("away"),
                }
            }
        };
        let (owner, ()) = tokio::join!(owner(&client, "metallb-system", "p"), serve);
        owner
    }

    fn pod(owners: &Value) -> Value {
        let metadata = json!({
            "name": "p", "namespace": "metallb-system", "uid": "1", "ownerReferences": owners,
        });
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
    }

    fn refused(code: u16) -> Value {
        json!({"kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": "No"})
    }

    #[tokio::test(start_paused = true)]
    async fn the_daemon_set_goes_before_the_pod() {
        let daemon_set = json!([{
            "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "speaker", "uid": "2",
            "controller": true, "blockOwnerDeletion": true,
        }]);
        let owner = asked(vec![Some((200, pod(&daemon_set)))]).await.unwrap();
        assert_eq!((owner.kind.as_str(), owner.uid.as_str()), ("DaemonSet", "2"));
        assert_eq!((owner.controller, owner.block_owner_deletion), (None, None));
        let owner = asked(vec![Some((200, pod(&json!([]))))]).await.unwrap();
        assert_eq!((owner.kind.as_str(), owner.uid.as_str()), ("Pod", "1"));
    }

    /// MetalLB's speaker ends.
    #[tokio::test(start_paused = true)]
    async fn without_its_own_pod_a_speaker_goes_on_and_objects_belong_to_nobody() {
        let log = Log::collect();
        for code in [403, 404] {
            assert_eq!(asked(vec![Some((code, refused(code)))]).await, None);
            let lines = log.take();
            let line = lines.iter().find(|line| line["level"] == "warn").unwrap();
            let text = "cannot read the own pod: status objects will have no owner";
            assert_eq!(line["msg"], text, "{lines:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_is_away_is_asked_again() {
        let owner = asked(vec![None, None, Some((200, pod(&json!([]))))]).await;
        assert_eq!(owner.unwrap().kind, "Pod");
    }
}
