//! The process above the one that works, with this very test program as the worker: it serves the
//! socket that it finds at its standard input, and answers each connection with its process number.
#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use controller::supervise;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);

/// The worker of the other tests is this one, started with a socket; `cargo test` gives it none.
#[test]
fn standard_input_tells_who_works() {
    let Some(listener) = supervise::inherited().unwrap() else {
        return;
    };
    listener.set_nonblocking(false).unwrap();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        write!(stream, "{}", std::process::id()).unwrap();
    }
}

struct Supervised {
    address: SocketAddr,
    told: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<ExitStatus>>,
}

fn supervised(lived: Duration) -> Supervised {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut worker = Command::new(std::env::current_exe().unwrap());
    worker.args(["--exact", "standard_input_tells_who_works", "--nocapture"]);
    worker.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let (told, tell) = oneshot::channel();
    let told_to_end = async {
        // The sender is kept until the test ends.
        let _ = tell.await;
    };
    let ended = tokio::spawn(supervise::workers(worker, listener, lived, told_to_end));
    Supervised { address, told, ended }
}

/// Who answers a connection made now.
async fn who_answers(address: SocketAddr) -> Pid {
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    Pid::from_raw(asked.await.unwrap().parse().unwrap())
}

/// Kills `worker` and waits until it is gone: until then it may still take a connection with it.
async fn kill_and_bury(worker: Pid) {
    kill(worker, Signal::SIGKILL).unwrap();
    let gone = async {
        while kill(worker, None).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn connections_wait_while_a_worker_that_died_is_started_again() {
    let supervised = supervised(Duration::ZERO);
    let mut before = who_answers(supervised.address).await;
    for _ in 0..5 {
        kill_and_bury(before).await;
        let after = who_answers(supervised.address).await;
        assert_ne!(after, before);
        before = after;
    }
    supervised.told.send(()).unwrap();
    let status = tokio::time::timeout(PATIENCE, supervised.ended).await.unwrap().unwrap().unwrap();
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32), "{status}");
}

#[tokio::test]
async fn a_worker_that_dies_young_is_not_started_again() {
    let supervised = supervised(Duration::from_hours(1));
    let worker = who_answers(supervised.address).await;
    kill(worker, Signal::SIGKILL).unwrap();
    let status = tokio::time::timeout(PATIENCE, supervised.ended).await.unwrap().unwrap().unwrap();
    assert_eq!(supervise::exit_code(status), 128 + 9, "{status}");
}
