//! The admission webhook: the API server asks, before an object of ours is made or changed, whether it
//! may be. Every replica answers, whether it holds the lease or not.
//!
//! ```text
//!   API server -> serve -> question -> review (pure) -> answer
//!                             existing pools ^
//!   Secret, caBundles -> keeper -> certs::rotation (pure) -> Secret, caBundles, certificate served
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kit::tls::{self, Certificate, ConfigError};
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::ready::Ready;

pub mod certs;
pub mod convert;
pub mod existing;
pub mod flags;
pub mod inject;
pub mod keeper;
pub mod question;
pub mod review;
pub mod serve;

use existing::Existing;
use serve::Reviewer;

/// How the webhook is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens; whoever supervises the process sees to that.
    pub address: SocketAddr,
    /// What of TLS it offers.
    pub tls: tls::Settings,
    /// Where its certificate comes from.
    pub source: Source,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Made and renewed here, and trust in it published.
    Kept(keeper::Settings),
    /// Two files in a folder; somebody else makes them, and publishes the trust in them.
    Folder(PathBuf),
}

/// Why it is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket cannot be waited for.
    #[error("webhook: {0}")]
    Socket(#[from] std::io::Error),
    /// The settings make no server.
    #[error("webhook: {0}")]
    Tls(#[from] ConfigError),
}

/// Serves reviews of the objects in `namespace` on `socket`, which listens and does not block, until
/// `stop`. `ready` is told when it does.
///
/// # Errors
/// [`Error`] when it cannot be served.
pub async fn run(
    client: Client,
    namespace: String,
    (settings, socket): (Settings, std::net::TcpListener),
    (metrics, ready): (Arc<Metrics>, Arc<Ready>),
    stop: CancellationToken,
) -> Result<(), Error> {
    let certificate = Arc::new(Certificate::default());
    let config = settings.tls.server_config(Arc::clone(&certificate), &[tls::HTTP_1])?;
    let there = CancellationToken::new();
    let used = |until: certs::Wall| {
        metrics.webhook_certificate_until.set(until);
        there.cancel();
    };
    let keep = async {
        match settings.source {
            Source::Kept(kept) => {
                keeper::keep(client.clone(), kept, &certificate, used, stop.clone()).await;
            }
            Source::Folder(folder) => {
                let taken = |text: &[u8]| {
                    used(certs::bundle::read(text).first().map_or(0, |own| own.until));
                };
                match tls::follow(&folder, &certificate, "webhook", taken).await {}
            }
        }
    };
    let reviewer = Arc::new(Reviewer {
        existing: Existing::new(client.clone(), namespace.clone()),
        home: namespace,
        metrics: Arc::clone(&metrics),
    });
    let serve = async {
        // A server without a certificate would fail every review; they wait in the socket's queue.
        tokio::select! {
            () = there.cancelled() => {}
            () = stop.cancelled() => return Ok(()),
        }
        let listener = TcpListener::from_std(socket)?;
        ready.webhook(None);
        tracing::info!(address = %settings.address, "webhook served");
        tls::serve_on(listener, serve::routes(&reviewer), Arc::new(config), stop.clone()).await;
        Ok(())
    };
    // The other two never end before `stop`, and then it is the server that matters.
    let beside = async {
        tokio::join!(keep, reviewer.existing.watch());
        std::future::pending().await
    };
    tokio::select! {
        ended = serve => ended,
        never = beside => never,
    }
}
