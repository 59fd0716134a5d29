//! The speaker: answers ARP for the addresses that are this node's to announce.
//!
//! `docs/architecture.md` has the map. From the bottom up: `wire`, `respond`, `announce`,
//! `ownership`, `mesh` and `engine` are pure; `view` translates; `args`, `io`,
//! `watch`, `report`, `metrics` and `run` touch the world and decide nothing.

pub mod announce;
pub mod args;
pub mod engine;
pub mod facts;
pub mod filter;
pub mod io;
pub mod link;
pub mod mesh;
pub mod metrics;
pub mod moment;
pub mod objects;
pub mod ownership;
pub mod report;
pub mod respond;
pub mod run;
pub mod view;
pub mod watch;
pub mod wire;
