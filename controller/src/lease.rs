//! Leader election: of several replicas one gives out addresses. [`decide`] holds the rules, which
//! are plain functions of what was seen and when; [`hold`] is the loop around them.

pub mod decide;
pub mod fence;
pub mod hold;
