//! How soon a dead connection to the API server is noticed.
//!
//! A machine that loses its power, a link that swallows frames or a firewall that forgets a connection
//! closes nothing: the client's end stays open. A watch sends nothing by itself, so it would wait, with
//! a view that grows old, until the time is over that it asked for, five minutes. So the kernel asks:
//!
//! ```text
//!  0 s          5 s       7 s       9 s       11 s
//!  | heard last | probe   | probe   | probe   | none was answered: ETIMEDOUT, and all
//!  |            |         |         |         | requests on the connection fail
//! ```
//!
//! What is sent and not acknowledged, a write to a dead server, fails after ten seconds. Sources: RFC 1122,
//! section 4.2.3.6 (keep-alives), RFC 5482 (user timeout), and tcp(7) of Linux, where the user timeout
//! also decides, in the place of the number of probes, when they have gone unanswered for long enough.
//!
//! kube makes its connector itself and leaves all of this off, so its client is put together here from
//! kube's own parts, in the order of kube's own builder.

use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::retry::RetryPolicy;
use kube::client::{ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use tower::retry::RetryLayer;
use tower::{BoxError, ServiceBuilder};

/// A connection on which nothing came in for this long is probed. A server with anything to tell is
/// never probed; ten watches of which all are idle cost two probes and two answers a second.
const IDLE: Duration = Duration::from_secs(5);
/// The pause between probes that are not answered.
const INTERVAL: Duration = Duration::from_secs(2);
/// Probes that must go unanswered; with [`USER_TIMEOUT`] Linux counts the time instead.
const RETRIES: u32 = 3;
/// Data that is not acknowledged for this long ends the connection.
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// Until TCP and TLS are up. The kernel sends its SYN again after one, three and seven seconds; the
/// next would be after 15, and whoever calls tries anew before that.
const CONNECT: Duration = Duration::from_secs(10);
/// A server that acknowledges and says nothing, such as one that is stopped, or a proxy before a dead
/// one. Longer than a watch lasts, 290 s, and five times as long as between two bookmarks.
const READ: Duration = Duration::from_secs(295);

/// A client for the cluster of `config`, with this module's time limits in the place of its own.
///
/// # Errors
/// kube's: certificates or credentials of `config` that cannot be used, or a proxy, which kube is
/// built without.
pub fn client(mut config: Config) -> Result<Client, kube::Error> {
    if config.proxy_url.is_some() {
        // Has kube say which of its features that would need.
        return Client::try_from(config);
    }
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    config.reset_reader_on_write = true;

    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp())?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);

    let retry = config.default_retry.then(|| RetryLayer::new(RetryPolicy::server_retry()));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(retry)
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(HttpClient::builder(TokioExecutor::new()).build(connector));
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    // TLS comes on top of it.
    tcp.enforce_http(false);
    tcp.set_keepalive(Some(IDLE));
    tcp.set_keepalive_interval(Some(INTERVAL));
    tcp.set_keepalive_retries(Some(RETRIES));
    tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
    tcp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_proxy_is_refused_and_not_passed_over() {
        crate::client::install_crypto();
        let mut config = Config::new("https://192.0.2.1:6443".parse().unwrap());
        assert!(client(config.clone()).is_ok());
        config.proxy_url = Some("http://192.0.2.2:3128".parse().unwrap());
        let refused = client(config).err();
        assert!(matches!(refused, Some(kube::Error::ProxyProtocolDisabled { .. })), "{refused:?}");
    }
}
