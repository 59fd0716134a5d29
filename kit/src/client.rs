//! The way to the API server.

use kube::Client;
use kube::config::{Config, KubeConfigOptions};

mod liveness;

pub use liveness::client;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// In a pod, but its service account cannot be used.
    #[error("in-cluster configuration: {0}")]
    InCluster(#[source] kube::config::InClusterError),
    /// Not in a pod, and no usable kubeconfig either.
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    /// The configuration names something the client cannot do.
    #[error("client: {0}")]
    Client(#[source] kube::Error),
}

/// Makes ring the provider of all TLS in this process. To be called once, first thing in `main`;
/// a second call changes nothing.
pub fn install_crypto() {
    // It fails only if a provider is installed already, and then TLS works.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// In a pod: the service account, and the API server by the address in the environment, since an
/// image made of one binary has nothing to resolve names with. Elsewhere: the kubeconfig. Dead
/// connections are noticed, see [`client`].
///
/// # Errors
/// [`Error`] when neither can be used.
pub async fn connect() -> Result<Client, Error> {
    let config = if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        Config::incluster_env().map_err(Error::InCluster)?
    } else {
        let options = KubeConfigOptions::default();
        let read = Config::from_kubeconfig(&options).await;
        read.map_err(Error::Kubeconfig)?
    };
    client(config).map_err(Error::Client)
}

/// The namespace of the pod this process runs in; `None` outside a pod.
pub fn pod_namespace() -> Option<String> {
    let mounted =
        std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace");
    mounted.ok().map(|text| text.trim().to_owned()).filter(|name| !name.is_empty())
}

/// `error` in one line for logs: what the API server said, without the whole of its answer.
pub fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}
