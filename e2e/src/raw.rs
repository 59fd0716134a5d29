//! The system calls that std and socket2 have no safe form of: `kill`, `setns`, binding a packet
//! socket to an interface, and receiving with the kernel's time stamp. The only unsafe code of the crate.
#![expect(unsafe_code, reason = "libc calls, each with its own SAFETY note")]

use std::ffi::CString;
use std::fs::File;
use std::io::{Error, Result};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: kill takes no pointers.
    checked(unsafe { libc::kill(pid, signal) })
}

/// A packet socket that receives this EtherType on this interface, time-stamped by the kernel.
pub fn packet_socket(interface: &str, ethertype: u16) -> Result<Socket> {
    // With protocol 0 it receives nothing until bound: otherwise frames of other interfaces queue
    // up in between.
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    socket.set_nonblocking(true)?;
    // Replies arrive in bursts while this process waits for a core.
    set(socket.as_raw_fd(), libc::SO_RCVBUFFORCE, 16 << 20)?;
    set(socket.as_raw_fd(), libc::SO_TIMESTAMPNS, 1)?;

    let name = CString::new(interface)?;
    // SAFETY: the name is a C string that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: sockaddr_ll is plain integers, for which zeros are valid.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).map_err(Error::other)?;
    // In host order the kernel would match nothing.
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = i32::try_from(index).map_err(Error::other)?;
    // SAFETY: the address is a sockaddr_ll and its size is passed with it; the kernel copies it.
    checked(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            length(size_of::<libc::sockaddr_ll>())?,
        )
    })?;
    Ok(socket)
}

/// A frame's length and the time the kernel received it, since the epoch (`CLOCK_REALTIME`).
/// `WouldBlock` when none is there.
pub fn receive(socket: &Socket, buffer: &mut [u8]) -> Result<(usize, Duration)> {
    // u64 for the alignment that control messages need.
    let mut control = [0_u64; 8];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is integers and pointers, for which zeros (null) are valid.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: all pointers in the message are to live buffers of the lengths given.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let count = usize::try_from(count).map_err(|_| Error::last_os_error())?;

    // SAFETY: the kernel has filled the control buffer and its length in.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: non-null, so it points to a header within the control buffer.
        let (level, kind) = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
        if level == libc::SOL_SOCKET && kind == libc::SO_TIMESTAMPNS {
            // SAFETY: this kind of message carries a timespec, not necessarily aligned.
            let at: libc::timespec =
                unsafe { libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned() };
            let seconds = u64::try_from(at.tv_sec).map_err(Error::other)?;
            let nanos = u32::try_from(at.tv_nsec).map_err(Error::other)?;
            return Ok((count, Duration::new(seconds, nanos)));
        }
        // SAFETY: both point into the message filled above.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Err(Error::other("a frame without the kernel's time stamp"))
}

/// Waits until one of the sockets has something to receive, at most this long.
pub fn wait_readable(sockets: &[&Socket], at_most: Duration) -> Result<()> {
    let poll = |socket: &&Socket| libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut polls: Vec<libc::pollfd> = sockets.iter().map(poll).collect();
    let count = libc::nfds_t::try_from(polls.len()).map_err(Error::other)?;
    let limit = libc::timespec {
        tv_sec: i64::try_from(at_most.as_secs()).map_err(Error::other)?,
        tv_nsec: i64::from(at_most.subsec_nanos()),
    };
    // SAFETY: as many pollfds as said, the time limit lives on this stack, and no signal mask is
    // given.
    let ready =
        unsafe { libc::ppoll(polls.as_mut_ptr(), count, &raw const limit, std::ptr::null()) };
    match checked(ready.min(0)) {
        Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// Moves the calling thread into another network namespace.
pub fn enter_network(namespace: &File) -> Result<()> {
    // SAFETY: setns takes no pointers; the file stays open during the call.
    checked(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })
}

/// Lets the calling thread go before all ordinary ones, whatever group they are in: niceness counts only
/// against threads of the same group. Without the right to, it stays as it is.
pub fn prefer_this_thread() {
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameter lives during the call; 0 is the calling thread.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const first) } == 0 {
        return;
    }
    // SAFETY: setpriority takes no pointers; 0 is the calling thread.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -15) };
}

fn set(fd: RawFd, option: i32, value: i32) -> Result<()> {
    // SAFETY: the option's value is an int on this stack, its size is passed with it.
    checked(unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            length(size_of::<i32>())?,
        )
    })
}

fn length(size: usize) -> Result<libc::socklen_t> {
    libc::socklen_t::try_from(size).map_err(Error::other)
}

fn checked(result: i32) -> Result<()> {
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
