//! Which Service has which address: plain data, plain functions.
//!
//! It decides who gets, keeps and loses an address. It must never wait, write, or look at a clock,
//! and the same requests in the same order always get the same answers. Requests come from
//! [`view`](crate::view), the configuration from `crds::model::compile`.
#![deny(clippy::wildcard_enum_match_arm)]

pub mod choose;
pub mod free;
pub mod ledger;
pub mod refusal;
pub mod request;
pub mod runs;
pub mod settle;

pub use ledger::{Claim, Ledger, Usage};
pub use refusal::Refusal;
pub use request::{Need, Policy, Port, Protocol, Request, Sharing, Wanted};
pub use settle::{Held, Settled, settle};
