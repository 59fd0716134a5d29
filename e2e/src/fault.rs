//! Breaks the lab on purpose. Every fault is a value that undoes itself when dropped, so that a test
//! that fails leaves a whole lab to the next; `heal` does it earlier, and says whether it worked.

mod agent;
mod mesh;
mod wire;

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use crate::cluster::Lab;
use crate::label::{DRAIN, EXCLUDE};
use crate::namespace::{self, inside, ip, output};
use crate::plan::{Machine, PREFIX, SWITCH};
use crate::process::{Process, in_network};
use crate::up;

pub use agent::{SPEAKER, agent, hang_agent, hang_program, kill_agent, stop_api_server};
pub use mesh::{cut_mesh, cut_mesh_everywhere, cut_port};
pub use wire::{bystander, cut, cut_silently, foreign_host, halves, isolate_ports};

/// Rules that drop frames or packets live in tables whose names begin with this.
const TABLE: &str = "lab_fault";

/// A fault in force.
#[must_use = "a fault ends when its guard is dropped"]
#[derive(Debug)]
pub struct Fault {
    undo: Vec<Undo>,
}

#[derive(Debug)]
enum Undo {
    /// Puts a machine's cable in again.
    Plug(Machine),
    Continue(Process),
    Table(Table),
    Unplug(Machine),
    /// Lets these ports exchange frames again.
    Join(Vec<String>),
}

/// Rules that drop what the fault is to swallow. A table of its own for each fault: it comes and
/// goes as a whole, and meets nothing of kube-proxy's.
#[derive(Debug)]
struct Table {
    namespace: String,
    family: &'static str,
    name: String,
}

impl Table {
    /// Puts these chains in force in a namespace.
    fn put(namespace: &str, family: &'static str, chains: &str) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{TABLE}_{}_{number}", std::process::id());
        let rules = format!("table {family} {name} {{\n{chains}}}\n");
        namespace::feed(inside(namespace, "nft").args(["-f", "-"]), &rules)?;
        Ok(Self { namespace: namespace.to_owned(), family, name })
    }

    fn delete(&self) -> Result<()> {
        let Self { namespace, family, name } = self;
        output(inside(namespace, "nft").args(["delete", "table", family, name])).map(drop)
    }

    /// What earlier faults have left in a namespace.
    fn left(namespace: &str) -> Result<Vec<Self>> {
        let text = output(inside(namespace, "nft").args(["list", "tables"]))?;
        let parse = |line: &str| {
            let (family, name) = line.strip_prefix("table ")?.split_once(' ')?;
            let family = ["inet", "bridge"].into_iter().find(|known| *known == family)?;
            let (namespace, name) = (namespace.to_owned(), name.trim().to_owned());
            name.starts_with(TABLE).then_some(Self { namespace, family, name })
        };
        Ok(text.lines().filter_map(parse).collect())
    }
}

impl Fault {
    fn with(undo: Undo) -> Self {
        Self { undo: vec![undo] }
    }

    /// Two faults as one.
    pub fn and(mut self, mut other: Self) -> Self {
        self.undo.append(&mut other.undo);
        self
    }

    /// Ends the fault now.
    pub fn heal(mut self) -> Result<()> {
        self.perform()
    }

    /// Undoes everything, the last first; the first error is told after all was tried.
    fn perform(&mut self) -> Result<()> {
        let results: Vec<Result<()>> = self.undo.drain(..).rev().map(Undo::perform).collect();
        results.into_iter().collect()
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if let Err(error) = self.perform() {
            eprintln!("a fault could not be undone: {error:#}");
        }
    }
}

impl Undo {
    fn perform(self) -> Result<()> {
        match self {
            Self::Plug(node) => ip(SWITCH, &format!("link set {} up\n", node.port)),
            Self::Continue(process) => process.signal(libc::SIGCONT),
            Self::Table(table) => table.delete(),
            Self::Unplug(host) => up::unplug(&host),
            Self::Join(ports) => ports.iter().try_for_each(|port| wire::isolate(port, false)),
        }
    }
}

/// Undoes every fault that an earlier test left because it was killed before it could.
pub fn heal_all(lab: &Lab) -> Result<()> {
    for (_, process) in lab.folder.processes() {
        if process.is_stopped() {
            process.signal(libc::SIGCONT)?;
        }
    }
    for table in Table::left(SWITCH)? {
        table.delete()?;
    }
    for node in lab.nodes() {
        ip(SWITCH, &format!("link set {} up\n", node.port))?;
        wire::isolate(&node.port, false)?;
        for table in Table::left(&node.namespace)? {
            table.delete()?;
        }
        for process in in_network(&namespace::path(&node.namespace)) {
            if process.is_stopped() && process.name().as_deref() == Some(SPEAKER) {
                process.signal(libc::SIGCONT)?;
            }
        }
    }
    for verb in ["label", "annotate"] {
        let marks = [EXCLUDE, DRAIN].map(|key| format!("{key}-"));
        let all = ["nodes", "--all", "--request-timeout=10s"];
        lab.kubectl(&[&[verb][..], &all, &[&marks[0], &marks[1]]].concat())?;
    }
    let foreign = format!("{PREFIX}{}", wire::FOREIGN);
    for name in namespace::existing().iter().filter(|name| name.starts_with(&foreign)) {
        // Its cable goes with it.
        output(Command::new("ip").args(["netns", "del", name]))?;
    }
    Ok(())
}
