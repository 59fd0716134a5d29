//! The server for health. It tells what it is given and decides nothing.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Why a server is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It ended.
    #[error("server on {address} ended: {source}")]
    Serve {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// What a health question is answered with: well, or what is missing.
pub type Health = Result<(), String>;

/// `/healthz` and `/readyz`, each answered by asking the function given: 200 `ok`, or 503 and what
/// is missing.
pub fn health_routes(
    live: impl Fn() -> Health + Send + Sync + 'static,
    ready: impl Fn() -> Health + Send + Sync + 'static,
) -> Router {
    Router::new().route("/healthz", health_route(live)).route("/readyz", health_route(ready))
}

fn health_route(ask: impl Fn() -> Health + Send + Sync + 'static) -> axum::routing::MethodRouter {
    let ask = Arc::new(ask);
    get(move || {
        let answer = ask();
        async move {
            match answer {
                Ok(()) => (StatusCode::OK, "ok".to_owned()),
                Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, missing),
            }
        }
    })
}

/// All of this machine's addresses, at `port`: both families where the kernel has IPv6, else IPv4. A
/// kernel that was started without IPv6 refuses every such socket.
pub fn everywhere(port: u16) -> SocketAddr {
    let has_v6 = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    let any = if has_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    SocketAddr::new(any, port)
}

/// Serves `routes` in plain HTTP on `address` until `stop`.
///
/// # Errors
/// [`Error`] when the address is taken, or the server ends by itself.
pub async fn serve(
    address: SocketAddr,
    routes: Router,
    stop: CancellationToken,
) -> Result<(), Error> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| Error::Bind { address, source })?;
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(|source| Error::Serve { address, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(routes: Router, path: &str) -> (u16, String) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        server.abort();
        let status = answer[9..12].parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        (status, body)
    }

    #[tokio::test]
    async fn an_unready_program_says_what_it_waits_for() {
        let routes = health_routes(|| Ok(()), || Err("no list of Services yet".to_owned()));
        assert_eq!(ask(routes.clone(), "/healthz").await, (200, "ok".to_owned()));
        let expected = (503, "no list of Services yet".to_owned());
        assert_eq!(ask(routes, "/readyz").await, expected);
    }
}
