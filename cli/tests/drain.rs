//! `kubectl-ferrolb drain` and `undrain` as a user runs them, against an API server that knows one
//! node. That a real node drains is tested in the lab (`e2e/tests/drain.rs`).

#![expect(clippy::unwrap_used, reason = "it is a test, helpers included")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_kubectl-ferrolb");

/// What the API server knows, and was asked to change.
#[derive(Default)]
struct World {
    /// What the Speaker says, one status after the other; the last one stays. Empty: no Speaker.
    statuses: Vec<Value>,
    /// Services announced from the node.
    services: Vec<&'static str>,
    patches: Vec<Value>,
}

impl World {
    /// The answer to one request: status code and object.
    fn answer(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let metadata = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": "n1"},
        });
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match (method, path) {
            ("GET", "/api/v1/nodes/n1") => (200, metadata),
            ("PATCH", "/api/v1/nodes/n1") => {
                self.patches.push(serde_json::from_str(body).unwrap());
                (200, metadata)
            }
            ("GET", "/apis/ferrolb.io/v1alpha1/namespaces/lb/speakers/n1") => {
                let status = match self.statuses.as_slice() {
                    [] => return missing(),
                    [last] => last.clone(),
                    // Nothing happens before the mark is there.
                    _ if self.patches.is_empty() => self.statuses[0].clone(),
                    _ => self.statuses.remove(0),
                };
                let object = json!({
                    "apiVersion": "ferrolb.io/v1alpha1", "kind": "Speaker",
                    "metadata": {"name": "n1", "namespace": "lb"}, "spec": {}, "status": status,
                });
                (200, object)
            }
            ("GET", "/apis/metallb.io/v1beta1/namespaces/lb/servicel2statuses") => {
                assert!(query.contains("metallb.io%2Fnode%3Dn1"), "{query}");
                let record = |name: &&str| {
                    json!({
                        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                        "metadata": {"labels": {
                            "metallb.io/service-namespace": "default", "metallb.io/service-name": name,
                        }},
                    })
                };
                let records: Vec<Value> = self.services.iter().map(record).collect();
                let list = json!({
                    "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                    "metadata": {}, "items": records,
                });
                (200, list)
            }
            _ => missing(),
        }
    }
}

fn missing() -> (u16, Value) {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": "not found", "reason": "NotFound", "code": 404,
    });
    (404, status)
}

fn serve(stream: &TcpStream, world: &Mutex<World>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let request: Vec<&str> = head[0].split(' ').collect();
    // Everything but the method and escapes is in lower case anyway.
    let path = request[1].replace("%2f", "%2F").replace("%3d", "%3D");
    let method = request[0].to_uppercase();
    let body = String::from_utf8(body).unwrap();
    let (code, object) = world.lock().unwrap().answer(&method, &path, &body);
    let text = object.to_string();
    let mut stream = stream;
    let _ = write!(
        stream,
        "HTTP/1.1 {code} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    );
}

/// A kubeconfig for an API server that knows `world`.
fn start(test: &str, world: World) -> (PathBuf, Arc<Mutex<World>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let world = Arc::new(Mutex::new(world));
    let shared = Arc::clone(&world);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(&stream.unwrap(), &shared);
        }
    });
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "elsewhere",
        "clusters": [
            {"name": "c", "cluster": {"server": server}},
            {"name": "elsewhere", "cluster": {"server": "http://127.0.0.1:1"}},
        ],
        "users": [{"name": "u", "user": {}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u"}},
            {"name": "elsewhere", "context": {"cluster": "elsewhere", "user": "u"}},
        ],
    });
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.kubeconfig"));
    fs::write(&path, config.to_string()).unwrap();
    (path, world)
}

fn run(kubeconfig: &Path, args: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let cluster = ["--context", "here", "--namespace", "lb"];
    let mut command = Command::new(BINARY);
    let output = command.args(args).args(cluster).env("KUBECONFIG", kubeconfig).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let lines = text(output.stdout).lines().map(str::to_owned).collect();
    (output.status.code(), lines, text(output.stderr))
}

#[test]
fn a_node_is_marked_and_followed_until_it_is_drained() {
    let statuses = vec![
        json!({"state": "Active"}),
        json!({"state": "Draining"}),
        json!({"state": "Draining", "waiting": ["192.0.2.7"]}),
        json!({"state": "Drained"}),
    ];
    let world = World { statuses, services: vec!["web", "dns"], ..World::default() };
    let (kubeconfig, world) = start("drains", world);
    let (code, lines, errors) = run(&kubeconfig, &["drain", "n1"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let left = "2 Services left: default/dns, default/web";
    assert_eq!(
        lines,
        [
            "n1 is marked for draining".to_owned(),
            format!("n1 has not seen the mark yet; {left}"),
            format!("n1 hands over; {left}"),
            format!("n1 waits, since no other node can take 192.0.2.7; {left}"),
            "n1 is drained: it announces nothing, and takes nothing until it is undrained"
                .to_owned(),
        ]
    );
    let mark = json!({"metadata": {"labels": {"ferrolb.io/drain": "true"}}});
    assert_eq!(world.lock().unwrap().patches, [mark]);
}

#[test]
fn undraining_takes_the_mark_off_and_waits_for_the_speaker() {
    let statuses = vec![json!({"state": "Drained"}), json!({"state": "Active"})];
    let (kubeconfig, world) = start("undrains", World { statuses, ..World::default() });
    let (code, lines, errors) = run(&kubeconfig, &["undrain", "n1"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[2].starts_with("n1 takes addresses again"), "{lines:?}");
    let gone = json!({"ferrolb.io/drain": null});
    let unmark = json!({"metadata": {"labels": gone, "annotations": gone}});
    assert_eq!(world.lock().unwrap().patches, [unmark]);
}

#[test]
fn a_node_that_does_not_get_there_is_told_with_what_was_seen_last() {
    let waits = json!({"state": "Draining", "waiting": ["192.0.2.7"]});
    let world = World { statuses: vec![waits], services: vec!["web"], ..World::default() };
    let (kubeconfig, _) = start("waits", world);
    let (code, lines, errors) = run(&kubeconfig, &["drain", "n1", "--timeout", "1s"]);
    assert_eq!((code, lines.len()), (Some(1), 2), "{lines:?}");
    let last = "error: gave up after 1 s; last seen: n1 waits, since no other node can take \
                192.0.2.7; 1 Service left: default/web\nAnother node can take an address if";
    assert!(errors.starts_with(last), "{errors}");
}

#[test]
fn a_node_that_is_not_there_or_has_no_speaker_is_not_marked() {
    let statuses = vec![json!({"state": "Active"})];
    let (kubeconfig, world) = start("no-node", World { statuses, ..World::default() });
    for args in [&["drain", "n2"][..], &["undrain", "n2"], &["drain", "n2", "--no-wait"]] {
        let (code, lines, errors) = run(&kubeconfig, args);
        assert_eq!((code, lines.len()), (Some(1), 0), "{args:?}");
        assert!(errors.starts_with("error: the cluster has no node \"n2\""), "{errors}");
    }
    assert_eq!(world.lock().unwrap().patches, Vec::<Value>::new());

    let (kubeconfig, world) = start("no-speaker", World::default());
    let (code, _, errors) = run(&kubeconfig, &["drain", "n1"]);
    assert_eq!(code, Some(1));
    let told = "error: there is no Speaker object \"n1\" in namespace \"lb\"";
    assert!(errors.starts_with(told), "{errors}");
    assert_eq!(world.lock().unwrap().patches, Vec::<Value>::new());
    // Without waiting nobody needs to tell how far it is.
    let (code, lines, _) = run(&kubeconfig, &["drain", "n1", "--no-wait"]);
    assert_eq!((code, lines), (Some(0), vec!["n1 is marked for draining".to_owned()]));
    assert_eq!(world.lock().unwrap().patches.len(), 1);
}

#[test]
fn a_cluster_that_cannot_be_asked_is_told() {
    let (kubeconfig, _) = start("unreachable", World::default());
    let mut command = Command::new(BINARY);
    let output = command.args(["drain", "n1"]).env("KUBECONFIG", &kubeconfig).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("error: cannot read the Node n1: "), "{errors}");
    let (code, _, errors) = run(Path::new("/nowhere"), &["drain", "n1"]);
    assert_eq!(code, Some(1));
    assert!(errors.starts_with("error: kubeconfig: "), "{errors}");
}
