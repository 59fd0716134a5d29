//! The few requests to the API server that the commands make.

use std::time::Duration;

use crds::api::v1alpha1::Speaker;
use crds::api::v1beta1::ServiceL2Status;
use crds::names::l2_status;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use serde_json::Value;

use super::Error;
use crate::args;
use crate::drain::Seen;

/// A request that takes longer has failed, and is made again.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cluster, and ferrolb's namespace in it.
pub(super) struct Cluster {
    client: Client,
    pub(super) namespace: String,
}

impl Cluster {
    /// The cluster that kubectl would talk to.
    pub(super) async fn connect(args: &args::Cluster) -> Result<Self, Error> {
        // It fails only if there is a provider already, and then TLS works.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options =
            KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
        let mut config = Config::from_kubeconfig(&options).await.map_err(Error::Kubeconfig)?;
        config.connect_timeout = Some(PATIENCE);
        config.read_timeout = Some(PATIENCE);
        let client = Client::try_from(config).map_err(|error| failed("make a client", &error))?;
        Ok(Self { client, namespace: args.namespace.clone() })
    }

    /// Changes the Node, which must be there.
    pub(super) async fn patch_node(&self, node: &str, patch: &Value) -> Result<(), Error> {
        let api: Api<Node> = Api::all(self.client.clone());
        let params = PatchParams {
            field_manager: Some("kubectl-ferrolb".to_owned()),
            ..PatchParams::default()
        };
        match api.patch_metadata(node, &params, &Patch::Merge(patch)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => {
                Err(Error::NoNode(node.to_owned()))
            }
            Err(error) => Err(failed(&format!("change the Node {node}"), &error)),
        }
    }

    /// Fails unless there is such a node.
    pub(super) async fn ensure_node(&self, node: &str) -> Result<(), Error> {
        let api: Api<Node> = Api::all(self.client.clone());
        let found = api.get_metadata_opt(node).await;
        let found = found.map_err(|error| failed(&format!("read the Node {node}"), &error))?;
        found.map(drop).ok_or_else(|| Error::NoNode(node.to_owned()))
    }

    /// How the node stands.
    pub(super) async fn look(&self, node: &str) -> Result<Seen, Error> {
        let api: Api<Speaker> = Api::namespaced(self.client.clone(), &self.namespace);
        let speaker = api.get_opt(node).await;
        let speaker =
            speaker.map_err(|error| failed(&format!("read the Speaker {node}"), &error))?;
        let Some(speaker) = speaker else {
            return Err(Error::NoSpeaker {
                node: node.to_owned(),
                namespace: self.namespace.clone(),
            });
        };
        let api: Api<ServiceL2Status> = Api::namespaced(self.client.clone(), &self.namespace);
        let of_node = ListParams::default().labels(&format!("{}={node}", l2_status::NODE));
        let records = api.list_metadata(&of_node).await;
        let records = records.map_err(|error| failed("list ServiceL2Statuses", &error))?;
        let service = |labels: &std::collections::BTreeMap<String, String>| {
            let namespace = labels.get(l2_status::SERVICE_NAMESPACE)?;
            Some(format!("{namespace}/{}", labels.get(l2_status::SERVICE_NAME)?))
        };
        let labels = records.iter().filter_map(|record| record.metadata.labels.as_ref());
        let mut services: Vec<String> = labels.filter_map(service).collect();
        services.sort();
        services.dedup();
        Ok(Seen { status: speaker.status.unwrap_or_default(), services })
    }
}

/// What the API server said, without the whole of its answer.
fn failed(what: &str, error: &kube::Error) -> Error {
    let why = match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    };
    Error::Api { what: what.to_owned(), why }
}
