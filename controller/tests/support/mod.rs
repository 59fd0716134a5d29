//! A cluster that tests make up, and what runs against it.

pub mod fake_api;
pub mod objects;
pub mod reviewing;
pub mod running;
