//! Programs that end or hang while their machine lives.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Fault, Undo};
use crate::cluster::Lab;
use crate::namespace;
use crate::plan::Node;
use crate::process::{Process, in_network};

/// The speaker's program, as the kernel names its process.
pub const SPEAKER: &str = "speaker";

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
