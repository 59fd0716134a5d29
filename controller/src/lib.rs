//! The controller: gives Services of type LoadBalancer their addresses.
//!
//! ```text
//!   feeds -> view -> reconcile::desk -> plan -> reconcile::run -> API server
//!                        |
//!                      alloc (pure)
//! ```
#![warn(missing_docs)]

pub mod alloc;
pub mod app;
pub mod args;
pub mod bgp;
pub mod lease;
pub mod mesh_secret;
pub mod metrics;
pub mod placement;
pub mod plan;
pub mod ready;
pub mod reconcile;
pub mod view;
pub mod webhook;

#[cfg(test)]
extern crate self as controller;

#[cfg(test)]
#[path = "../benches/fixtures.rs"]
mod fixtures;
