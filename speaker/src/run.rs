//! Everything wired together.
//!
//! ```text
//!  watches (Services, EndpointSlices, Nodes, Pods, configuration) ─┐
//!  links (netlink) ────────────────────────────────────────────────┤ Event
//!  mesh socket ────────────────────────────────────────────────────┼──────▶ engine task
//!  SIGTERM ────────────────────────────────────────────────────────┘          │ Effect
//!                                                                             ▼
//!     report task ◀── Report ──  Shell: ports, table, mesh socket, logs, metrics
//!     (status, Events)                   │ ArcSwap<Table>
//!                                        ▼
//!                              one port task per link: receive, respond, send
//! ```
//!
//! The first task to end, the ports apart, ends the process with its error: Kubernetes restarts us.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use crds::names::component;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kit::events::Recorder;
use kube::{Api, Client, Resource as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::announce::table::Table;
use crate::args::{Config, MeshConfig};
use crate::engine::{Effect, Engine, Event, Settings};
use crate::io::clock::{Clock, wall_clock_millis};
use crate::io::links;
use crate::io::mesh_socket::MeshSocket;
use crate::io::ports::Ports;
use crate::mesh::{Identity, Member};
use crate::metrics::Metrics;
use crate::objects::Pod;
use crate::report::Reporter;
use crate::watch;

mod conflicts;
mod shell;

use shell::Shell;

/// Events that may wait for the engine; beyond that their sources wait.
const EVENTS: usize = 4_096;
/// Events taken at one time, so that a thousand Services at once cost one election.
const BATCH: usize = 1_024;
/// News overheard by the ports that may wait.
const HEARD: usize = 1_024;

/// Why the speaker ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No way to the API server.
    #[error(transparent)]
    Client(#[from] kit::client::Error),
    /// The mesh's address cannot be used.
    #[error("mesh: cannot bind to {address}: {source}")]
    Mesh {
        /// Which.
        address: std::net::SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Netlink failed.
    #[error(transparent)]
    Links(#[from] links::LinksError),
    /// A server failed.
    #[error(transparent)]
    Admin(#[from] kit::admin::Error),
    /// Signals cannot be received.
    #[error("signals: {0}")]
    Signals(#[source] std::io::Error),
    /// Two metrics of one name.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A task that must run has ended.
    #[error("the task \"{0}\" ended")]
    Ended(&'static str),
    /// A task panicked.
    #[error("a task failed: {0}")]
    Panicked(#[source] tokio::task::JoinError),
}

/// The tasks that must run. One that ends gives its name, or its error.
type Tasks = JoinSet<Result<&'static str, Error>>;

/// What the health server says: what is still waited for, or that all is in force.
type Waiting = Arc<Mutex<Vec<&'static str>>>;

/// Runs the speaker until it is told to stop.
///
/// # Errors
/// The first task's that ends.
pub async fn run(config: Config) -> Result<(), Error> {
    let client = kit::client::connect().await?;
    let clock = Clock::new();
    let table = Arc::new(ArcSwap::from_pointee(Table::default()));
    let metrics = Metrics::new(&config.node, Arc::clone(&table))?;
    let waiting: Waiting = Arc::new(Mutex::new(vec!["everything"]));
    let (events, incoming) = mpsc::channel(EVENTS);
    let (heard, overheard) = mpsc::channel(HEARD);
    let (reports, standings) = mpsc::unbounded_channel();
    let mut tasks = Tasks::new();

    let mesh = match &config.mesh {
        Some(mesh) => Some(bind(mesh).await?),
        None => None,
    };
    spawn_watches(&mut tasks, &client, &config, &metrics, &events);
    if let Some(socket) = mesh.clone() {
        let events = events.clone();
        spawn(&mut tasks, "mesh", socket.receive(events));
    }
    let (snapshots, links_changed) = mpsc::channel(4);
    tasks.spawn(async move { match links::watch(snapshots).await? {} });
    tasks.spawn(forward_links(links_changed, events.clone()));
    tasks.spawn(conflicts::log(overheard));
    tasks.spawn(terminate(events));
    spawn_servers(&mut tasks, &config, &metrics, &waiting);
    let instance = if config.pod.is_empty() { &config.node } else { &config.pod };
    let dropped = metrics.events_dropped.clone();
    let (recorder, writer) = Recorder::new(client.clone(), component::SPEAKER, instance, dropped);
    spawn(&mut tasks, "events", writer);
    let reporter = Reporter {
        owner: owner(&client, &config).await,
        client,
        namespace: config.namespace.clone(),
        node: config.node.clone(),
        recorder,
    };
    spawn(&mut tasks, "report", reporter.run(standings));

    let engine = Engine::new(settings(&config), clock.now());
    let ports = Ports::new(Arc::clone(&table), heard);
    let shell = Shell { ports, table, mesh, metrics, reports, announced: BTreeSet::new() };
    tokio::select! {
        () = drive(engine, shell, incoming, clock, waiting) => Ok(()),
        Some(ended) = tasks.join_next() => match ended {
            Ok(Ok(task)) => Err(Error::Ended(task)),
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(Error::Panicked(panic)),
        },
    }
}

/// The engine task: events in, effects carried out, until it halts.
async fn drive(
    mut engine: Engine,
    mut shell: Shell,
    mut incoming: mpsc::Receiver<Event>,
    clock: Clock,
    waiting: Waiting,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut is_settled = false;
    loop {
        let effects = engine.on(batch.drain(..), clock.now());
        for effect in effects {
            if effect == Effect::Halt {
                tracing::info!("all addresses are left to others, good-bye");
                return;
            }
            shell.carry_out(effect);
        }
        if engine.is_active() && !is_settled {
            is_settled = true;
            shell.settle();
        }
        shell.metrics.set_mesh(engine.mesh_counts());
        *waiting.lock().unwrap_or_else(PoisonError::into_inner) = engine.waits_for();
        let deadline = engine.next_deadline().map(|moment| clock.instant(moment));
        let wake = async {
            match deadline {
                Some(instant) => tokio::time::sleep_until(instant).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = incoming.recv_many(&mut batch, BATCH) => {}
            () = wake => {}
        }
    }
}

fn settings(config: &Config) -> Settings {
    let identity = |mesh: &MeshConfig| Identity {
        member: Member {
            node: config.node.as_str().into(),
            addr: mesh.bind,
            started: wall_clock_millis(),
            renewals: 0,
        },
        instance: rand::random(),
        key: mesh.key.clone(),
        seed: rand::random(),
    };
    Settings {
        node: config.node.as_str().into(),
        exclusions: config.exclusions.clone(),
        ignore_exclude_label: config.ignore_exclude_label,
        announcements_per_second: config.announcements_per_second,
        deputies: true,
        seed: rand::random(),
        mesh: config.mesh.as_ref().map(identity),
    }
}

async fn bind(mesh: &MeshConfig) -> Result<MeshSocket, Error> {
    let address = mesh.bind;
    MeshSocket::bind(address).await.map_err(|source| Error::Mesh { address, source })
}

fn spawn_watches(
    tasks: &mut Tasks,
    client: &Client,
    config: &Config,
    metrics: &Metrics,
    events: &watch::Events,
) {
    let watch = watch::services(client.clone(), config.class.clone(), events.clone());
    spawn(tasks, "services", watch);
    let watch = watch::slices(client.clone(), events.clone());
    spawn(tasks, "endpoint slices", watch);
    let watch = watch::nodes(client.clone(), events.clone());
    spawn(tasks, "nodes", watch);
    let (namespace, gauges) = (config.namespace.clone(), metrics.config.clone());
    let watch = watch::config::watch(client.clone(), namespace.clone(), gauges, events.clone());
    spawn(tasks, "configuration", watch);
    let (client, events) = (client.clone(), events.clone());
    let mesh = config.mesh.clone();
    tasks.spawn(async move {
        if let Some(MeshConfig { bind, labels, key: _ }) = mesh {
            watch::peers(client, namespace, labels, bind.port(), events).await;
            return Ok("peers");
        }
        // Without a mesh there are no peers to wait for.
        let _stopping = events.send(Event::Peers(BTreeSet::new())).await;
        std::future::pending().await
    });
}

fn spawn_servers(tasks: &mut Tasks, config: &Config, metrics: &Metrics, waiting: &Waiting) {
    if let Some(address) = config.metrics {
        let routes = kit::admin::metrics_routes(metrics.registry.clone());
        tasks.spawn(async move {
            kit::admin::serve(address, routes, CancellationToken::new()).await?;
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

async fn forward_links(
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
async fn terminate(events: watch::Events) -> Result<&'static str, Error> {
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

/// What the status objects shall belong to: the DaemonSet, so that they outlive a pod and are
/// found again by its successor; without one the pod itself, as in MetalLB.
async fn owner(client: &Client, config: &Config) -> Option<OwnerReference> {
    if config.pod.is_empty() {
        return None;
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &config.namespace);
    match pods.get(&config.pod).await {
        Ok(pod) => {
            let owners = pod.metadata.owner_references.iter().flatten();
            let daemon_set = owners.clone().find(|owner| owner.kind == "DaemonSet").cloned();
            let plain =
                |owner| OwnerReference { controller: None, block_owner_deletion: None, ..owner };
            daemon_set.or_else(|| pod.owner_ref(&())).map(plain)
        }
        Err(error) => {
            tracing::warn!(%error, "cannot read the own pod: ServiceL2Status objects will have no owner");
            None
        }
    }
}

/// Runs `task` beside the others; its end is the end of the process.
fn spawn(tasks: &mut Tasks, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(async move {
        task.await;
        Ok(name)
    });
}
