//! Private network namespaces for tests: a node and a client with a veth pair between them.
//!
//! Each test makes its own and removes them when it ends, also when it fails. Nothing is ever sent
//! from the root namespace.
#![expect(clippy::disallowed_methods, reason = "tests wait for the kernel in real time")]
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod log;
pub mod responder;

use std::fmt::Debug;
use std::fs::File;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crds::model::ids::{IfIndex, MacAddr};
use nix::sched::{CloneFlags, setns};

/// How long a condition may take to come true. Generous, as two cores run everything at once; a
/// test that passes never waits this long.
const DEADLINE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// A network namespace, removed on drop.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, with loopback up and nothing else.
    pub fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Two `ip netns add` at once may trip over one another setting up /run/netns.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("flb-{}-{number}-{label}", std::process::id());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        succeed(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` with `arguments`, separated by blanks, on this namespace; it must succeed.
    pub fn ip(&self, arguments: &str) -> String {
        succeed(Command::new("ip").args(["-n", &self.name]).args(arguments.split_whitespace()))
    }

    /// A command line within the namespace. Not `ip netns exec`, which remounts /sys.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).args(line.split_whitespace());
        command
    }

    /// Runs a command line in the namespace, to whatever end.
    pub fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Moves the calling thread, and so every socket it opens from here on, into the namespace.
    pub fn enter(&self) {
        Self::enter_named(&self.name);
    }

    /// As [`Self::enter`], for a thread that may outlive the value.
    pub fn enter_named(name: &str) {
        let namespace = File::open(format!("/run/netns/{name}")).unwrap();
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// Calls `work` on a thread of its own within the namespace.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = || {
                self.enter();
                work()
            };
            scope.spawn(inside).join().unwrap()
        })
    }

    /// The index of a link.
    pub fn index(&self, link: &str) -> IfIndex {
        let shown = self.ip(&format!("-o link show dev {link}"));
        let (index, _) = shown.split_once(':').unwrap();
        IfIndex(index.trim().parse().unwrap())
    }

    /// The MAC in the neighbour entry of `address`, and the entry as `ip` shows it.
    pub fn neighbour(&self, address: &str) -> (Option<MacAddr>, String) {
        let shown = self.ip(&format!("neigh show {address}"));
        let mut words = shown.split_whitespace().skip_while(|word| *word != "lladdr");
        (words.nth(1).map(|mac| mac.parse().unwrap()), shown.trim().to_owned())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the test may be failing already.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// The node's link.
pub const NODE_LINK: &str = "eth0";
/// The client's.
pub const CLIENT_LINK: &str = "eth1";
pub const NODE_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0b]);
pub const CLIENT_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);

/// A node and a client on one wire. The client has 192.0.2.1/24, the node 192.0.2.2/24.
#[derive(Debug)]
pub struct Wire {
    pub node: Namespace,
    pub client: Namespace,
}

impl Wire {
    pub fn new() -> Self {
        let wire = Self { node: Namespace::new("node"), client: Namespace::new("client") };
        wire.connect();
        wire
    }

    /// Makes the veth pair, also anew after one end was deleted.
    pub fn connect(&self) {
        let Self { node, client } = self;
        client.ip(&format!(
            "link add {CLIENT_LINK} address {CLIENT_MAC} type veth \
             peer name {NODE_LINK} address {NODE_MAC} netns {}",
            node.name
        ));
        node.ip(&format!("addr add 192.0.2.2/24 dev {NODE_LINK}"));
        client.ip(&format!("addr add 192.0.2.1/24 dev {CLIENT_LINK}"));
        node.ip(&format!("link set {NODE_LINK} up"));
        client.ip(&format!("link set {CLIENT_LINK} up"));
        self.wait_for_carrier();
    }

    /// Until both ends see one another; a frame sent before that is lost.
    pub fn wait_for_carrier(&self) {
        for (namespace, link) in [(&self.node, NODE_LINK), (&self.client, CLIENT_LINK)] {
            wait_for("carrier", || {
                let shown = namespace.ip(&format!("-o link show dev {link}"));
                if shown.contains("LOWER_UP") { Ok(()) } else { Err(shown) }
            });
        }
    }
}

/// Runs a command that must succeed and returns what it printed.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asks again and again until the answer is `Ok`; fails with the last `Err` at the deadline.
pub fn wait_for<T, E: Debug>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(state) if Instant::now() > deadline => {
                panic!("still no {what} after {DEADLINE:?}; last seen: {state:?}")
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
