//! An API server of plain maps: it answers lists and watches by itself, and hands every write to
//! the test, which answers it.
#![allow(dead_code, reason = "some tests need some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails the test")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::channel::mpsc;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock;

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;
type Handle = mock::Handle<Request<Body>, Answer>;
type Chunk = Result<Frame<Bytes>, std::io::Error>;

/// The server.
pub struct FakeApi {
    pub client: Client,
    objects: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    watches: Arc<Mutex<BTreeMap<String, Vec<mpsc::UnboundedSender<Chunk>>>>>,
    writes: mpsc::UnboundedReceiver<Write>,
}

/// A write that waits for its answer.
pub struct Write {
    /// Such as `PATCH /api/v1/namespaces/default/services/web/status`.
    pub line: String,
    /// The part of the URL behind the question mark.
    pub query: String,
    pub body: Value,
    respond: mock::SendResponse<Answer>,
}

impl Write {
    pub fn answer(self, body: &Value) {
        self.respond.send_response(response(StatusCode::OK, body));
    }

    pub fn fail(self, code: StatusCode) {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": code.as_u16(), "reason": "Test", "message": "a failure of the test",
        });
        self.respond.send_response(response(code, &status));
    }
}

fn response(code: StatusCode, body: &Value) -> Answer {
    let body = Full::new(Bytes::from(serde_json::to_vec(body).unwrap()));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(code).body(body).unwrap()
}

impl FakeApi {
    /// A server that has `objects`, by the path of their list.
    pub fn new(objects: &[(&str, Vec<Value>)]) -> Self {
        let (service, handle) = mock::pair::<Request<Body>, Answer>();
        let objects = objects.iter().map(|(path, list)| ((*path).to_owned(), list.clone()));
        let objects = Arc::new(Mutex::new(objects.collect()));
        let watches = Arc::default();
        let (seen, writes) = mpsc::unbounded();
        tokio::spawn(serve(handle, Arc::clone(&objects), Arc::clone(&watches), seen));
        Self { client: Client::new(service, "default"), objects, watches, writes }
    }

    /// The next write, if one comes within `patience` (of paused time).
    pub async fn next_write(&mut self, patience: Duration) -> Option<Write> {
        tokio::time::timeout(patience, self.writes.next()).await.ok().flatten()
    }

    /// The next write to something of this kind; accepts all others.
    pub async fn write_to(&mut self, kind: &str) -> Write {
        loop {
            let write = self.next_write(Duration::from_mins(10)).await;
            let write = write.unwrap_or_else(|| panic!("no write to {kind}"));
            if write.line.contains(kind) {
                return write;
            }
            self.accept(write);
        }
    }

    /// Accepts everything that comes until it is quiet for `patience`, and says what it was.
    pub async fn drain(&mut self, patience: Duration) -> Vec<(String, Value)> {
        let mut seen = Vec::new();
        while let Some(write) = self.next_write(patience).await {
            seen.push((write.line.clone(), write.body.clone()));
            self.accept(write);
        }
        seen
    }

    /// Does as `write` says, and answers with what the object is then. Its watch tells of nothing but
    /// what the test [puts](Self::put).
    pub fn accept(&self, write: Write) {
        let (method, path) = write.line.split_once(' ').unwrap();
        let path = path.strip_suffix("/status").unwrap_or(path);
        let (list, name) = match method {
            "POST" => (path, write.body["metadata"]["name"].as_str().unwrap_or_default()),
            _ => path.rsplit_once('/').unwrap(),
        };
        let (list, mut object) = self.known(list, name);
        let version = version(&object);
        merge(&mut object, &write.body);
        object["metadata"]["name"] = json!(name);
        object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
        self.keep(&list, &object);
        write.answer(&object);
    }

    /// The object, and the list that it is in. Services are listed for all namespaces, under another
    /// path than the one they are written at.
    fn known(&self, list: &str, name: &str) -> (String, Value) {
        let kind = |path: &str| path.rsplit('/').next().map(ToOwned::to_owned);
        let objects = self.objects.lock().unwrap();
        let Some((path, all)) = objects.iter().find(|(path, _)| kind(path) == kind(list)) else {
            return (list.to_owned(), Value::Null);
        };
        let object = all.iter().find(|object| object["metadata"]["name"] == name);
        (path.clone(), object.cloned().unwrap_or_default())
    }

    /// Makes `object` part of the list at `path`, and tells those who watch it.
    pub fn put(&self, path: &str, kind: &str, object: &Value) {
        self.keep(path, object);
        let event = json!({"type": kind, "object": object});
        self.tell(path, &event);
    }

    fn keep(&self, path: &str, object: &Value) {
        let name = &object["metadata"]["name"];
        let mut objects = self.objects.lock().unwrap();
        let list = objects.entry(path.to_owned()).or_default();
        let at = list.iter().position(|known| known["metadata"]["name"] == *name);
        match at {
            Some(at) => list[at] = object.clone(),
            None => list.push(object.clone()),
        }
    }

    fn tell(&self, path: &str, event: &Value) {
        let mut line = serde_json::to_vec(event).unwrap();
        line.push(b'\n');
        for watch in self.watches.lock().unwrap().get(path).into_iter().flatten() {
            let _ = watch.unbounded_send(Ok(Frame::data(Bytes::from(line.clone()))));
        }
    }
}

/// Which state of the object this is; 0 if it does not say.
pub fn version(object: &Value) -> u64 {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.map_or(0, |version| version.parse().unwrap())
}

/// Puts `change` into `object`, as a merge patch does (RFC 7386).
pub fn merge(object: &mut Value, change: &Value) {
    let Value::Object(fields) = change else {
        *object = change.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut object[name], value);
        }
    }
}

async fn serve(
    mut handle: Handle,
    objects: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    watches: Arc<Mutex<BTreeMap<String, Vec<mpsc::UnboundedSender<Chunk>>>>>,
    seen: mpsc::UnboundedSender<Write>,
) {
    while let Some((request, respond)) = handle.next_request().await {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        if request.method() == http::Method::GET && query.contains("watch=true") {
            let (push, events) = mpsc::unbounded();
            watches.lock().unwrap().entry(path).or_default().push(push);
            respond.send_response(Response::new(StreamBody::new(events).boxed_unsync()));
        } else if request.method() == http::Method::GET {
            let objects = objects.lock().unwrap();
            let items = objects.get(&path).cloned().unwrap_or_default();
            let list = json!({"metadata": {"resourceVersion": "1"}, "items": items});
            respond.send_response(response(StatusCode::OK, &list));
        } else {
            let line = format!("{} {path}", request.method());
            let body = request.into_body().collect_bytes().await.unwrap();
            // A deletion has none.
            let body = if body.is_empty() { "null".into() } else { body };
            let body = serde_json::from_slice(&body).unwrap();
            let write = Write { line, query, body, respond };
            if seen.unbounded_send(write).is_err() {
                return;
            }
        }
    }
}
