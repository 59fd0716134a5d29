//! Tests of packets on real sockets, each in network namespaces of its own: one program, since each
//! file would link everything anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]
#![allow(unreachable_pub, reason = "a test program has no one to reach")]

mod netns;
mod netns_api_server;
mod netns_attendance;
mod netns_frames;
mod netns_links;
mod netns_neighbours;
mod netns_port;
mod netns_ports;
