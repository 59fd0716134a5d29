//! A Kubernetes namespace for one test. When the test fails, what happened in it is printed before
//! it goes.

use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::cluster::Lab;
use crate::wait::{Look, until};

/// A namespace that is removed when dropped.
#[derive(Debug)]
pub struct TempNamespace {
    lab: Lab,
    pub name: String,
}

impl TempNamespace {
    /// Runs a test in a namespace of its own; when it fails, prints what happened there.
    pub async fn with<T>(
        lab: &Lab,
        test: &str,
        body: impl AsyncFnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        let made = Self::create(lab, test).await?;
        let result = body(&made).await;
        if result.is_err() {
            eprintln!("{}", made.dump());
        }
        result
    }

    /// Makes a namespace named after the test, and waits until pods can be made in it.
    pub async fn create(lab: &Lab, test: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // The pid keeps runs apart: the last one's namespace may still be going.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}", test.replace('_', "-"), std::process::id());
        lab.kubectl(&["create", "namespace", &name])?;
        let made = Self { lab: lab.clone(), name };
        until(std::time::Duration::from_secs(30), "the default service account", async || {
            made.kubectl(&["get", "serviceaccount", "default"]).map(Look::Seen)
        })
        .await?;
        Ok(made)
    }

    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// kubectl in this namespace.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.lab.kubectl(&[&["-n", self.name.as_str()], args].concat())
    }

    /// Applies objects that name no namespace of their own.
    pub fn apply(&self, yaml: &str) -> Result<String> {
        self.lab.feed(&["-n", &self.name, "apply", "-f", "-"], yaml)
    }

    /// Everything that explains a failure.
    pub fn dump(&self) -> String {
        let parts: [&[&str]; 4] = [
            &["get", "pods", "-o", "wide"],
            &["get", "services,endpointslices", "-o", "wide"],
            &["describe", "services"],
            &["get", "events", "--sort-by=.lastTimestamp"],
        ];
        let mut text = format!("namespace {}\n", self.name);
        for args in parts {
            let answer = self.kubectl(args).unwrap_or_else(|error| format!("{error:#}"));
            let _ = writeln!(text, "--- {}\n{answer}", args.join(" "));
        }
        text
    }
}

impl Drop for TempNamespace {
    fn drop(&mut self) {
        // An assertion that failed; an error that was returned is for `with` to see.
        if std::thread::panicking() {
            eprintln!("{}", self.dump());
        }
        // Its addresses must be free before the next test's pool has the same ones.
        let services = ["delete", "services", "--all", "--request-timeout=10s"];
        if let Err(error) = self.kubectl(&services) {
            eprintln!("Services in {} stay: {error:#}", self.name);
        }
        // The cluster finishes by itself: waiting for it would double the time of the tests.
        let args = ["delete", "namespace", &self.name, "--wait=false", "--request-timeout=10s"];
        if let Err(error) = self.lab.kubectl(&args) {
            eprintln!("namespace {} stays: {error:#}", self.name);
        }
    }
}
