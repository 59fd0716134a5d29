//! The checks that the API server has made on ferrolb's objects before it takes them: how to do
//! without them for a while, and objects tried again and again while something happens to them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::Lab;
use crate::config::{self, NAMESPACE};
use crate::wait::{Look, SOON, until_blocking};

/// Where the API server reads whom to ask.
pub const CONFIGURATION: &str = "metallb-webhook-configuration";

/// Until this is dropped nobody is asked: objects are taken as they come.
#[must_use = "the checks are on again when this is dropped"]
#[derive(Debug)]
pub struct Unchecked {
    lab: Lab,
    /// The configuration as it was made.
    configuration: String,
}

impl Unchecked {
    /// Turns the checks off, and waits until that counts.
    pub fn begin(lab: &Lab) -> Result<Self> {
        let kind = "validatingwebhookconfiguration";
        let text = lab.kubectl(&["get", kind, CONFIGURATION, "-o", "json"])?;
        let this = Self { lab: lab.clone(), configuration: as_made(&text)? };
        lab.kubectl(&["delete", kind, CONFIGURATION])?;
        until_blocking(SOON, "objects to be taken unchecked", || {
            Ok(Look::when(try_bad(&this.lab).is_none().then_some(()), || {
                "still checked".to_owned()
            }))
        })?;
        Ok(this)
    }

    /// Turns them on, and waits until that counts. What says whom to trust is not in what is
    /// applied: the controllers have to put it there.
    pub fn end(self) -> Result<()> {
        let turned_on = self.turn_on();
        std::mem::forget(self);
        turned_on
    }

    fn turn_on(&self) -> Result<()> {
        self.lab.apply(&self.configuration)?;
        until_blocking(SOON, "bad objects to be denied", || {
            let said = try_bad(&self.lab).unwrap_or_else(|| "taken".to_owned());
            Ok(Look::when(said.contains("denied the request").then_some(()), || said))
        })
    }
}

impl Drop for Unchecked {
    fn drop(&mut self) {
        if let Err(error) = self.turn_on() {
            eprintln!("the checks stay off: {error:#}\n{}", self.configuration);
        }
    }
}

/// What the API server says to a bad pool; nothing if it would take it.
fn try_bad(lab: &Lab) -> Option<String> {
    let bad = config::pool("tried", "198.51.100.9-198.51.100.1");
    lab.feed(&["create", "--dry-run=server", "-f", "-"], &bad)
        .err()
        .map(|error| format!("{error:#}"))
}

/// An object without what the API server and others added to it.
fn as_made(text: &str) -> Result<String> {
    let mut object: Value = serde_json::from_str(text)?;
    let metadata = object["metadata"].as_object_mut().context("no metadata")?;
    metadata.retain(|key, _| ["name", "labels", "annotations"].contains(&key.as_str()));
    for webhook in object["webhooks"].as_array_mut().context("no webhooks")? {
        webhook["clientConfig"].as_object_mut().context("no client")?.remove("caBundle");
    }
    Ok(object.to_string())
}

/// What came of objects that were tried.
#[derive(Debug, Default)]
pub struct Tried {
    pub made: usize,
    /// When after the start, and why.
    pub failed: Vec<(Duration, String)>,
}

/// Good pools that are tried one after the other, and never kept; until this is finished or dropped.
#[derive(Debug)]
pub struct Trials {
    stop: Arc<AtomicBool>,
    made: watch::Sender<usize>,
    failed: Arc<Mutex<Vec<(Duration, String)>>>,
    begun: Instant,
    task: JoinHandle<()>,
}

impl Trials {
    /// Tries one every `interval`, or as fast as they are answered.
    pub fn start(client: Client, interval: Duration) -> Self {
        let trials = Self {
            stop: Arc::default(),
            made: watch::Sender::default(),
            failed: Arc::default(),
            begun: Instant::now(),
            task: tokio::spawn(async {}),
        };
        let (stop, made) = (Arc::clone(&trials.stop), trials.made.clone());
        let (failed, begun) = (Arc::clone(&trials.failed), trials.begun);
        let work = async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !stop.load(Ordering::Relaxed) {
                ticks.tick().await;
                let at = begun.elapsed();
                if let Err(error) = try_good(&client).await {
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.push((at, error.to_string()));
                }
                made.send_modify(|made| *made += 1);
            }
        };
        Self { task: tokio::spawn(work), ..trials }
    }

    /// How many were answered so far.
    pub fn made(&self) -> usize {
        *self.made.borrow()
    }

    /// Waits for the end of the one that is under way: the next is tried after the interval.
    pub async fn one_more(&self) -> Result<()> {
        self.made.subscribe().changed().await.context("nothing is tried any more")
    }

    /// How long they have been tried.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Ends them.
    pub async fn finish(self) -> Result<Tried> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?;
        let failed =
            std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Tried { made: *self.made.borrow(), failed })
    }
}

async fn try_good(client: &Client) -> Result<(), kube::Error> {
    let kind = GroupVersionKind::gvk("metallb.io", "v1beta1", "IPAddressPool");
    let kind = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &kind);
    let spec = json!({"spec": {"addresses": ["198.51.100.0/24"]}});
    let pool = DynamicObject::new("tried", &kind).data(spec);
    api.create(&PostParams { dry_run: true, ..PostParams::default() }, &pool).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_made_again_without_what_others_added() {
        let text = r#"{"kind": "K", "metadata": {"name": "n", "uid": "u", "labels": {"a": "b"}},
            "webhooks": [{"name": "w", "clientConfig": {"caBundle": "x", "service": {}}}]}"#;
        let made: Value = serde_json::from_str(&as_made(text).unwrap()).unwrap();
        assert_eq!(made["metadata"], json!({"name": "n", "labels": {"a": "b"}}));
        assert_eq!(made["webhooks"][0]["clientConfig"], json!({"service": {}}));
    }
}
