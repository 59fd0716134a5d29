//! A port at work within a namespace, on a thread and a runtime of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use crds::model::ids::{IfIndex, MacAddr};
use crds::model::range::AddressRange;
use speaker::announce::table::{Answer, Entry, Links, Table};
use speaker::engine::Event;
use speaker::io::clock::Clock;
use speaker::io::deadline::Deadline;
use speaker::io::frames::FramePort;
use speaker::io::port::{Port, Programs};
use speaker::moment::Moment;
use speaker::respond::Heard;
use tokio::sync::{mpsc, oneshot};

use super::log::Log;
use super::{Namespace, wait_for};

pub struct Responder {
    pub port: Arc<Port>,
    pub frames: Arc<FramePort>,
    pub table: Arc<ArcSwap<Table>>,
    /// Never passes, unless a test says otherwise.
    pub deadline: Deadline,
    pub clock: Clock,
    /// What its tasks log.
    pub log: Log,
    told: mpsc::Receiver<Event>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Opens link `index` of `namespace` with a filter for `range`, and answers nothing yet.
    pub fn start(namespace: &Namespace, index: IfIndex, mac: MacAddr, range: &str) -> Self {
        let programs = programs(range, index, mac);
        let table = Arc::new(ArcSwap::from_pointee(Table::default()));
        let clock = Clock::new();
        let deadline = Deadline::new(clock);
        deadline.renew(Moment::END);
        let (opened, port) = std_mpsc::channel();
        let (tell, told) = mpsc::channel(1024);
        let (stop, stopped) = oneshot::channel();
        let namespace = namespace.name().to_owned();
        let (shared, switch) = (Arc::clone(&table), deadline.clone());
        let log = Log::default();
        let gathered = log.clone();
        let thread = thread::spawn(move || {
            Namespace::enter_named(&namespace);
            let _gathering = gathered.gather();
            runtime().block_on(async {
                let port = Arc::new(Port::open(index, mac, &programs).unwrap());
                let frames = Arc::new(FramePort::open(Arc::clone(&port)).unwrap());
                opened.send((Arc::clone(&port), Arc::clone(&frames))).unwrap();
                tokio::select! {
                    error = port.run(&shared, &switch, &tell) => panic!("{error}"),
                    error = frames.run(&tell) => panic!("{error}"),
                    _ = stopped => {}
                }
            });
        });
        let (port, frames) = port.recv().unwrap();
        let (stop, thread) = (Some(stop), Some(thread));
        Self { port, frames, table, deadline, clock, log, told, stop, thread }
    }

    /// From now on answers for exactly these addresses.
    pub fn answer<A: Into<IpAddr> + Copy>(&self, answers: &[(A, Answer)]) {
        let entry = |(address, answer): &(A, Answer)| {
            let address: IpAddr = (*address).into();
            (address, Entry { links: Links::All, answer: answer.clone() })
        };
        let next = Table::following(&self.table.load(), answers.iter().map(entry));
        self.table.store(Arc::new(next));
    }

    /// The next thing told.
    pub fn told(&mut self) -> Event {
        wait_for("news", || self.told.try_recv())
    }

    /// The next thing told, which is about ARP.
    pub fn heard(&mut self) -> Heard {
        match self.told() {
            Event::Heard(heard) => heard,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until `frames` frames have been read in all, and no more than those.
    pub fn read(&self, frames: u64) {
        let counters = self.port.counters();
        wait_for("frame read", || {
            let received = counters.received();
            if received >= frames { Ok(()) } else { Err(received) }
        });
        assert_eq!(counters.received(), frames, "more frames than expected woke the port");
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            assert!(thread::panicking(), "the port's thread failed");
        }
    }
}

/// The filters for one range on one link.
pub fn programs(range: &str, index: IfIndex, mac: MacAddr) -> Programs {
    Programs::compile(&[AddressRange::parse(range).unwrap()], index, mac)
}

/// A runtime on the calling thread alone, so that its sockets are of the thread's namespace.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
