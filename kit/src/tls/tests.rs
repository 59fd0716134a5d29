//! The server on a real socket, asked by a real client.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::server::serve_on;
use super::{Certificate, HTTP_1, Settings, self_signed};

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(settings: &Settings, certificate: &Arc<Certificate>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/", get(|| async { "here" }));
    let config = settings.server_config(Arc::clone(certificate), &[HTTP_1]).unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve_on(listener, routes, Arc::new(config), stop.clone()));
    Server { address, stop, task }
}

fn client(trusted: &str, versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn connect(
    server: &Server,
    client: &TlsConnector,
) -> Result<TlsStream<TcpStream>, std::io::Error> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    client.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_is_asked_over_tls_is_answered_with_the_certificate_of_the_moment() {
    let certificate = Arc::new(Certificate::default());
    let server = start(&Settings::default(), &certificate).await;
    let (first, first_key) = self_signed(&["localhost"]).unwrap();
    let (second, second_key) = self_signed(&["localhost"]).unwrap();
    let versions = [&rustls::version::TLS13];
    let (trusts_first, trusts_second) = (client(&first, &versions), client(&second, &versions));

    assert!(connect(&server, &trusts_first).await.is_err(), "no certificate yet");
    certificate.replace(first.as_bytes(), first_key.as_bytes()).unwrap();
    let answer = ask(&mut connect(&server, &trusts_first).await.unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("here"), "{answer}");
    assert!(connect(&server, &trusts_second).await.is_err());
    certificate.replace(second.as_bytes(), second_key.as_bytes()).unwrap();
    let answer = ask(&mut connect(&server, &trusts_second).await.unwrap()).await;
    assert!(answer.ends_with("here"), "{answer}");
}

#[tokio::test]
async fn version_1_2_is_spoken_only_where_it_is_set() {
    let certificate = Arc::new(Certificate::default());
    let (cert, key) = self_signed(&["localhost"]).unwrap();
    certificate.replace(cert.as_bytes(), key.as_bytes()).unwrap();
    let old = client(&cert, &[&rustls::version::TLS12]);

    let strict = start(&Settings::default(), &certificate).await;
    assert!(connect(&strict, &old).await.is_err());
    let suites = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    let settings = Settings::parse("VersionTLS12", suites, "23").unwrap();
    let lax = start(&settings, &certificate).await;
    let mut stream = connect(&lax, &old).await.unwrap();
    let suite = stream.get_ref().1.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite.as_str(), Some(suites));
    assert!(ask(&mut stream).await.ends_with("here"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_greets_is_sent_away() {
    let server = start(&Settings::default(), &Arc::new(Certificate::default())).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut answer = Vec::new();
    // The clock is a test's: it goes on when nothing else is to be done.
    silent.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty());
}

#[tokio::test]
async fn told_to_stop_it_ends_with_its_connections() {
    let certificate = Arc::new(Certificate::default());
    let (cert, key) = self_signed(&["localhost"]).unwrap();
    certificate.replace(cert.as_bytes(), key.as_bytes()).unwrap();
    let server = start(&Settings::default(), &certificate).await;
    let mut idle = connect(&server, &client(&cert, &[&rustls::version::TLS13])).await.unwrap();
    let greeting = TcpStream::connect(server.address).await.unwrap();
    server.stop.cancel();
    server.task.await.unwrap();
    let mut rest = Vec::new();
    // A proper end or a mere one: it is the end that matters.
    let _ = idle.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    drop(greeting);
    assert!(TcpStream::connect(server.address).await.is_err());
}
