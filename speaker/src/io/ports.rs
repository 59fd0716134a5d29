//! The open ports: one for each link that can carry announcements, each with two tasks, one that
//! answers ARP and neighbour discovery and one that receives the speakers' own frames.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crds::model::ids::{IfIndex, MacAddr};
use crds::model::range::AddressRange;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::deadline::Deadline;
use super::frames::FramePort;
use super::groups::Groups;
use super::port::{Port, Programs};
use crate::announce::desired::{Desired, PortSpec, groups};
use crate::announce::table::{Entry, Table};
use crate::engine::Event;

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

/// All open ports. Closing one is dropping it.
#[derive(Debug)]
pub struct Ports {
    table: Arc<ArcSwap<Table>>,
    deadline: Deadline,
    events: mpsc::Sender<Event>,
    ranges: Vec<AddressRange>,
    specs: Vec<PortSpec>,
    open: BTreeMap<IfIndex, (Named, [AbortOnDropHandle<()>; 2])>,
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
                if let Err(error) = named.port.update(*mac, &programs) {
                    tracing::error!(interface = name, %error, "cannot update the packet socket");
                }
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
                }
                // The link may have gone since; netlink will tell.
                Err(error) => {
                    tracing::error!(interface = name, %error, "cannot open a packet socket");
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
