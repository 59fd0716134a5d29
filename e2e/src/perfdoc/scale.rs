//! `target/bench/scale.json`, as the end-to-end test `scale` writes it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Scale {
    pub services: u64,
    pub created_s: f64,
    pub last_address_after_last_creation_s: f64,
    pub status_writes: u64,
    /// As `1000 PATCH services/status, 1000 POST services`.
    pub burst: String,
    pub burst_cost: Vec<Spent>,
    pub idle_writes: u64,
    /// Written while the controller was restarted; in the form of `burst`.
    pub restart: String,
    pub with_1: Programs,
    pub with_1000: Programs,
}

/// CPU time of each process of one program.
#[derive(Debug, Deserialize)]
pub struct Spent {
    pub program: String,
    pub cpu_s: Vec<f64>,
}

/// Each process of each program, over a minute at rest.
pub type Programs = BTreeMap<String, Vec<AtRest>>;

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct AtRest {
    pub cpu_s: f64,
    pub rss_bytes: u64,
}

/// One kind of write to the API server, and how many there were.
#[derive(Debug, PartialEq, Eq)]
pub struct Write<'a> {
    pub count: u64,
    pub verb: &'a str,
    pub resource: &'a str,
}

/// Parses `7 PATCH services/status, 12 POST services`.
pub fn writes(text: &str) -> Result<Vec<Write<'_>>> {
    let kinds = text.split(", ").filter(|kind| !kind.is_empty());
    kinds.map(|kind| write(kind).with_context(|| format!("not a kind of write: {kind}"))).collect()
}

fn write(kind: &str) -> Option<Write<'_>> {
    let (count, rest) = kind.split_once(' ')?;
    let (verb, resource) = rest.split_once(' ')?;
    Some(Write { count: count.parse().ok()?, verb, resource })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_read_as_the_test_prints_them() -> Result<()> {
        let patch = Write { count: 7, verb: "PATCH", resource: "services/status" };
        let post = Write { count: 12, verb: "POST", resource: "services" };
        assert_eq!(writes("7 PATCH services/status, 12 POST services")?, [patch, post]);
        assert_eq!(writes("")?, []);
        assert!(writes("many POST services").is_err());
        Ok(())
    }
}
