//! The pure model: what the user's objects mean once they have been judged.
//!
//! Nothing here knows Kubernetes, time, randomness or I/O; [`compile`](compile::compile) is the
//! single way from API objects into this world.

pub mod advertisement;
pub mod compile;
pub mod electorate;
pub mod group;
pub mod ids;
pub mod pool;
pub mod range;
pub mod selector;
