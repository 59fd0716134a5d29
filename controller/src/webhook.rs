//! The admission webhook: the API server asks, before an object of ours is made or changed, whether it
//! may be. Every replica answers, whether it holds the lease or not, and so do both containers of each:
//! the API server asks once, and where one has died the other is there (decision 0012).
//!
//! ```text
//!   API server -> serve -> question -> review (pure) -> answer
//!                             existing pools ^
//!   Secret, caBundles -> keeper -> certs::rotation (pure) -> Secret, caBundles, certificate served
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kit::admin;
use kit::tls::{self, Certificate, ConfigError};
use kube::Client;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use crate::metrics::webhook::Metrics;
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
    /// Where it listens.
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
    /// The server ended, or never was.
    #[error("webhook: {0}")]
    Server(#[from] admin::Error),
    /// The settings make no server.
    #[error("webhook: {0}")]
    Tls(#[from] ConfigError),
}

/// How many connections wait at most until they are taken.
const BACKLOG: u32 = 1024;

/// Listens on `address`, together with the others of this user in the pod that do. The kernel gives each
/// connection to one of them, and to those that are left once one is gone (SO_REUSEPORT, socket(7)).
fn listen(address: SocketAddr) -> Result<TcpListener, admin::Error> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| admin::Error::Bind { address, source })
}

/// Serves reviews of the objects in `namespace` until `stop`. `ready` is told when it does.
///
/// # Errors
/// [`Error`] when it cannot be served.
pub async fn run(
    client: Client,
    namespace: String,
    settings: Settings,
    (metrics, ready): (Metrics, Arc<Ready>),
    stop: CancellationToken,
) -> Result<(), Error> {
    let certificate = Arc::new(Certificate::default());
    let config = settings.tls.server_config(Arc::clone(&certificate), &[tls::HTTP_1])?;
    let there = CancellationToken::new();
    let certificate_until = metrics.certificate_until.clone();
    let used = |until: certs::Wall| {
        certificate_until.set(until);
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
        metrics,
    });
    let serve = async {
        // A server without a certificate would fail every review; one that is not there is not asked.
        tokio::select! {
            () = there.cancelled() => {}
            () = stop.cancelled() => return Ok(()),
        }
        let listener = listen(settings.address)?;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn where_one_has_died_the_other_gets_every_connection() {
        let one = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = one.local_addr().unwrap();
        let other = listen(address).unwrap();
        drop(one);
        for _ in 0..50 {
            let (made, taken) = tokio::join!(
                timeout(SOON, TcpStream::connect(address)),
                timeout(SOON, other.accept())
            );
            made.unwrap().unwrap();
            taken.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_port_that_another_program_has_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(address).unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
