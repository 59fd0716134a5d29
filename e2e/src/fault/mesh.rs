//! The mesh cut, the wire whole: what a firewall between the nodes does.

use anyhow::Result;

use super::{Fault, Table, Undo};
use crate::cluster::Lab;
use crate::plan::Node;

/// The mesh between the speakers: UDP and TCP.
const MESH_PORT: u16 = 7946;

/// Cuts a node off the mesh; wire and API stay whole.
pub fn cut_mesh(node: &Node) -> Result<Fault> {
    cut_port(node, MESH_PORT)
}

/// Cuts every node off the mesh.
pub fn cut_mesh_everywhere(lab: &Lab) -> Result<Fault> {
    let nothing = Fault { undo: Vec::new() };
    lab.nodes().iter().try_fold(nothing, |fault, node| Ok(fault.and(cut_mesh(node)?)))
}

/// Drops what a node sends to this port or receives from it, UDP and TCP, both directions.
pub fn cut_port(node: &Node, port: u16) -> Result<Fault> {
    let chain = |hook: &str| {
        format!(
            "chain {hook} {{\n type filter hook {hook} priority raw\n \
             meta l4proto {{ tcp, udp }} th dport {port} drop\n \
             meta l4proto {{ tcp, udp }} th sport {port} drop\n}}\n"
        )
    };
    let chains = chain("input") + &chain("output");
    Ok(Fault::with(Undo::Table(Table::put(&node.namespace, "inet", &chains)?)))
}
