//! What tests of both programs need; built for tests only (feature `test-support`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails the test")]

mod flags;
mod log;

pub use flags::{Flag, assert_documented, assert_table};
pub use log::Log;
