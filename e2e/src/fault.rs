//! Breaks the lab on purpose. Every fault is a value that undoes itself when dropped, so that a test
//! that fails leaves a whole lab to the next; `heal` does it earlier, and says whether it worked.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cluster::Lab;
use crate::namespace::{self, feed, inside, ip, output};
use crate::plan::{FIRST_FOREIGN, Machine, Node, PREFIX, SWITCH};
use crate::process::{Process, in_network};
use crate::up;

/// The speaker's program, as the kernel names its process.
pub const SPEAKER: &str = "speaker";
/// The mesh between the speakers: UDP and TCP.
const MESH_PORT: u16 = 7946;
const TABLE: &str = "lab_fault";
const FOREIGN: &str = "foreign";

/// A fault in force.
#[must_use = "a fault ends when its guard is dropped"]
#[derive(Debug)]
pub struct Fault {
    undo: Option<Undo>,
}

#[derive(Debug)]
enum Undo {
    Plug(Machine),
    Continue(Process),
    OpenPort(String),
    Unplug(Machine),
}

impl Fault {
    fn with(undo: Undo) -> Self {
        Self { undo: Some(undo) }
    }

    /// Ends the fault now.
    pub fn heal(mut self) -> Result<()> {
        self.undo.take().map_or(Ok(()), Undo::perform)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.undo.take().map(Undo::perform) {
            eprintln!("a fault could not be undone: {error:#}");
        }
    }
}

impl Undo {
    fn perform(self) -> Result<()> {
        match self {
            Self::Plug(node) => ip(SWITCH, &format!("link set {} up\n", node.port)),
            Self::Continue(process) => process.signal(libc::SIGCONT),
            Self::OpenPort(namespace) => open_port(&namespace),
            Self::Unplug(host) => up::unplug(&host),
        }
    }
}

/// Cuts a node's power as the wire sees it: nothing from it or to it passes any more.
pub fn cut(node: &Node) -> Result<Fault> {
    ip(SWITCH, &format!("link set {} down\n", node.port))?;
    Ok(Fault::with(Undo::Plug(node.machine.clone())))
}

/// The process of this name on the node's own network: a pod with the host's network, or any
/// program started there.
pub fn agent(node: &Node, name: &str) -> Result<Process> {
    let found: Vec<Process> = in_network(&namespace::path(&node.namespace))
        .into_iter()
        .filter(|process| process.is_alive() && process.name().as_deref() == Some(name))
        .collect();
    match found.as_slice() {
        [one] => Ok(*one),
        several => bail!("{} processes called {name} on {}, not one", several.len(), node.name),
    }
}

/// Kills a node's speaker with SIGKILL and waits until it is gone. Nothing to undo: the kubelet
/// starts another, after a back-off of many seconds if it was killed before.
pub fn kill_agent(node: &Node) -> Result<()> {
    let process = agent(node, SPEAKER)?;
    process.signal(libc::SIGKILL)?;
    await_state(process, "end", |process| !process.is_alive())
}

/// Stops a node's speaker as a hang would: it keeps its sockets and does nothing.
pub fn hang_agent(node: &Node) -> Result<Fault> {
    hang(agent(node, SPEAKER)?)
}

/// Stops the API server: connections stay open, and nothing answers.
pub fn stop_api_server(lab: &Lab) -> Result<Fault> {
    hang(lab.folder.process("kube-apiserver")?)
}

/// Stops one of the lab's own programs, by its name in `lab status`.
pub fn hang_program(lab: &Lab, name: &str) -> Result<Fault> {
    hang(lab.folder.process(name)?)
}

fn hang(process: Process) -> Result<Fault> {
    process.signal(libc::SIGSTOP)?;
    let fault = Fault::with(Undo::Continue(process));
    await_state(process, "stop", Process::is_stopped)?;
    Ok(fault)
}

/// Signals take effect when the process is next scheduled: without this a test would measure from
/// an instant at which nothing had happened yet.
fn await_state(process: Process, what: &str, holds: fn(Process) -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds(process) {
        if Instant::now() > deadline {
            bail!("process {} does not {what}", process.pid);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Cuts a node off the mesh; wire and API stay whole.
pub fn cut_mesh(node: &Node) -> Result<Fault> {
    cut_port(node, MESH_PORT)
}

/// Drops what a node sends to this port or receives from it, UDP and TCP, both directions. In a
/// table of its own: it comes and goes as a whole and meets nothing of kube-proxy's.
pub fn cut_port(node: &Node, port: u16) -> Result<Fault> {
    let chain = |hook: &str| {
        format!(
            "chain {hook} {{\n type filter hook {hook} priority raw\n \
             meta l4proto {{ tcp, udp }} th dport {port} drop\n \
             meta l4proto {{ tcp, udp }} th sport {port} drop\n}}\n"
        )
    };
    let table = format!("table inet {TABLE} {{\n{}{}}}\n", chain("input"), chain("output"));
    feed(inside(&node.namespace, "nft").args(["-f", "-"]), &table)?;
    Ok(Fault::with(Undo::OpenPort(node.namespace.clone())))
}

fn open_port(namespace: &str) -> Result<()> {
    output(inside(namespace, "nft").args(["delete", "table", "inet", TABLE])).map(drop)
}

/// Adds a host to the segment that owns this address and answers for it, as any kernel does.
pub fn foreign_host(address: Ipv4Addr) -> Result<(Machine, Fault)> {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % 50;
    let machine = Machine::numbered(&format!("{FOREIGN}{number}"), FIRST_FOREIGN + number);
    let fault = Fault::with(Undo::Unplug(machine.clone()));
    up::plug(&machine)?;
    ip(&machine.namespace, &format!("addr add {address}/32 dev eth0\n"))?;
    Ok((machine, fault))
}

/// Undoes every fault that an earlier test left because it was killed before it could.
pub fn heal_all(lab: &Lab) -> Result<()> {
    for (_, process) in lab.folder.processes() {
        if process.is_stopped() {
            process.signal(libc::SIGCONT)?;
        }
    }
    for node in lab.nodes() {
        ip(SWITCH, &format!("link set {} up\n", node.port))?;
        // Usually there is none.
        let _ = open_port(&node.namespace);
        for process in in_network(&namespace::path(&node.namespace)) {
            if process.is_stopped() && process.name().as_deref() == Some(SPEAKER) {
                process.signal(libc::SIGCONT)?;
            }
        }
    }
    let foreign = format!("{PREFIX}{FOREIGN}");
    for name in namespace::existing().iter().filter(|name| name.starts_with(&foreign)) {
        // Its cable goes with it.
        output(Command::new("ip").args(["netns", "del", name]))?;
    }
    Ok(())
}
