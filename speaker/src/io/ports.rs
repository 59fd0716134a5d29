//! The open ports: one for each link that can carry announcements, each with two tasks, one that
//! answers ARP and neighbour discovery and one that receives the speakers' own frames.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use crds::model::ids::{IfIndex, MacAddr};
use crds::model::range::AddressRange;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::deadline::Deadline;
use super::frames::FramePort;
use super::groups::Groups;
use super::port::{Port, Programs};
use crate::announce::desired::{Desired, PortSpec, groups};
use crate::announce::table::{Entry, Table};
use crate::engine::Event;

/// How soon a socket that was refused is tried again, at first and at most.
const TRY_AGAIN: Duration = Duration::from_secs(1);
const TRY_AGAIN_LATER: Duration = Duration::from_secs(30);

/// An open port and its name.
#[derive(Debug, Clone)]
pub struct Named {
    /// The link's name when it was last told.
    pub name: String,
    /// The port.
    pub port: Arc<Port>,
    /// Its socket for the speakers' own frames.
    pub frames: Arc<FramePort>,
}

/// A link whose socket could not be opened.
#[derive(Debug)]
struct Refused {
    /// The kernel's reason.
    error: String,
    /// It is tried again then, and after that so much later.
    due: Instant,
    pause: Duration,
}

/// All open ports. Closing one is dropping it.
#[derive(Debug)]
pub struct Ports {
    table: Arc<ArcSwap<Table>>,
    deadline: Deadline,
    events: mpsc::Sender<Event>,
    ranges: Vec<AddressRange>,
    specs: Vec<PortSpec>,
    open: BTreeMap<IfIndex, (Named, [AbortOnDropHandle<()>; 2])>,
    refused: BTreeMap<IfIndex, Refused>,
    /// Which of these were told last.
    told: BTreeMap<IfIndex, String>,
    /// The IPv6 addresses answered for, which must be listened for.
    v6: Desired,
    groups: Groups,
}

impl Ports {
    /// No ports yet; those to come answer what `table` says, until `deadline`, and tell `events`
    /// what they hear.
    pub fn new(
        table: Arc<ArcSwap<Table>>,
        deadline: Deadline,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            table,
            deadline,
            events,
            ranges: Vec::new(),
            specs: Vec::new(),
            open: BTreeMap::new(),
            refused: BTreeMap::new(),
            told: BTreeMap::new(),
            v6: Desired::new(),
            groups: Groups::default(),
        }
    }

    /// Opens, updates and closes until the open ports are those of `specs`.
    pub fn set(&mut self, specs: Vec<PortSpec>) {
        let wanted = |index: &IfIndex| specs.iter().any(|spec| spec.index == *index);
        self.open.retain(|index, (named, _)| {
            let keep = wanted(index);
            if !keep {
                let interface = named.name.as_str();
                tracing::info!(event = "deleteARPResponder", interface, "closed the ARP responder");
            }
            keep
        });
        self.refused.retain(|index, _| wanted(index));
        self.specs = specs;
        self.refresh();
        self.listen();
    }

    /// Has solicitations for the IPv6 addresses of `desired` come here.
    pub fn listen_for(&mut self, desired: &Desired) {
        let v6 = |(address, _): &(&IpAddr, &Entry)| address.is_ipv6();
        let v6 = desired.iter().filter(v6);
        self.v6 = v6.map(|(address, entry)| (*address, entry.clone())).collect();
        self.listen();
    }

    fn listen(&mut self) {
        self.groups.set(&groups(&self.v6, &self.specs));
    }

    /// Lets only frames about `ranges` through on every port.
    pub fn set_ranges(&mut self, ranges: Vec<AddressRange>) {
        self.ranges = ranges;
        self.refresh();
    }

    /// The links that are wanted and refused, with the kernel's reasons, where that is news.
    pub fn refused(&mut self) -> Option<BTreeMap<IfIndex, String>> {
        let refused = self.refused.iter().map(|(index, it)| (*index, it.error.clone()));
        let refused: BTreeMap<IfIndex, String> = refused.collect();
        (self.told != refused).then(|| {
            self.told.clone_from(&refused);
            refused
        })
    }

    /// When refused links are tried again next.
    pub fn next_try(&self) -> Option<Instant> {
        self.refused.values().map(|it| it.due).min()
    }

    /// Tries again what was refused, and is due.
    pub fn try_again(&mut self) {
        self.refresh();
        self.listen();
    }

    /// Sends a gratuitous `frame` on `link`; whether the kernel took it. Past the deadline it is
    /// not sent: an announcement does more harm than an answer, and a process that was stopped just
    /// before one would send it first of all when it goes on.
    pub fn announce(&self, link: IfIndex, frame: &[u8]) -> bool {
        !self.deadline.has_passed() && self.send(link, frame)
    }

    /// Sends `frame`, which must claim nothing, on `link`; whether the kernel took it.
    pub fn send(&self, link: IfIndex, frame: &[u8]) -> bool {
        self.open.get(&link).is_some_and(|(named, _)| named.port.send(frame).is_ok())
    }

    /// Sends one of the speakers' own frames on `link`; an error is counted.
    pub fn send_frame(&self, link: IfIndex, to: MacAddr, payload: &[u8]) {
        if let Some((named, _)) = self.open.get(&link) {
            let _counted = named.frames.send(to, payload);
        }
    }

    /// The open ports, for the metrics.
    pub fn open(&self) -> Vec<Named> {
        self.open.values().map(|(named, _)| named.clone()).collect()
    }

    /// The links of the open ports.
    pub fn links(&self) -> impl Iterator<Item = IfIndex> {
        self.open.keys().copied()
    }

    /// The name of `link`, if it has a port; otherwise its number.
    pub fn name(&self, link: IfIndex) -> String {
        self.open.get(&link).map_or_else(|| link.to_string(), |(named, _)| named.name.clone())
    }

    fn refresh(&mut self) {
        for spec in &self.specs {
            let PortSpec { index, name, mac, .. } = spec;
            let programs = Programs::compile(&self.ranges, *index, *mac);
            if let Some((named, _)) = self.open.get_mut(index) {
                named.name.clone_from(name);
                match named.port.update(*mac, &programs) {
                    Ok(()) => continue,
                    // Deaf to something that it should hear: better none than half of one.
                    Err(error) => {
                        tracing::error!(interface = name, %error, "the filter of a packet socket is refused");
                        self.open.remove(index);
                    }
                }
            }
            if self.refused.get(index).is_some_and(|refused| refused.due > Instant::now()) {
                continue;
            }
            match open(spec, &programs) {
                Ok(named) => {
                    tracing::info!(
                        event = "createARPResponder",
                        interface = name,
                        "opened an ARP responder"
                    );
                    let tasks = self.spawn(named.clone());
                    self.open.insert(*index, (named, tasks));
                    self.refused.remove(index);
                }
                Err(error) => {
                    let error = error.to_string();
                    let before = self.refused.get(index);
                    if before.is_none_or(|before| before.error != error) {
                        tracing::error!(
                            event = "socketRefused",
                            interface = name,
                            %error,
                            "cannot open a packet socket: nothing is answered here, trying again"
                        );
                    }
                    let pause = before.map_or(TRY_AGAIN, |before| before.pause * 2);
                    let pause = pause.min(TRY_AGAIN_LATER);
                    let due = Instant::now() + pause;
                    self.refused.insert(*index, Refused { error, due, pause });
                }
            }
        }
    }

    fn spawn(&self, Named { name, port, frames }: Named) -> [AbortOnDropHandle<()>; 2] {
        let (table, deadline) = (Arc::clone(&self.table), self.deadline.clone());
        let (interface, events) = (name.clone(), self.events.clone());
        let answering = tokio::spawn(async move {
            let error = port.run(&table, &deadline, &events).await;
            tracing::error!(interface, %error, "the ARP responder ended");
        });
        let (interface, events) = (name, self.events.clone());
        let receiving = tokio::spawn(async move {
            let error = frames.run(&events).await;
            tracing::error!(interface, %error, "the receiver of the speakers' frames ended");
        });
        [answering, receiving].map(AbortOnDropHandle::new)
    }
}

fn open(PortSpec { index, name, mac, .. }: &PortSpec, programs: &Programs) -> io::Result<Named> {
    let port = Arc::new(Port::open(*index, *mac, programs)?);
    let frames = Arc::new(FramePort::open(Arc::clone(&port))?);
    Ok(Named { name: name.clone(), port, frames })
}
