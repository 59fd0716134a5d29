//! `target/bench/scale.json`, as the end-to-end test `scale` writes it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Scale {
    pub services: u64,
    pub created_s: f64,
    pub last_address_after_last_creation_s: f64,
    pub burst: Writes,
    pub burst_cost: Vec<Spent>,
    pub idle_writes: u64,
    /// While the controller was restarted.
    pub restart: Writes,
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

/// Writes to the API server; in the file as `7 PATCH services/status, 12 POST services`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Writes(pub Vec<Write>);

/// One kind of write, and how many there were.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    pub count: u64,
    /// As `services/status`.
    pub resource: String,
    /// As `PATCH services/status`.
    pub kind: String,
}

impl Writes {
    pub fn to(&self, resource: &str) -> u64 {
        self.0.iter().filter(|write| write.resource == resource).map(|write| write.count).sum()
    }
}

impl TryFrom<String> for Writes {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        let writes = text.split(", ").filter(|write| !write.is_empty());
        let parse = |text| parse(text).with_context(|| format!("not a kind of write: \"{text}\""));
        writes.map(parse).collect::<Result<_>>().map(Self)
    }
}

fn parse(text: &str) -> Option<Write> {
    let (count, kind) = text.split_once(' ')?;
    let (_, resource) = kind.split_once(' ')?;
    let (resource, kind) = (resource.to_owned(), kind.to_owned());
    Some(Write { count: count.parse().ok()?, resource, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_read_as_the_test_prints_them() -> Result<()> {
        let text = "8 PATCH services/status, 12 POST services, 1 PUT services/status";
        let writes = Writes::try_from(text.to_owned())?;
        assert_eq!((writes.to("services/status"), writes.to("services")), (9, 12));
        assert_eq!(writes.0[1].kind, "POST services");
        assert_eq!(Writes::try_from(String::new())?.0, []);
        assert!(Writes::try_from("many POST services".to_owned()).is_err());
        Ok(())
    }
}
