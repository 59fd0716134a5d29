//! The port in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};

use arc_swap::ArcSwap;
use crds::model::ids::IfIndex;
use crds::model::range::AddressRange;
use speaker::announce::table::{Answer, Entry, Links, Table};
use speaker::io::clock::Clock;
use speaker::io::deadline::Deadline;
use speaker::io::port::{Port, Programs};
use speaker::moment::Moment;
use tokio::sync::mpsc;

use crate::netns::{NODE_LINK, NODE_MAC, Wire};

/// The first of the addresses answered, 10.64.0.0; the others follow.
pub const FIRST: u32 = 0x0a40_0000;
/// The pool that they come from, and that the filter is made for.
const POOL: &str = "10.64.0.0/16";

/// A running responder process; ended on drop.
pub struct Responder(Child);

impl Responder {
    /// Starts one for so many addresses, and waits until it answers.
    pub fn start(wire: &Wire, addresses: u32) -> Self {
        let program = std::env::current_exe().unwrap();
        let index = wire.node.index(NODE_LINK);
        // nsenter replaces itself by the program, so the child's pid is the responder's.
        let line = format!("{} responder {index} {NODE_MAC} {addresses}", program.display());
        let mut command = wire.node.command(&line);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        Self(child)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The responder process: the runtime is the speaker's.
pub fn serve(index: &str, mac: &str, addresses: &str) {
    let index = IfIndex(index.parse().unwrap());
    let mac = mac.parse().unwrap();
    let entry = Entry { links: Links::All, answer: Answer::Own };
    let addresses = (0..addresses.parse().unwrap())
        .map(|n: u32| (Ipv4Addr::from_bits(FIRST + n), entry.clone()));
    let table = ArcSwap::from_pointee(Table::following(&Table::default(), addresses));
    // No address, no pool: the filter drops everything.
    let pools: &[&str] = if table.load().is_empty() { &[] } else { &[POOL] };
    let ranges: Vec<_> = pools.iter().map(|pool| AddressRange::parse(pool).unwrap()).collect();
    let programs = Programs::compile(&ranges, index, mac);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (events, _news) = mpsc::channel(64);
    let deadline = Deadline::new(Clock::new());
    deadline.renew(Moment::END);
    runtime.spawn(async move {
        let port = Port::open(index, mac, &programs).unwrap();
        println!("ready");
        std::io::stdout().flush().unwrap();
        panic!("{}", port.run(&table, &deadline, &events).await);
    });
    let _ = std::io::stdin().read(&mut [0]);
}
