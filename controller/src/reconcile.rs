//! The loop from what the API server says to what is written to it.
//!
//! ```text
//!  kit::feed x4 ---> run ---> desk (all state, no I/O) ---> run ---> write, events, report
//!                     ^                                      |
//!                     +------------- results of writes ------+
//! ```
//!
//! One task owns the [`desk`]; nothing else touches the ledger, so there is no lock at all.

pub mod desk;
mod inputs;
pub mod report;
pub mod run;
pub mod sources;
pub mod store;
pub mod write;
