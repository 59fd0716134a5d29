//! What was written to the API server, by its own count.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cluster::Lab;
use crate::wait::{Look, until};

const VERBS: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];
/// What an idle cluster writes by itself: leases of nodes and components, and now and then a
/// kubelet's node status.
const OF_THE_CLUSTER: [&str; 3] = ["leases", "nodes", "nodes/status"];

/// Successful and failed writes so far: by verb and resource, as `PATCH services/status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writes(BTreeMap<String, u64>);

impl Writes {
    /// The counters now.
    pub fn now(lab: &Lab) -> Result<Self> {
        Ok(Self::parse(&lab.kubectl(&["get", "--raw", "/metrics"])?))
    }

    fn parse(text: &str) -> Self {
        let mut writes = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let Some((labels, value)) = line.rsplit_once("} ") else { continue };
            let label = |name: &str| {
                let (_, rest) = labels.split_once(&format!("{name}=\""))?;
                rest.split_once('"').map(|(value, _)| value)
            };
            let (Some(verb), Some(resource)) = (label("verb"), label("resource")) else { continue };
            // `subresource` holds the word `resource` too, and comes right after it.
            let subresource = label("subresource").filter(|name| !name.is_empty());
            let what = subresource.map_or(resource.to_owned(), |sub| format!("{resource}/{sub}"));
            if VERBS.contains(&verb) && !OF_THE_CLUSTER.contains(&what.as_str()) {
                // Counters are printed as floats, and stay whole numbers for longer than a test.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count"
                )]
                let count = value.parse::<f64>().unwrap_or_default() as u64;
                *writes.0.entry(format!("{verb} {what}")).or_default() += count;
            }
        }
        writes
    }

    /// What came since `before`; kinds of write that did not happen are left out.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let grown = |(what, count): (&String, &u64)| {
            let more = count - before.0.get(what).copied().unwrap_or_default();
            (more > 0).then(|| (what.clone(), more))
        };
        Self(self.0.iter().filter_map(grown).collect())
    }

    /// How many writes of all verbs there were to `what`, as `services/status`.
    pub fn to(&self, what: &str) -> u64 {
        let of = |key: &str| key.split_once(' ').is_some_and(|(_, resource)| resource == what);
        self.0.iter().filter(|(key, _)| of(key)).map(|(_, count)| count).sum()
    }

    /// How many there were in all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.0.iter().map(|(what, count)| format!("{count} {what}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Waits until nothing of ours has been written for two seconds.
pub async fn quiet(lab: &Lab) -> Result<()> {
    let mut last = (Writes::now(lab)?, Instant::now());
    until(Duration::from_mins(3), "two seconds without a write", async || {
        let now = Writes::now(lab)?;
        if now != last.0 {
            last = (now, Instant::now());
        }
        let rest = last.1.elapsed();
        Ok(Look::when((rest > Duration::from_secs(2)).then_some(()), || {
            format!("{rest:?} of rest")
        }))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP apiserver_request_total Counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="status",verb="PATCH",version="v1"} 7
apiserver_request_total{code="409",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="status",verb="PATCH",version="v1"} 1
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="",verb="POST",version="v1"} 1.2e+01
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="services",scope="cluster",subresource="",verb="LIST",version="v1"} 9
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 99
"#;

    #[test]
    fn counts_writes_by_verb_and_resource() {
        let writes = Writes::parse(TEXT);
        assert_eq!(writes.to_string(), "8 PATCH services/status, 12 POST services");
        assert_eq!((writes.to("services/status"), writes.total()), (8, 20));
    }

    #[test]
    fn the_difference_leaves_out_what_did_not_happen() {
        let before = Writes::parse(TEXT);
        let after = Writes::parse(&TEXT.replace("} 7", "} 10"));
        assert_eq!(after.since(&before).to_string(), "3 PATCH services/status");
        assert_eq!(before.since(&before).total(), 0);
    }
}
