//! The only modules that talk to the kernel: packet sockets, the mesh's socket, netlink, time. They
//! carry out and report; what to do is decided in the pure modules.

pub mod attendance;
pub mod clock;
pub mod counts;
pub mod deadline;
pub mod frames;
pub mod groups;
pub mod links;
pub mod mesh_socket;
mod packet;
pub mod port;
pub mod ports;
mod receive;
