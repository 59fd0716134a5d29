//! The only modules that talk to the kernel: packet sockets, netlink, time. They carry out and
//! report; what to do is decided in the pure modules.

pub mod links;
mod packet;
pub mod port;
