//! The Secret with the speakers' common key: made at the start when it is not there, as MetalLB's
//! controller does. One that is there stays as it is, whoever made it; its key is never read.

use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

/// Where speakers look in the Secret.
const FIELD: &str = "secretkey";

/// How long to wait after the first failure, and at most.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_LIMIT: Duration = Duration::from_mins(1);

/// The Secret that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its namespace, and the Deployment's.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Deployment with which it goes; empty: it stays when the controller goes.
    pub deployment: String,
}

impl Wanted {
    /// What the arguments ask for; `None` when they name no Secret.
    pub fn new(namespace: &str, name: &str, deployment: &str) -> Option<Self> {
        let [namespace, name, deployment] = [namespace, name, deployment].map(str::to_owned);
        (!name.is_empty()).then_some(Self { namespace, name, deployment })
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Made,
    Present,
}

/// Sees to it that the Secret is there, as long as that takes, and then waits for `stop`.
pub async fn provide(client: Client, wanted: Wanted, stop: CancellationToken) {
    let make = async {
        let mut wait = RETRY;
        loop {
            match make(&client, &wanted, rand::random()).await {
                Ok(Outcome::Made) => {
                    tracing::info!(secret = wanted.name, "made the speakers' common key");
                    break;
                }
                Ok(Outcome::Present) => break,
                Err(error) => {
                    let error = kit::client::brief(&error);
                    tracing::warn!(secret = wanted.name, error, "cannot make the speakers' key");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_LIMIT);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = make => {}
    }
}

async fn make(client: &Client, wanted: &Wanted, key: [u8; 32]) -> Result<Outcome, kube::Error> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &wanted.namespace);
    let owner = match wanted.deployment.as_str() {
        "" => None,
        name => deployments.get_opt(name).await?,
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &wanted.namespace);
    let secret = secret(wanted, owner.as_ref(), key);
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(Outcome::Made),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Outcome::Present),
        Err(error) => Err(error),
    }
}

fn secret(wanted: &Wanted, owner: Option<&Deployment>, key: [u8; 32]) -> Secret {
    let mut text = String::with_capacity(2 * key.len());
    for byte in key {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    let owner = owner.and_then(|deployment| {
        Some(OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: deployment.metadata.name.clone()?,
            uid: deployment.metadata.uid.clone()?,
            ..OwnerReference::default()
        })
    });
    Secret {
        metadata: ObjectMeta {
            name: Some(wanted.name.clone()),
            namespace: Some(wanted.namespace.clone()),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some([(FIELD.to_owned(), ByteString(text.into_bytes()))].into()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response, StatusCode};
    use http_body_util::BodyExt as _;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            namespace: "metallb-system".to_owned(),
            name: "memberlist".to_owned(),
            deployment: "controller".to_owned(),
        }
    }

    /// Makes the Secret against an API server that answers what it is told to.
    async fn asked(create: StatusCode) -> (Result<Outcome, kube::Error>, Value) {
        let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let client = Client::new(service, "metallb-system");
        let wanted = wanted();
        let server = async {
            let (request, respond) = handle.next_request().await.unwrap();
            assert!(request.uri().path().ends_with("/metallb-system/deployments/controller"));
            let deployment = json!({ "metadata": { "name": "controller", "uid": "u-1" } });
            respond.send_response(answer(StatusCode::OK, &deployment));
            let (request, respond) = handle.next_request().await.unwrap();
            assert!(request.uri().path().ends_with("/metallb-system/secrets"));
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let said = if create.is_success() {
                body.clone()
            } else {
                json!({ "status": "Failure", "message": "no", "reason": "", "code": create.as_u16() })
            };
            respond.send_response(answer(create, &said));
            body
        };
        tokio::join!(make(&client, &wanted, [0xab; 32]), server)
    }

    fn answer(status: StatusCode, body: &Value) -> Response<Body> {
        let body = Body::from(body.to_string().into_bytes());
        Response::builder().status(status).body(body).unwrap()
    }

    #[tokio::test]
    async fn a_missing_secret_is_made_and_goes_with_the_deployment() {
        let (outcome, secret) = asked(StatusCode::CREATED).await;
        assert_eq!(outcome.unwrap(), Outcome::Made);
        assert_eq!(secret["metadata"]["name"], "memberlist");
        let owner = &secret["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["kind"], &owner["uid"]), (&json!("Deployment"), &json!("u-1")));
        let made: Secret = serde_json::from_value(secret).unwrap();
        assert_eq!(made.data.unwrap()[FIELD].0, "ab".repeat(32).into_bytes());
    }

    #[tokio::test]
    async fn one_that_is_there_stays() {
        assert_eq!(asked(StatusCode::CONFLICT).await.0.unwrap(), Outcome::Present);
    }

    #[tokio::test]
    async fn a_refusal_is_an_error_to_try_again_after() {
        assert!(asked(StatusCode::FORBIDDEN).await.0.is_err());
    }
}
