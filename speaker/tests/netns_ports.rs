//! Ports that open and close on a real link, and what the log says of it: MetalLB's words.

use std::sync::Arc;

use crate::netns::{NODE_LINK, NODE_MAC, Wire};
use arc_swap::ArcSwap;
use kit::testing::Log;
use serde_json::{Value, json};
use speaker::announce::desired::PortSpec;
use speaker::announce::table::Table;
use speaker::io::clock::Clock;
use speaker::io::deadline::Deadline;
use speaker::io::ports::Ports;
use tokio::sync::mpsc;

#[test]
#[ignore = "needs CAP_NET_ADMIN: make netns"]
fn a_responder_is_logged_when_it_begins_and_when_it_ends() {
    let wire = Wire::new();
    let index = wire.node.index(NODE_LINK);
    let spec = PortSpec { index, name: NODE_LINK.to_owned(), mac: NODE_MAC, v6: true };
    let line = |event: &str, msg: &str| json!({"level": "info", "event": event, "interface": NODE_LINK, "msg": msg});
    wire.node.within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let log = Log::collect();
            let table = Arc::new(ArcSwap::from_pointee(Table::default()));
            let (events, _heard) = mpsc::channel(16);
            let mut ports = Ports::new(table, Deadline::new(Clock::new()), events);
            ports.set(vec![spec.clone()]);
            let opened = line("createARPResponder", "opened an ARP responder");
            assert_eq!(log.take(), [opened]);
            ports.set(vec![spec]);
            assert_eq!(log.take(), [Value::Null; 0]);
            ports.set(Vec::new());
            let closed = line("deleteARPResponder", "closed the ARP responder");
            assert_eq!(log.take(), [closed]);
        });
    });
}
