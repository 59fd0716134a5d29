//! `/metrics` as MetalLB serves it: over TLS, to those whom the cluster lets `get` it.
//!
//! ```text
//!   request ──▶ TLS ──▶ guard: token? ──▶ access (pure): what is known of the token
//!               ▲                            │ nothing, or too old
//!   tls::follow: its files                 ▼
//!                                         review: TokenReview, SubjectAccessReview
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use kube::Client;
use prometheus::{Encoder as _, Registry, TextEncoder};
use tokio_util::sync::CancellationToken;

use crate::process::Process;
use crate::{admin, tls};

mod access;
mod flags;
mod guard;
mod review;

pub use flags::Flags;
use guard::{Guard, Outcome};

/// How metrics are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where.
    pub address: SocketAddr,
    /// The folder with `tls.crt` and `tls.key`; `None`: a certificate for localhost, made at the
    /// start.
    pub cert_dir: Option<PathBuf>,
    /// What of TLS is offered.
    pub tls: tls::Settings,
}

/// Why metrics are not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error(transparent)]
    Server(#[from] admin::Error),
    /// The settings of TLS make no server.
    #[error("metrics: {0}")]
    Settings(#[from] tls::ConfigError),
    /// No certificate could be made.
    #[error("metrics: cannot make a certificate: {0}")]
    SelfSigned(#[from] rcgen::Error),
    /// The certificate that was made cannot be used.
    #[error("metrics: {0}")]
    Certificate(#[from] tls::CertificateError),
    /// A series of the server's own is registered already.
    #[error("metrics: {0}")]
    Registry(#[from] prometheus::Error),
}

/// Serves what is in `registry`, its own count of requests, and what the process uses, until `stop`.
/// Whom to serve, the API server is asked by `client`; it may be away.
///
/// # Errors
/// [`Error`] when the address is taken, or the settings cannot be served with. A certificate that is
/// missing from its folder, or broken, is none: it is waited for.
pub async fn serve(
    config: Config,
    registry: Registry,
    client: Client,
    stop: CancellationToken,
) -> Result<(), Error> {
    let Config { address, cert_dir, tls } = config;
    let certificate = Arc::new(tls::Certificate::default());
    let tls = tls.server_config(Arc::clone(&certificate), &[tls::HTTP_1])?;
    let guard = guard(client, &registry)?;
    let server = tls::serve(address, routes(registry, guard), Arc::new(tls), stop);
    if let Some(folder) = cert_dir {
        tokio::select! {
            ended = server => Ok(ended?),
            never = tls::follow(&folder, &certificate, "metrics", |_| ()) => match never {},
        }
    } else {
        let (cert, key) = tls::self_signed(&["localhost"])?;
        certificate.replace(cert.as_bytes(), key.as_bytes())?;
        Ok(server.await?)
    }
}

/// Who is let in. Adds to `registry` what is the same in both programs.
fn guard(client: Client, registry: &Registry) -> Result<Arc<Guard>, prometheus::Error> {
    registry.register(Box::new(Process::new()?))?;
    Ok(Arc::new(Guard::new(client, registry)?))
}

fn routes(registry: Registry, guard: Arc<Guard>) -> Router {
    let answer = move |headers: HeaderMap| {
        let (registry, guard) = (registry.clone(), Arc::clone(&guard));
        async move {
            match guard.judge(&headers).await {
                Outcome::Served => render(&registry),
                Outcome::Unauthenticated => {
                    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
                    (StatusCode::UNAUTHORIZED, challenge, "Unauthorized\n").into_response()
                }
                Outcome::Forbidden => (StatusCode::FORBIDDEN, "Forbidden\n").into_response(),
                Outcome::Unknown => {
                    let text = "the API server cannot be asked who you are\n";
                    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
                }
            }
        }
    };
    Router::new().route("/metrics", get(answer))
}

/// Everything in `registry`, in Prometheus' text format.
fn render(registry: &Registry) -> Response {
    let mut body = Vec::new();
    match TextEncoder::new().encode(&registry.gather(), &mut body) {
        Ok(()) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests;
