//! Puts the parts together and runs them until a signal comes, or one of them stops, which none is
//! allowed to do by itself.

use std::sync::Arc;
use std::time::Duration;

use kit::events::Recorder;
use kit::{admin, metrics_server};
use kube::Client;
use prometheus::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::args::Config;
use crate::bgp;
use crate::lease::fence::{Clock, Fence};
use crate::lease::hold;
use crate::mesh_secret;
use crate::metrics::{self, Metrics};
use crate::ready::Ready;
use crate::reconcile::desk::Role;
use crate::reconcile::run::{self, Context};
use crate::reconcile::write::Writer;
use crate::webhook;

/// How long parts may take to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long reviews are still answered after the signal. A pod that is deleted gets it while the API
/// server is still led to it, until every kube-proxy has heard of that; and no review is tried twice.
const DRAIN: Duration = Duration::from_secs(4);

/// Why the process ends other than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The metrics could not be made.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Signals cannot be waited for.
    #[error("signals: {0}")]
    Signals(#[from] std::io::Error),
    /// A server ended.
    #[error(transparent)]
    Server(#[from] admin::Error),
    /// The metrics cannot be served.
    #[error(transparent)]
    MetricsServer(#[from] metrics_server::Error),
    /// The lease loop ended.
    #[error(transparent)]
    Lease(#[from] hold::Error),
    /// The reconcile loop ended.
    #[error(transparent)]
    Reconcile(#[from] run::Error),
    /// The webhook ended.
    #[error(transparent)]
    Webhook(#[from] webhook::Error),
    /// A task ended that must not.
    #[error("{0} stopped by itself")]
    Stopped(&'static str),
    /// A task panicked.
    #[error("a task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Runs the controller until SIGTERM or SIGINT.
///
/// # Errors
/// [`Error`] when a part that must run stops.
pub async fn run(client: Client, config: Config) -> Result<(), Error> {
    for flag in &config.ignored {
        tracing::warn!(flag, "accepted, and without effect yet");
    }
    let stop = CancellationToken::new();
    // For what goes on until no review is to be expected any more.
    let drained = CancellationToken::new();
    let registry = Registry::new();
    let ready = Arc::new(Ready::default());
    let mut tasks: JoinSet<Result<&'static str, Error>> = JoinSet::new();
    if let Some(metrics) = config.metrics.clone() {
        let serve =
            metrics_server::serve(metrics, registry.clone(), client.clone(), drained.clone());
        tasks.spawn(async { Ok(serve.await.map(|()| "the metrics server")?) });
    }
    if let Some(address) = config.health {
        let asked = Arc::clone(&ready);
        let routes = admin::health_routes(|| Ok(()), move || asked.ask());
        let serve = admin::serve(address, routes, drained.clone());
        tasks.spawn(async { Ok(serve.await.map(|()| "the health server")?) });
    }
    let has_webhook = config.webhook.is_some();
    if let Some(settings) = config.webhook.clone() {
        ready.webhook(Some("no certificate yet, or no trust in it published: see the log"));
        let shown = (metrics::webhook::Metrics::new(&registry)?, Arc::clone(&ready));
        let namespace = config.namespace.clone();
        let serve = webhook::run(client.clone(), namespace, settings, shown, drained.clone());
        let serve = Box::pin(serve);
        tasks.spawn(async { Ok(serve.await.map(|()| "the webhook")?) });
    }
    if let Some(wanted) = config.mesh_secret.clone() {
        let provide = mesh_secret::provide(client.clone(), wanted, stop.clone());
        tasks.spawn(async {
            provide.await;
            Ok("making the speakers' key")
        });
    }
    if config.is_idle {
        tracing::info!("--webhook-mode=onlywebhook: no Service is looked at");
        ready.set(Vec::new());
    } else {
        let metrics = Arc::new(Metrics::new(&registry)?);
        start(&mut tasks, client, config, metrics, ready, &stop);
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        Some(ended) = tasks.join_next() => return Err(Error::Stopped(ended??)),
    }
    tracing::info!("stopping");
    stop.cancel();
    let all_end = async {
        if has_webhook {
            // Meanwhile the lease is given back, and another replica works.
            tokio::time::sleep(DRAIN).await;
        }
        drained.cancel();
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    };
    // A client that keeps its connection open must not keep the process.
    tokio::time::timeout(DRAIN + PATIENCE, all_end).await.unwrap_or(Ok(()))
}

fn start(
    tasks: &mut JoinSet<Result<&'static str, Error>>,
    client: Client,
    config: Config,
    metrics: Arc<Metrics>,
    ready: Arc<Ready>,
    stop: &CancellationToken,
) {
    let clock = Clock::start();
    let fence = Fence::new(clock);
    let (roles, role) = watch::channel(Role::Standby);
    let (recorder, events) = Recorder::new(
        client.clone(),
        crds::names::component::CONTROLLER,
        &config.pod_name,
        metrics.events_dropped.clone(),
    );
    let settings = hold::Settings {
        namespace: config.namespace.clone(),
        name: config.lease_name,
        // A container restarted in its pod keeps the pod's name, and must not take its former
        // self's lease for its own: it has forgotten everything.
        identity: format!("{}_{:08x}", config.pod_name, rand::random::<u32>()),
        terms: config.terms,
    };
    let hold = hold::hold(client.clone(), settings, (clock, fence.clone()), roles, stop.clone());
    let told = bgp::tell(client.clone(), config.namespace.clone());
    let context = Context {
        writer: Writer::new(client, fence),
        namespace: config.namespace,
        class: config.class,
        moves: config.moves,
        recorder,
        metrics,
        ready,
        clock,
    };
    tokio::spawn(told);
    tasks.spawn(async { Ok(hold.await.map(|()| "the lease")?) });
    tasks.spawn(async { Ok(run::run(context, role).await.map(|()| "reconciling")?) });
    tasks.spawn(async {
        events.await;
        Ok("the event writer")
    });
}
