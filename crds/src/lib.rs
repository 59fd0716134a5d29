//! What controller and speaker share: the Kubernetes API types, and the pure model they are
//! compiled into. The two programs never depend on one another; this crate is their only common
//! ground, and everything under [`model`] is plain data and plain functions.
#![warn(missing_docs)]

pub mod api;
pub mod model;
pub mod names;
