//! The packet socket: the few system calls that no crate wraps safely.
//!
//! It looks into no frame and decides nothing. This is the only `unsafe` code of the speaker.
#![expect(unsafe_code, reason = "no crate wraps sockaddr_ll, PACKET_STATISTICS or AsyncFd safely")]

use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::AsRawFd as _;

use crds::model::ids::IfIndex;
use socket2::{Domain, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::filter::Program;

/// What wakes the port: frames, and errors by themselves. When a link goes down the kernel leaves
/// `ENETDOWN` on the socket for whichever call comes next; readiness to read does not tell of it.
pub(super) const EVENTS: Interest = Interest::READABLE.add(Interest::ERROR);

/// Room for bursts; the kernel silently takes less where `net.core.rmem_max` is lower. A queued
/// frame counts with about 800 bytes, so the usual default of 208 KiB would hold some 270.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Opens a non-blocking socket that receives the frames with `ethertype` of link `index` that pass
/// `program`, and sends on that link. It is registered with the tokio runtime of the calling thread.
///
/// The order matters: a socket made with its protocol queues frames of every link until it is
/// bound, so it is made with protocol 0, gets its filter, and only then is bound. `SO_BINDTODEVICE`
/// would not confine it; the index in its address does (both tried on Linux 6.18).
pub(super) fn open(
    index: IfIndex,
    ethertype: u16,
    program: &Program,
) -> io::Result<AsyncFd<Socket>> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    attach(&socket, program)?;
    socket.bind(&address(index, ethertype)?)?;
    register(socket)
}

/// Has the tokio runtime of the calling thread wake whoever waits for `socket`.
pub(super) fn register(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a `Socket` owns its descriptor, never exchanges it, and closes it only when dropped,
    // which the `AsyncFd` that owns it from here on does last.
    let registered = unsafe { AsyncFd::register_with_interest(socket, EVENTS) };
    registered.map_err(|error| error.into_parts().1)
}

/// Puts `program` in the place of the filter before it, with no moment in between without one.
pub(super) fn attach(socket: &Socket, program: &Program) -> io::Result<()> {
    let instructions: Vec<SockFilter> =
        program.0.iter().map(|i| SockFilter::new(i.code, i.jt, i.jf, i.k)).collect();
    socket.attach_filter(&instructions)
}

/// Sends a whole Ethernet frame, at once or not at all.
///
/// A link that went down leaves `ENETDOWN` behind on the socket, which the next call gets, be it a
/// send long after the link came back: the very announcement that a link's return asks for. Hence
/// that error is only believed the second time (tried on Linux 6.18).
pub(super) fn send(socket: &Socket, frame: &[u8]) -> io::Result<()> {
    let sent = match socket.send(frame) {
        Err(error) if error.kind() == ErrorKind::NetworkDown => socket.send(frame),
        sent => sent,
    };
    // A packet socket takes a frame whole or not at all.
    sent.map(drop)
}

/// Frames that passed the filter since the last call but found the receive queue full. Reading
/// resets the kernel's counters.
pub(super) fn take_drops(socket: &Socket) -> io::Result<u32> {
    // SAFETY: a C struct of integers; all zeroes is a value of it.
    let mut statistics: libc::tpacket_stats = unsafe { mem::zeroed() };
    let mut len = len_of::<libc::tpacket_stats>();
    // SAFETY: the descriptor is open for as long as `socket` is borrowed; the kernel writes at most
    // `len` bytes into `statistics`, which is that large and outlives the call.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut len,
        )
    };
    if status == 0 { Ok(statistics.tp_drops) } else { Err(io::Error::last_os_error()) }
}

fn address(index: IfIndex, ethertype: u16) -> io::Result<SockAddr> {
    let index = i32::try_from(index.0).map_err(io::Error::other)?;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is one of the address types that the storage is made to hold.
    let link: &mut libc::sockaddr_ll = unsafe { storage.view_as() };
    link.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    // In host byte order the kernel takes the number as well, and no frame ever arrives.
    link.sll_protocol = ethertype.to_be();
    link.sll_ifindex = index;
    // SAFETY: the storage holds a `sockaddr_ll`: family set above, the rest zero or set.
    Ok(unsafe { SockAddr::new(storage, len_of::<libc::sockaddr_ll>()) })
}

fn len_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("C structs are small")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_names_the_link_and_the_protocol_in_network_byte_order() {
        let address = address(IfIndex(7), 0x0806).unwrap();
        assert_eq!(i32::from(address.family()), libc::AF_PACKET);
        assert_eq!(address.len(), len_of::<libc::sockaddr_ll>());
        // SAFETY: the address is a `sockaddr_ll`, made above, and read within its length.
        let link = unsafe { &*address.as_ptr().cast::<libc::sockaddr_ll>() };
        assert_eq!(link.sll_protocol.to_ne_bytes(), [0x08, 0x06]);
        assert_eq!(link.sll_ifindex, 7);
    }
}
