//! The webhook's HTTP side, and questions to it.
#![allow(dead_code, reason = "some tests need some of it")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;

use controller::metrics::webhook::Metrics;
use controller::webhook::existing::Existing;
use controller::webhook::serve::{Reviewer, routes};
use kube::Client;
use prometheus::{Registry, TextEncoder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Where the pools are listed that there are.
pub const EXISTING: &str = "/apis/metallb.io/v1beta1/namespaces/ns/ipaddresspools";
/// Where pools are asked about.
pub const POOL: &str = "/validate-metallb-io-v1beta1-ipaddresspool";

/// A webhook that is served.
pub struct Reviewing {
    pub address: SocketAddr,
    registry: Registry,
}

impl Reviewing {
    /// Its metrics, as they are served.
    pub fn metrics(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }
}

pub async fn start(client: Client) -> Reviewing {
    let registry = Registry::new();
    let reviewer = Reviewer {
        existing: Existing::new(client, "ns".to_owned()),
        home: "ns".to_owned(),
        metrics: Metrics::new(&registry).unwrap(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = routes(&Arc::new(reviewer));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Reviewing { address, registry }
}

pub async fn post(address: SocketAddr, path: &str, body: &str) -> (u16, String) {
    post_with("", address, path, body).await
}

/// Posts with one more `header`.
pub async fn post_with(header: &str, address: SocketAddr, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // It ends because the server closes the connection, which was not asked of it.
    stream.read_to_string(&mut answer).await.unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (answer[9..12].parse().unwrap(), body)
}

/// Whether `object` may be made in `namespace`.
pub fn review(kind: &str, namespace: &str, object: &Value) -> String {
    let kind = json!({"group": "metallb.io", "version": "v1beta1", "kind": kind});
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "kind": kind, "operation": "CREATE", "namespace": namespace,
            "object": object,
        },
    })
    .to_string()
}

pub fn pool(name: &str, addresses: &str) -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": {"name": name, "namespace": "ns"}, "spec": {"addresses": [addresses]},
    })
}
