//! The controller's tests from outside, in one program: each file would link everything anew.
#![allow(unreachable_pub, reason = "a test program has no one to reach")]

mod alloc_props;
mod departed_api;
mod documented;
mod lease_api;
mod metrics_api;
mod moves_api;
mod purity;
mod reconcile_api;
mod support;
mod webhook_api;
