//! The lab (a real Kubernetes cluster in network namespaces of one machine) and the harness of the
//! tests that run in it.
//!
//! `bin/lab` builds the cluster and takes it down; the tests attach to one that is up. Both sides
//! know it by [`plan`] (names and addresses, the same every time) and by [`state`] (what this run
//! of it left on disk).

pub mod away;
pub mod bare;
pub mod chart;
pub mod checks;
pub mod client;
pub mod cluster;
pub mod config;
pub mod crowd;
pub mod down;
pub mod event;
pub mod families;
pub mod fault;
pub mod interrupt;
pub mod kubectl;
pub mod label;
pub mod leftovers;
pub mod many;
pub mod matrix;
pub mod metallb;
pub mod namespace;
pub mod observer;
pub mod plan;
pub mod plugin;
pub mod procedure;
pub mod process;
pub mod raw;
pub mod runner;
pub mod scene;
pub mod scrape;
pub mod service;
pub mod speakers;
pub mod state;
pub mod temp_ns;
pub mod trace;
pub mod up;
pub mod usage;
pub mod visitor;
pub mod wait;
pub mod web;
pub mod writes;
