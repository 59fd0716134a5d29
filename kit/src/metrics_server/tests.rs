//! The routes, with an API server that a test plays.

use std::time::Duration;

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower_test::mock::{self, Handle};

use super::{guard, routes};

type ApiServer = Handle<Request<Body>, Response<Body>>;

/// The routes on a socket, in plain HTTP: what TLS adds has tests of its own.
async fn start() -> (std::net::SocketAddr, ApiServer) {
    let (service, handle) = mock::pair();
    let client = Client::new(service, "default");
    let registry = Registry::new();
    let guard = guard(client, &registry).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes(registry, guard)).await });
    (address, handle)
}

async fn scrape(address: std::net::SocketAddr, token: Option<&str>) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{token}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

/// The API server is asked at `path`; says `status`. Gives what it was asked.
async fn say(api: &mut ApiServer, path: &str, status: &Value) -> Value {
    let (request, respond) = api.next_request().await.unwrap();
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", path));
    let asked: Value =
        serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
    let mut answer = asked.clone();
    answer["status"] = status.clone();
    let body = Body::from(serde_json::to_vec(&answer).unwrap());
    respond.send_response(Response::builder().status(201).body(body).unwrap());
    asked
}

const TOKENS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const RIGHTS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

#[tokio::test]
async fn who_may_is_served_and_the_api_server_asked_once() {
    let (address, mut api) = start().await;
    let server = async {
        let user = json!({ "username": "u", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]} });
        let asked = say(&mut api, TOKENS, &json!({ "authenticated": true, "user": user })).await;
        assert_eq!(asked["spec"], json!({ "token": "secret" }));
        let asked = say(&mut api, RIGHTS, &json!({ "allowed": true })).await;
        let expected = json!({
            "user": "u", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]},
            "nonResourceAttributes": { "path": "/metrics", "verb": "get" },
        });
        assert_eq!(asked["spec"], expected);
    };
    let ((status, _), ()) = tokio::join!(scrape(address, Some("secret")), server);
    assert_eq!(status, 200);
    // Nobody plays the API server any more.
    drop(api);
    let (status, text) = scrape(address, Some("secret")).await;
    assert_eq!(status, 200);
    assert!(text.contains("ferrolb_metrics_requests_total{outcome=\"served\"} 2\n"), "{text}");
    assert!(text.contains("\nprocess_cpu_seconds_total "), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn who_is_nobody_or_may_not_is_told_so() {
    let (address, mut api) = start().await;
    let (status, text) = scrape(address, None).await;
    assert_eq!(status, 401);
    assert!(text.to_ascii_lowercase().contains("www-authenticate: bearer\r\n"), "{text}");
    let server = async {
        say(&mut api, TOKENS, &json!({ "error": "[invalid bearer token]" })).await;
    };
    let ((status, _), ()) = tokio::join!(scrape(address, Some("forged")), server);
    assert_eq!(status, 401);
    let server = async {
        let user = json!({ "username": "u" });
        say(&mut api, TOKENS, &json!({ "authenticated": true, "user": user })).await;
        say(&mut api, RIGHTS, &json!({ "allowed": false })).await;
    };
    let ((status, _), ()) = tokio::join!(scrape(address, Some("weak")), server);
    assert_eq!(status, 403);
    // Both are known now.
    assert_eq!(scrape(address, Some("forged")).await.0, 401);
    assert_eq!(scrape(address, Some("weak")).await.0, 403);
}

#[tokio::test(start_paused = true)]
async fn without_the_api_server_only_those_known_are_served() {
    let (address, mut api) = start().await;
    let server = async {
        let user = json!({ "username": "u" });
        say(&mut api, TOKENS, &json!({ "authenticated": true, "user": user })).await;
        say(&mut api, RIGHTS, &json!({ "allowed": true })).await;
    };
    let ((status, _), ()) = tokio::join!(scrape(address, Some("known")), server);
    assert_eq!(status, 200);
    // The API server takes questions and never answers; the clock is the test's.
    tokio::time::advance(Duration::from_mins(10)).await;
    assert_eq!(scrape(address, Some("new")).await.0, 500);
    assert_eq!(scrape(address, Some("known")).await.0, 200);
    tokio::time::advance(Duration::from_hours(1)).await;
    assert_eq!(scrape(address, Some("known")).await.0, 500);
}
