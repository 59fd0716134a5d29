//! Shell pieces that controller and speaker share: logs, flags, Events, watches, the judgement of the
//! configuration, and the metrics and health servers. Nothing here decides anything about addresses
//! or announcements, and nothing pure may depend on it.
#![warn(missing_docs)]

pub mod admin;
pub mod client;
pub mod events;
pub mod feed;
pub mod goflags;
pub mod judgement;
pub mod metrics_server;
mod process;
pub mod telemetry;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;
pub mod tls;
