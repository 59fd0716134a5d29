//! Frames that claim an address for hosts that nobody has, as anybody on the segment can send them.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;

use super::arp;
use super::family::in_namespace;
use super::said::Mac;
use crate::plan::CLIENT;
use crate::raw;
use crate::wait::{Look, until_blocking};

/// The kernel's queue for one interface may be full for a moment.
const SENT: Duration = Duration::from_secs(5);

/// Sends so many gratuitous requests from the client, each for another made-up MAC.
pub fn forge_claims(ip: Ipv4Addr, count: u32) -> Result<()> {
    let socket = in_namespace(CLIENT, || raw::packet_socket("eth0", arp::ETHERTYPE))?;
    let mut left = (0..count).peekable();
    until_blocking(SENT, "forged frames to be taken", || {
        while let Some(number) = left.peek() {
            let [a, b, c, d] = number.to_be_bytes();
            match socket.send(&arp::claim(Mac([0x06, 0x66, a, b, c, d]), ip)) {
                Ok(_) => _ = left.next(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Look::NotYet(format!("{} left", left.len())));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Look::Seen(()))
    })
}
