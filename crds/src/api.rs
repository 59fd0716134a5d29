//! The Kubernetes API types. Field comments are what `kubectl explain` shows.
#![allow(
    unreachable_pub,
    reason = "kube's schema derive repeats public structs in a private scope"
)]

pub mod bgp;
pub mod v1alpha1;
pub mod v1beta1;
