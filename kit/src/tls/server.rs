//! The server: accepts connections, greets them with TLS, speaks HTTP/1.1 on them. Clients are not
//! trusted: there is a bound on how many there are, and on how long each may take for anything.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::admin::Error;

/// Connections at one time. More wait in the kernel's queue.
const CONNECTIONS: usize = 128;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a client may take for the head of a request, and do nothing between two.
const IDLE: Duration = Duration::from_secs(30);

/// How long a connection may last. Clients come again; those that never read or never finish give
/// their place away.
const LIFETIME: Duration = Duration::from_mins(10);

/// How long a connection that is told to end may take for the answer it is at.
const GRACE: Duration = Duration::from_secs(5);

/// The pause after an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves `routes` over TLS on `address` until `stop`, and then ends what is under way: it returns
/// when the last connection has ended, within seconds. Dropped, it ends them at once.
///
/// # Errors
/// [`Error::Bind`] when the address is taken.
pub async fn serve(
    address: SocketAddr,
    routes: Router,
    config: Arc<ServerConfig>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| Error::Bind { address, source })?;
    serve_on(listener, routes, config, stop).await;
    Ok(())
}

/// The same, on a socket that listens already: for who must know when it does.
pub async fn serve_on(
    listener: TcpListener,
    routes: Router,
    config: Arc<ServerConfig>,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(config);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < CONNECTIONS => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let greeted = greet(acceptor.clone(), stream);
                connections.spawn(talk(greeted, routes.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep(PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

type Stream = tokio_rustls::server::TlsStream<TcpStream>;

/// The handshake. What comes of a bad one is the client's to find out.
async fn greet(acceptor: TlsAcceptor, stream: TcpStream) -> Option<Stream> {
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_too_late) => {
            tracing::debug!("a TLS handshake was not finished in time");
            None
        }
    }
}

async fn talk(
    greeted: impl Future<Output = Option<Stream>>,
    routes: Router,
    stop: CancellationToken,
) {
    let stream = tokio::select! {
        () = stop.cancelled() => return,
        greeted = greeted => greeted,
    };
    let Some(stream) = stream else { return };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { tokio::select! { () = stop.cancelled() => {}, () = sleep(LIFETIME) => {} } } => {
            connection.as_mut().graceful_shutdown();
            timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
