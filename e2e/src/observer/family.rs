//! How each family asks who has an address, and hears it: IPv4 by ARP, IPv6 by neighbour discovery,
//! each on a packet socket of its own.

use std::net::IpAddr;

use anyhow::{Context, Result, anyhow};
use socket2::Socket;

use super::said::{Mac, Said};
use super::{arp, ndp};
use crate::namespace;
use crate::plan::Machine;
use crate::raw;

/// One family's socket, and where it asks from.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) socket: Socket,
    mac: Mac,
    pub(super) own: IpAddr,
}

impl Family {
    /// Asks from `own`, which no interface has, at this machine.
    pub(super) fn open(machine: &Machine, own: IpAddr) -> Result<Self> {
        let ethertype = match own {
            IpAddr::V4(_) => arp::ETHERTYPE,
            IpAddr::V6(_) => ndp::ETHERTYPE,
        };
        let open = || raw::packet_socket("eth0", ethertype);
        let socket = in_namespace(&machine.namespace, open).context("opening a packet socket")?;
        Ok(Self { socket, mac: machine.mac.parse()?, own })
    }

    /// The question for an address; none if it is of the other family.
    pub(super) fn question(&self, target: IpAddr) -> Option<Vec<u8>> {
        match (self.own, target) {
            (IpAddr::V4(own), IpAddr::V4(target)) => {
                Some(arp::question(self.mac, own, target).to_vec())
            }
            (IpAddr::V6(own), IpAddr::V6(target)) => {
                Some(ndp::question(self.mac, own, target).to_vec())
            }
            _ => None,
        }
    }

    /// What a received frame says, if it is of this family.
    pub(super) fn read(&self, frame: &[u8]) -> Option<Said> {
        match self.own {
            IpAddr::V4(_) => arp::parse(frame),
            IpAddr::V6(_) => ndp::parse(frame),
        }
    }
}

/// Opens something in another network namespace; the caller's own thread stays where it is.
pub(super) fn in_namespace<T: Send>(
    namespace: &str,
    open: impl FnOnce() -> std::io::Result<T> + Send,
) -> Result<T> {
    let file = std::fs::File::open(namespace::path(namespace)).context("opening a namespace")?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            raw::enter_network(&file)?;
            open()
        });
        Ok(thread.join().map_err(|_| anyhow!("the thread in {namespace} died"))??)
    })
}
