//! The loop from what the API server says to what is written to it.
//!
//! ```text
//!                 +---> desk: who has which address ------+
//!  kit::feed ---> run                                       +---> run ---> write, events, report
//!                 ^ +-> mover: who is to hand over what ----+      |
//!                 +---------------- results of writes -------------+
//! ```
//!
//! One task owns [`desk`] and [`mover`], and `departed`, what nodes left that are gone for good. None
//! of them does I/O; nothing else touches the ledger, so there is no lock at all.

mod departed;
pub mod desk;
mod inputs;
pub mod mover;
pub mod objects;
pub mod run;
pub mod sources;
pub mod store;
pub mod write;
