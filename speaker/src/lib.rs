//! The speaker: answers ARP for the addresses that are this node's to announce.
//!
//! `docs/architecture.md` has the map. From the bottom up: `wire`, `respond`, `announce`,
//! `ownership`, `mesh` and `engine` are pure; `view` translates; `args`, `io`,
//! `watch`, `report`, `metrics` and `run` touch the world and decide nothing.

pub mod announce;
pub mod engine;
pub mod facts;
pub mod filter;
pub mod limits;
pub mod link;
pub mod mesh;
pub mod moment;
pub mod ownership;
pub mod respond;
pub mod wire;

// Everything that touches the world. The simulation is built without it.
#[cfg(feature = "shell")]
pub mod args;
#[cfg(feature = "shell")]
pub mod io;
#[cfg(feature = "shell")]
pub mod metrics;
#[cfg(feature = "shell")]
pub mod objects;
#[cfg(feature = "shell")]
pub mod report;
#[cfg(feature = "shell")]
pub mod run;
#[cfg(feature = "shell")]
pub mod view;
#[cfg(feature = "shell")]
pub mod watch;
