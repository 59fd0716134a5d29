//! The tasks that bring events, and the servers that are asked about what came of them.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use kube::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Error, Problems, Tasks, Waiting, spawn};
use crate::args::{Config, MeshConfig};
use crate::engine::Event;
use crate::metrics::Metrics;
use crate::watch;

pub(super) fn spawn_watches(
    tasks: &mut Tasks,
    client: &Client,
    config: &Config,
    metrics: &Metrics,
    problems: Problems,
    events: &watch::Events,
) {
    let watch = watch::services(client.clone(), config.class.clone(), events.clone());
    spawn(tasks, "services", watch);
    let watch = watch::slices(client.clone(), events.clone());
    spawn(tasks, "endpoint slices", watch);
    let watch = watch::nodes(client.clone(), events.clone());
    spawn(tasks, "nodes", watch);
    let (namespace, gauges) = (config.namespace.clone(), metrics.config.clone());
    let watch =
        watch::config::watch(client.clone(), namespace.clone(), gauges, problems, events.clone());
    spawn(tasks, "configuration", watch);
    let (client, events) = (client.clone(), events.clone());
    let mesh = config.mesh.clone();
    tasks.spawn(async move {
        if let Some(MeshConfig { bind, labels, .. }) = mesh {
            watch::peers(client, namespace, labels, bind.port(), events).await;
            return Ok("peers");
        }
        // Without a mesh there are no peers to wait for.
        let _stopping = events.send(Event::Peers(BTreeSet::new())).await;
        std::future::pending().await
    });
}

pub(super) fn spawn_servers(
    tasks: &mut Tasks,
    client: &Client,
    config: &Config,
    metrics: &Metrics,
    waiting: &Waiting,
) {
    if let Some(config) = config.metrics.clone() {
        let (registry, client) = (metrics.registry.clone(), client.clone());
        tasks.spawn(async move {
            kit::metrics_server::serve(config, registry, client, CancellationToken::new()).await?;
            Ok("metrics")
        });
    }
    if let Some(address) = config.health {
        let waiting = Arc::clone(waiting);
        let ready = move || {
            let missing = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if missing.is_empty() {
                Ok(())
            } else {
                Err(format!("waiting for: {}", missing.join(", ")))
            }
        };
        let routes = kit::admin::health_routes(|| Ok(()), ready);
        tasks.spawn(async move {
            kit::admin::serve(address, routes, CancellationToken::new()).await?;
            Ok("health")
        });
    }
}

pub(super) async fn forward_links(
    mut snapshots: mpsc::Receiver<Vec<crate::link::LinkFacts>>,
    events: watch::Events,
) -> Result<&'static str, Error> {
    while let Some(links) = snapshots.recv().await {
        if events.send(Event::Links(links)).await.is_err() {
            break;
        }
    }
    Ok("links")
}

/// Turns the first SIGTERM or SIGINT into an event; a second one ends the process as it would
/// without us.
pub(super) async fn terminate(events: watch::Events) -> Result<&'static str, Error> {
    let mut term = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut int = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("told to stop, leaving the addresses to others");
    let _stopping = events.send(Event::Shutdown).await;
    std::future::pending().await
}
