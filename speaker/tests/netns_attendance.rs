//! Attendance between two machines: how soon the end of a process is known, and what is not taken
//! for one.
#![expect(clippy::disallowed_methods, reason = "measures in real time")]

use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc as std_mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::netns::responder::runtime;
use crate::netns::{NODE_LINK, Namespace, Wire, wait_for};
use speaker::engine::Event;
use speaker::io::attendance::{Attendance, Attended};
use tokio::sync::mpsc;

const ADDRESS: &str = "192.0.2.2:7946";
/// Tells this test program to be the process that is attended.
const ROLE: &str = "FERROLB_TEST_ATTENDED";

/// Somebody to attend, in a process of its own; killed on drop.
struct Process(Child);

impl Process {
    fn start(namespace: &Namespace) -> Self {
        let program = std::env::current_exe().unwrap();
        let line = format!(
            "{} --ignored --exact netns_attendance::serves_as_the_process_attended",
            program.display()
        );
        let mut command: Command = namespace.command(&line);
        Self(command.env(ROLE, "1").stdout(Stdio::null()).spawn().unwrap())
    }

    /// By SIGKILL; gives the time just before.
    fn kill(&mut self) -> Instant {
        let before = Instant::now();
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        before
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test: the other process.
#[test]
#[ignore = "started by the other tests"]
fn serves_as_the_process_attended() {
    if std::env::var_os(ROLE).is_some() {
        runtime().block_on(async {
            Attended::bind(ADDRESS.parse().unwrap()).await.unwrap().run().await;
        });
    }
}

/// Attends ADDRESS from within a namespace, on a thread of its own, and notes when each event came.
struct Attendant {
    told: std_mpsc::Receiver<(Event, Instant)>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Attendant {
    fn start(namespace: &Namespace) -> Self {
        let namespace = namespace.name().to_owned();
        let (tell, told) = std_mpsc::channel();
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || {
            Namespace::enter_named(&namespace);
            runtime().block_on(async {
                let (events, mut incoming) = mpsc::channel(8);
                let from: IpAddr = "192.0.2.1".parse().unwrap();
                let mut attendance = Attendance::new(from, events);
                attendance.set(&[ADDRESS.parse::<SocketAddr>().unwrap()].into());
                loop {
                    tokio::select! {
                        event = incoming.recv() => tell.send((event.unwrap(), Instant::now())).unwrap(),
                        _ = &mut stopped => return,
                    }
                }
            });
        });
        Self { told, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || thread::panicking(), "the attendant failed");
        }
    }
}

/// Until the client holds a connection to the node over which the greeting has come.
fn connected(wire: &Wire) {
    wait_for("connection", || {
        let output = wire.client.output("ss -Htni state established dport = :7946");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        if shown.contains("bytes_received:8") { Ok(()) } else { Err(shown) }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn the_end_of_a_killed_process_is_known_within_milliseconds_each_time() {
    let wire = Wire::new();
    let attendant = Attendant::start(&wire.client);
    for _ in 0..3 {
        let mut process = Process::start(&wire.node);
        connected(&wire);
        let killed = process.kill();
        let (event, at) = attendant.told.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(event, Event::Hangup(ADDRESS.parse().unwrap()));
        let took = at.saturating_duration_since(killed);
        eprintln!("hangup after {took:?}");
        assert!(took < Duration::from_millis(50), "{took:?}");
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn a_machine_that_falls_silent_has_not_hung_up() {
    let wire = Wire::new();
    let attendant = Attendant::start(&wire.client);
    let _process = Process::start(&wire.node);
    connected(&wire);
    wire.node.ip(&format!("link set {NODE_LINK} down"));
    // Keepalive gives the connection up after about eleven seconds, without a word.
    let silence = attendant.told.recv_timeout(Duration::from_secs(13));
    assert_eq!(silence.unwrap_err(), std_mpsc::RecvTimeoutError::Timeout);
    wire.node.ip(&format!("link set {NODE_LINK} up"));
    wire.wait_for_carrier();
    connected(&wire);
    assert!(attendant.told.try_recv().is_err());
}
