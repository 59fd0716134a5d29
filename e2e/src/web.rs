//! The backend of the tests: web servers that say which of them answers, and a Service before them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use crate::temp_ns::TempNamespace;
use crate::wait::{Look, until};

const MANIFEST: &str = include_str!("../manifests/web.yaml");

/// `GET /index.html` answers with the pod's name, `GET /cgi-bin/source` with the address that the
/// pod was asked from.
pub const PORT: u16 = 8000;

/// Starts a Deployment `web` of this many pods, and waits until all are ready.
pub async fn deploy(space: &TempNamespace, replicas: usize) -> Result<BTreeSet<String>> {
    space.apply(&MANIFEST.replace("REPLICAS", &replicas.to_string()))?;
    ready_pods(space, replicas).await
}

/// Waits for this many ready pods of `web`; returns their names.
pub async fn ready_pods(space: &TempNamespace, replicas: usize) -> Result<BTreeSet<String>> {
    until(Duration::from_mins(1), "the web pods", async || {
        // One line per pod: its name and whether it is ready.
        let path = "jsonpath={range .items[*]}{.metadata.name} \
                    {.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";
        let text = space.kubectl(&["get", "pods", "-l", "app=web", "-o", path])?;
        let ready: BTreeSet<String> =
            text.lines().filter_map(|line| line.strip_suffix(" True").map(str::to_owned)).collect();
        Ok(Look::when((ready.len() == replicas).then_some(ready), || text))
    })
    .await
}
