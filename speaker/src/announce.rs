//! What is answered on which link.
//!
//! Pure: plain data and the functions on it. The engine decides what is announced; the ports read
//! the outcome.

pub mod burst;
pub mod desired;
pub mod table;
