//! The tests that need a cluster, in one program: each is run by itself, in the cluster that
//! `e2e/src/runner/plan.rs` says it needs.

mod after_metallb;
mod agent;
mod arp;
mod bad_input;
mod departed;
mod drain;
mod dual_stack;
mod duplicate;
mod exhaustion;
mod failover;
mod failover_controller;
mod failover_many;
mod first_service;
mod idle;
mod interfaces;
mod lab;
mod manifests;
mod metrics;
mod migrate;
mod placement;
mod pool_choice;
mod refused;
mod requested_address;
mod restart;
mod rollout;
mod scale;
mod sharing;
mod split;
mod spread;
mod takeover;
mod traffic_policy;
mod webhook;
