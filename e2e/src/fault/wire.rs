//! The wire: cables, the switch, and strangers on it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Result;

use super::{Fault, Table, Undo};
use crate::cluster::Lab;
use crate::namespace::{inside, ip, output};
use crate::plan::{FIRST_FOREIGN, Machine, Node, SWITCH};
use crate::up;

/// Hosts that are not of the cluster are called this and a number.
pub(super) const FOREIGN: &str = "foreign";

/// Cuts a node's power, or pulls its cable: nothing from it or to it passes any more, and both ends
/// of the cable see that.
pub fn cut(node: &Node) -> Result<Fault> {
    ip(SWITCH, &format!("link set {} down\n", node.port))?;
    Ok(Fault::with(Undo::Plug(node.machine.clone())))
}

/// Cuts a node off as a dead switch further away does: the carrier stays, no frame passes.
pub fn cut_silently(node: &Node) -> Result<Fault> {
    let port = &node.port;
    drop_in_switch(&format!("iifname {port} drop\n  oifname {port} drop"))
}

/// Cuts the wire in two, with the carrier up everywhere: these machines on one side, on the other
/// all the rest, the client and the control plane among them.
pub fn halves<'a>(left: impl IntoIterator<Item = &'a Machine>) -> Result<Fault> {
    let ports: Vec<&str> = left.into_iter().map(|machine| machine.port.as_str()).collect();
    let ports = ports.join(", ");
    drop_in_switch(&format!(
        "iifname {{ {ports} }} oifname != {{ {ports} }} drop\n  \
         iifname != {{ {ports} }} oifname {{ {ports} }} drop"
    ))
}

/// Rules on what crosses the switch. Its table of learned addresses stays as it is.
fn drop_in_switch(rules: &str) -> Result<Fault> {
    let chain = format!("chain forward {{\n  type filter hook forward priority 0\n  {rules}\n}}\n");
    Ok(Fault::with(Undo::Table(Table::put(SWITCH, "bridge", &chain)?)))
}

/// A switch with private VLANs: no frame passes from node to node; the client and the control plane
/// reach all of them.
pub fn isolate_ports(lab: &Lab) -> Result<Fault> {
    let ports: Vec<String> = lab.nodes().iter().map(|node| node.port.clone()).collect();
    let fault = Fault::with(Undo::Join(ports.clone()));
    ports.iter().try_for_each(|port| isolate(port, true))?;
    Ok(fault)
}

/// An isolated port exchanges frames only with those that are not.
pub(super) fn isolate(port: &str, on: bool) -> Result<()> {
    let switch = if on { "on" } else { "off" };
    let args = ["link", "set", "dev", port, "isolated", switch];
    output(inside(SWITCH, "bridge").args(args)).map(drop)
}

/// Adds a host to the segment that owns this address and answers for it, as any kernel does.
pub fn foreign_host(address: IpAddr) -> Result<(Machine, Fault)> {
    let (machine, fault) = bystander()?;
    let only = match address {
        IpAddr::V4(_) => format!("{address}/32"),
        // It does not ask first whether anybody has it.
        IpAddr::V6(_) => format!("{address}/128 nodad"),
    };
    ip(&machine.namespace, &format!("addr add {only} dev eth0\n"))?;
    Ok((machine, fault))
}

/// Adds a host to the segment that has no address of any pool.
pub fn bystander() -> Result<(Machine, Fault)> {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % 50;
    let machine = Machine::numbered(&format!("{FOREIGN}{number}"), FIRST_FOREIGN + number);
    let fault = Fault::with(Undo::Unplug(machine.clone()));
    up::plug(&machine)?;
    Ok((machine, fault))
}
