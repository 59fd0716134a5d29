//! A dead connection to the API server: the link swallows everything, and nobody closes anything.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::netns::responder::runtime;
use crate::netns::{Namespace, Wire};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::api::{WatchEvent, WatchParams};
use kube::{Api, Client, Config};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Within this time a dead connection has to be noticed.
const BOUND: Duration = Duration::from_secs(15);
/// Long enough for an answer on a wire that works.
const SOON: Duration = Duration::from_secs(5);

const OBJECT: &str = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}"#;

/// An API server with one Namespace: gives it to who asks for it, and to who watches, and then is
/// silent. It stays for as long as the process; the connections are never closed.
fn serve(namespace: &Namespace) -> SocketAddr {
    let (bound, address) = std::sync::mpsc::channel();
    let name = namespace.name().to_owned();
    thread::spawn(move || {
        Namespace::enter_named(&name);
        runtime().block_on(async {
            let listener = TcpListener::bind("192.0.2.1:0").await.unwrap();
            bound.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream));
            }
        });
    });
    address.recv().unwrap()
}

async fn answer(stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.is_err() || line.is_empty() {
            return;
        }
        if !line.trim().is_empty() {
            head.push(line);
            continue;
        }
        let ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        let response = if head[0].contains("watch=true") {
            let event = format!("{{\"type\":\"ADDED\",\"object\":{OBJECT}}}\n");
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n", event.len())
        } else {
            format!("{ok}Content-Length: {}\r\n\r\n{OBJECT}", OBJECT.len())
        };
        stream.write_all(response.as_bytes()).await.unwrap();
        head.clear();
    }
}

/// From now on nothing that comes in is seen, so nothing is answered either: no reset, no ICMP.
fn swallow(namespace: &Namespace) {
    let rules = "nft add table inet silence ; add chain inet silence everything { \
                 type filter hook prerouting priority -300 ; policy drop ; }";
    crate::netns::succeed(&mut namespace.command(rules));
}

/// A watch that has begun: it has been told of the object.
async fn watch(client: &Client) -> BoxStream<'static, Result<(), kube::Error>> {
    let api: Api<Object> = Api::all(client.clone());
    let mut watch = api.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let first = timeout(SOON, watch.try_next()).await.unwrap().unwrap();
    assert!(matches!(first, Some(WatchEvent::Added(_))), "{first:?}");
    watch.map_ok(|_| ()).boxed()
}

async fn get(client: &Client) -> Result<(), kube::Error> {
    Api::<Object>::all(client.clone()).get("a").await.map(|_| ())
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn watches_and_requests_on_a_dead_connection_fail_in_time() {
    let wire = Wire::new();
    let config = Config::new(format!("http://{}", serve(&wire.client)).parse().unwrap());
    wire.node.within(|| {
        runtime().block_on(async {
            kit::client::install_crypto();
            let ours = kit::client::client(config.clone()).unwrap();
            // What kube makes of the same configuration, to show that it would not notice.
            let plain = Client::try_from(config).unwrap();
            let (mut our_watch, mut plain_watch) = (watch(&ours).await, watch(&plain).await);
            // Leaves a connection open that the next request will take.
            get(&ours).await.unwrap();
            get(&plain).await.unwrap();

            swallow(&wire.client);

            let (watched, got, plainly_watched, plainly_got) = tokio::join!(
                timeout(BOUND, our_watch.next()),
                timeout(BOUND, get(&ours)),
                timeout(BOUND, plain_watch.next()),
                timeout(BOUND, get(&plain)),
            );
            assert!(matches!(watched, Ok(Some(Err(_)))), "the watch: {watched:?}");
            assert!(matches!(got, Ok(Err(_))), "the request: {got:?}");
            assert!(plainly_watched.is_err(), "kube's watch: {plainly_watched:?}");
            assert!(plainly_got.is_err(), "kube's request: {plainly_got:?}");
        });
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn a_connection_that_is_idle_and_alive_is_kept() {
    let wire = Wire::new();
    let config = Config::new(format!("http://{}", serve(&wire.client)).parse().unwrap());
    wire.node.within(|| {
        runtime().block_on(async {
            kit::client::install_crypto();
            let mut watch = watch(&kit::client::client(config).unwrap()).await;
            let idle = timeout(BOUND, watch.next()).await;
            assert!(idle.is_err(), "{idle:?}");
        });
    });
}
