//! `kubectl ferrolb`: what a person does with ferrolb from a shell.
//!
//! [`migrate`] and [`drain`] decide, and are pure; [`command`] reads files, talks to the API server,
//! and prints.

pub mod args;
pub mod command;
pub mod drain;
pub mod migrate;
