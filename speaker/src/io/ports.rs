//! The open ports: one for each link that can carry announcements, each a task of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crds::model::ids::IfIndex;
use crds::model::range::AddressRange;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::port::Port;
use crate::announce::desired::PortSpec;
use crate::announce::table::Table;
use crate::filter::Program;
use crate::respond::Heard;

/// An open port and its name.
#[derive(Debug, Clone)]
pub struct Named {
    /// The link's name when it was last told.
    pub name: String,
    /// The port.
    pub port: Arc<Port>,
}

/// All open ports. Closing one is dropping it.
#[derive(Debug)]
pub struct Ports {
    table: Arc<ArcSwap<Table>>,
    heard: mpsc::Sender<Heard>,
    ranges: Vec<AddressRange>,
    specs: Vec<PortSpec>,
    open: BTreeMap<IfIndex, (Named, AbortOnDropHandle<()>)>,
}

impl Ports {
    /// No ports yet; those to come answer what `table` says and tell `heard` what they overhear.
    pub fn new(table: Arc<ArcSwap<Table>>, heard: mpsc::Sender<Heard>) -> Self {
        Self { table, heard, ranges: Vec::new(), specs: Vec::new(), open: BTreeMap::new() }
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
    }

    /// Lets only frames about `ranges` through on every port.
    pub fn set_ranges(&mut self, ranges: Vec<AddressRange>) {
        self.ranges = ranges;
        self.refresh();
    }

    /// Sends `frame` on `link`; whether the kernel took it.
    pub fn send(&self, link: IfIndex, frame: &[u8]) -> bool {
        self.open.get(&link).is_some_and(|(named, _)| named.port.send(frame).is_ok())
    }

    /// The open ports, for the metrics.
    pub fn open(&self) -> Vec<Named> {
        self.open.values().map(|(named, _)| named.clone()).collect()
    }

    fn refresh(&mut self) {
        for spec in &self.specs {
            let PortSpec { index, name, mac } = spec;
            let program = Program::compile(&self.ranges, *index, *mac);
            if let Some((named, _)) = self.open.get_mut(index) {
                named.name.clone_from(name);
                if let Err(error) = named.port.update(*mac, &program) {
                    tracing::error!(interface = name, %error, "cannot update the packet socket");
                }
                continue;
            }
            match Port::open(*index, *mac, &program) {
                Ok(port) => {
                    tracing::info!(
                        event = "createARPResponder",
                        interface = name,
                        "opened an ARP responder"
                    );
                    let named = Named { name: name.clone(), port: Arc::new(port) };
                    self.open.insert(*index, (named.clone(), self.spawn(named)));
                }
                // The link may have gone since; netlink will tell.
                Err(error) => {
                    tracing::error!(interface = name, %error, "cannot open a packet socket");
                }
            }
        }
    }

    fn spawn(&self, Named { name, port }: Named) -> AbortOnDropHandle<()> {
        let (table, heard) = (Arc::clone(&self.table), self.heard.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let error = port.run(&table, &heard).await;
            tracing::error!(interface = name, %error, "the ARP responder ended");
        }))
    }
}
