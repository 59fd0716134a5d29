//! Everything wired together.
//!
//! ```text
//!  watches (Services, EndpointSlices, Nodes, Pods, configuration, ─┐
//!           records and Speakers by the report tasks)              │
//!  links, and their counters (netlink) ────────────────────────────┤ Event
//!  mesh socket, attendance ────────────────────────────────────────┼──────▶ engine task
//!  ports: what is heard, link frames ──────────────────────────────┤          │ Effect
//!  SIGTERM; memory, where the API server is away ──────────────────┘          ▼
//!     report tasks ◀── Report ── Shell: ports, table, deadline, mesh socket, logs, metrics
//!     (status, Events)                   │ ArcSwap<Table>, Deadline
//!                                        ▼
//!                              one port task per link: receive, respond, send
//! ```
//!
//! The first task to end, the ports apart, ends the process with its error: Kubernetes restarts us.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use crds::model::compile::Problem;
use crds::names::component;
use kit::events::Recorder;
use kit::judgement::{self, Judge};
use kube::Client;
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::announce::table::Table;
use crate::args::{Config, MeshConfig};
use crate::engine::{Engine, Settings, State};
use crate::io::attendance::{Attendance, Attended};
use crate::io::clock::{Clock, wall_clock_millis};
use crate::io::counts::Counts;
use crate::io::deadline::Deadline;
use crate::io::links;
use crate::io::mesh_socket::MeshSocket;
use crate::io::ports::Ports;
use crate::mesh::{Identity, Member};
use crate::metrics::Metrics;
use crate::report::speaker::{Herald, Said};
use crate::report::{Report, Reporter};
use crate::watch;

mod conflicts;
mod drive;
mod journal;
mod keys;
mod memory;
mod owner;
mod shell;
mod sources;

use conflicts::Conflicts;
use drive::{Incoming, drive};
use memory::Memory;
use owner::owner;
use shell::Shell;
use sources::{forward_links, spawn_servers, spawn_watches, terminate};

/// Events that may wait for the engine; beyond that their sources wait.
const EVENTS: usize = 4_096;

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
    /// The metrics cannot be served.
    #[error(transparent)]
    MetricsServer(#[from] kit::metrics_server::Error),
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

/// What is wrong with the configuration; `None` before that is known.
type Problems = tokio::sync::watch::Sender<Option<Vec<Problem>>>;

/// What is to be written to the API server.
struct News {
    standings: mpsc::UnboundedReceiver<Report>,
    saying: mpsc::UnboundedReceiver<Said>,
    judged: tokio::sync::watch::Receiver<Option<Vec<Problem>>>,
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
    let deadline = Deadline::new(clock);
    let metrics = Metrics::new(&config.node, Arc::clone(&table), deadline.clone())?;
    let waiting: Waiting = Arc::new(Mutex::new(vec!["everything"]));
    let (events, incoming) = mpsc::channel(EVENTS);
    let (reports, standings) = mpsc::unbounded_channel();
    let (said, saying) = mpsc::unbounded_channel();
    let mut tasks = Tasks::new();

    let mut mesh = None;
    let mut attendance = None;
    if let Some(MeshConfig { bind: address, .. }) = &config.mesh {
        let (socket, attended) = bind(*address).await?;
        mesh = Some(socket.clone());
        metrics.set_mesh_socket(socket.clone());
        attendance = Some(Attendance::new(address.ip(), events.clone()));
        spawn(&mut tasks, "mesh", socket.receive(events.clone()));
        spawn(&mut tasks, "attended", attended.run());
    }
    let (problems, judged) = tokio::sync::watch::channel(None);
    spawn_watches(&mut tasks, &client, &config, &metrics, problems, &events);
    let (snapshots, links_changed) = mpsc::channel(4);
    tasks.spawn(async move { match links::watch(snapshots).await? {} });
    tasks.spawn(forward_links(links_changed, events.clone()));
    let (counts, answers) = Counts::new(events.clone())?;
    spawn(&mut tasks, "counters", answers);
    tasks.spawn(terminate(events.clone()));
    spawn_servers(&mut tasks, &client, &config, &metrics, &waiting);
    let instance = if config.pod.is_empty() { &config.node } else { &config.pod };
    let dropped = metrics.events_dropped.clone();
    let (recorder, writer) = Recorder::new(client.clone(), component::SPEAKER, instance, dropped);
    spawn(&mut tasks, "events", writer);
    let update_errors = metrics.update_errors.clone();
    let context = Context { recorder: recorder.clone(), update_errors, events: events.clone() };
    let news = News { standings, saying, judged };
    spawn_reports(&mut tasks, &client, &config, context, news);

    let shell = Shell {
        ports: Ports::new(Arc::clone(&table), deadline.clone(), events),
        table,
        deadline,
        mesh,
        attendance,
        counts,
        conflicts: Conflicts::new(config.node.clone(), recorder, metrics.clone()),
        metrics,
        reports,
        said,
        journal: journal::Journal::default(),
        unused: BTreeMap::new(),
        standing: State::default(),
        knocked: BTreeSet::new(),
    };
    let memory = Memory::new(config.state_dir.clone());
    let (changed, keys) = mpsc::channel(1);
    if let Some(MeshConfig { keys, key_folder, .. }) = config.mesh.clone() {
        spawn(&mut tasks, "keys", keys::follow(key_folder, keys, changed));
    }
    let engine = Engine::new(settings(&config), clock.now());
    tokio::select! {
        () = drive(engine, shell, memory, Incoming { events: incoming, keys }, clock, waiting) => Ok(()),
        Some(ended) = tasks.join_next() => match ended {
            Ok(Ok(task)) => Err(Error::Ended(task)),
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(Error::Panicked(panic)),
        },
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
        keys: mesh.keys.clone(),
        seed: rand::random(),
    };
    Settings {
        node: config.node.as_str().into(),
        exclusions: config.exclusions.clone(),
        ignore_exclude_label: config.ignore_exclude_label,
        announcements_per_second: config.announcements_per_second,
        deputies: config.deputies,
        seed: rand::random(),
        mesh: config.mesh.as_ref().map(identity),
        #[cfg(feature = "defects")]
        defect: None,
    }
}

async fn bind(address: SocketAddr) -> Result<(MeshSocket, Attended), Error> {
    let failed = |source| Error::Mesh { address, source };
    let socket = MeshSocket::bind(address).await.map_err(failed)?;
    let attended = Attended::bind(address).await.map_err(failed)?;
    Ok((socket, attended))
}

/// What the tasks need that write to the API server.
struct Context {
    recorder: Recorder,
    update_errors: IntCounter,
    events: watch::Events,
}

/// The tasks that write to the API server. What they write belongs to something, which is asked for
/// first: by them, since the API server may be away and nothing else waits for it.
fn spawn_reports(
    tasks: &mut Tasks,
    client: &Client,
    config: &Config,
    Context { recorder, update_errors, events }: Context,
    news: News,
) {
    let (client, config) = (client.clone(), config.clone());
    tasks.spawn(async move {
        let owner = owner(&client, &config.namespace, &config.pod).await;
        let Config { node, namespace, .. } = config;
        let reporter = Reporter {
            client: client.clone(),
            namespace: namespace.clone(),
            node: node.clone(),
            owner: owner.clone(),
            recorder: recorder.clone(),
            update_errors: update_errors.clone(),
            events: events.clone(),
        };
        let judge = Judge::speaker(&node, owner.clone());
        let herald = Herald {
            client: client.clone(),
            namespace: namespace.clone(),
            node,
            owner,
            recorder,
            update_errors,
            events,
        };
        let judgement = judgement::keep(client, namespace, judge, || true, news.judged);
        tokio::select! {
            () = reporter.run(news.standings) => Ok("report"),
            () = herald.run(news.saying) => Ok("speaker object"),
            () = judgement => Ok("configuration state"),
        }
    });
}

/// Runs `task` beside the others; its end is the end of the process.
fn spawn(tasks: &mut Tasks, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(async move {
        task.await;
        Ok(name)
    });
}
