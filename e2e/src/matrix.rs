//! The matrix of faults that `make bench-failover` measures: each fault many times, on one scene.
//! The tests state limits; this gives the figures behind them.

mod even;
mod measure;
mod promise;
mod table;

use std::fmt::Display;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::cluster::Lab;
use crate::crowd;
use crate::fault;
use crate::scene::{Scene, ms};

use promise::Kind;
pub use table::{Row, Table};

/// In a cluster of three. More speakers share the same two cores, and each hears every question.
const ADDRESSES: usize = 30;
const ADDRESSES_OF_MANY: usize = 10;
const CROWD: usize = 3_000;

/// One way in which things go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// A node's cable is pulled.
    Cable,
    /// A node is cut off and its carrier stays.
    Silence,
    /// A node's cable is pulled while the API server is stopped.
    NoApi,
    /// The speakers are rolled out, then each is killed, and killed twice again.
    Agents,
    /// A speaker hangs for ten seconds.
    Hang,
    /// A node gets the label that excludes it.
    Drain,
    /// The speakers cannot reach one another for a minute.
    Mesh,
    /// The switch keeps the nodes from one another for a minute.
    Isolated,
    /// The wire is cut in two, and healed.
    Halves,
    /// A node's cable is pulled five times within a minute.
    Flapping,
    /// A node is added to nodes with 100 addresses.
    Added,
    /// A node with 3,000 addresses dies.
    Crowd,
}

impl Fault {
    /// How often it is measured unless told otherwise.
    fn runs(self, nodes: usize) -> usize {
        match self {
            Self::Cable | Self::Silence | Self::NoApi if nodes > 10 => 20,
            Self::Cable | Self::Silence | Self::NoApi => 100,
            Self::Drain => 20,
            Self::Hang | Self::Halves => 5,
            Self::Mesh | Self::Isolated | Self::Crowd => 3,
            Self::Agents | Self::Flapping => 2,
            Self::Added => 1,
        }
    }

    /// Whether it makes sense for speakers that no kubelet starts again.
    const fn works_without_kubelet(self) -> bool {
        matches!(self, Self::Cable | Self::Silence | Self::NoApi | Self::Added)
    }

    /// Whether it befalls the scene that all such faults share.
    const fn is_on_scene(self) -> bool {
        !matches!(self, Self::Added | Self::Crowd)
    }
}

/// Measures these faults and writes what was found into `file` after each. An error names the
/// promises that the figures break, when all are measured.
pub async fn run(
    lab: &Lab,
    faults: &[Fault],
    runs: Option<usize>,
    file: &Path,
    say: &dyn Fn(&dyn Display),
) -> Result<()> {
    let nodes = lab.nodes().len();
    let bare = lab.nodes().iter().any(|node| node.bare);
    let wanted = || faults.iter().copied().filter(|it| !bare || it.works_without_kubelet());
    let runs = |fault: Fault| runs.unwrap_or_else(|| fault.runs(nodes)).max(1);
    let on_scene: Vec<Fault> = wanted().filter(|it| it.is_on_scene()).collect();
    let mut broken = Vec::new();
    let addresses = if bare { ADDRESSES_OF_MANY } else { ADDRESSES };
    if !on_scene.is_empty() {
        Scene::with("matrix", addresses, async |scene| {
            for fault in on_scene {
                let mut table = Table::default();
                on(scene, fault, runs(fault), &mut table, say).await?;
                table.merge_into(file, nodes)?;
                broken.extend(table.broken());
            }
            Ok(())
        })
        .await?;
    }
    if wanted().any(|it| it == Fault::Added) {
        let mut table = Table::default();
        broken.extend(even::node_added(lab, &mut table).await?);
        say(&format_args!("Added: {}", table.last()));
        table.merge_into(file, nodes)?;
        broken.extend(table.broken());
    }
    if wanted().any(|it| it == Fault::Crowd) {
        let mut table = Table::default();
        let runs = runs(Fault::Crowd);
        for run in 1..=runs {
            crowd::with(lab, CROWD, async |crowd| {
                let death = crowd.dies().await?;
                let slowest = ms(death.failover.slowest());
                say(&format_args!("Crowd {run} of {runs}: the last after {slowest:.0} ms"));
                let (frames, allowed) = (&death.frames, death.allowed);
                if frames.values().any(|most| *most > allowed) {
                    broken.push(format!("announcing frames: {frames:?}, {allowed} at most"));
                }
                let all = death.failover.after.values().map(|after| ms(*after)).collect();
                table.add_all(Kind::Crowd, all);
                Ok(())
            })
            .await?;
        }
        table.merge_into(file, nodes)?;
        broken.extend(table.broken());
    }
    ensure!(broken.is_empty(), "with {nodes} speakers:\n{}", broken.join("\n"));
    Ok(())
}

/// One fault, again and again. Runs in which the observer could not keep up are not counted, and
/// repeated.
async fn on(
    scene: &Scene<'_>,
    fault: Fault,
    runs: usize,
    table: &mut Table,
    say: &dyn Fn(&dyn Display),
) -> Result<()> {
    let mut failed = 0;
    let mut made = 0;
    while made < runs {
        let good = match fault {
            Fault::Cable => measure::cut(scene, Kind::Cut, fault::cut, table).await?,
            Fault::Silence => {
                measure::cut(scene, Kind::CutSilently, fault::cut_silently, table).await?
            }
            Fault::NoApi => {
                let outage = fault::stop_api_server(scene.lab)?;
                let good = measure::cut(scene, Kind::CutWithoutApi, fault::cut, table).await?;
                outage.heal()?;
                good
            }
            Fault::Agents => measure::agents(scene, table).await?,
            Fault::Hang => measure::hang(scene, table).await?,
            Fault::Drain => measure::drained(scene, table).await?,
            Fault::Mesh => measure::mesh(scene, table).await?,
            Fault::Isolated => measure::isolated(scene, table).await?,
            Fault::Halves => measure::halves(scene, table).await?,
            Fault::Flapping => measure::flapping(scene, table).await?,
            Fault::Added | Fault::Crowd => true,
        };
        if good {
            made += 1;
            say(&format_args!("{fault:?} {made} of {runs}: {}", table.last()));
        } else {
            failed += 1;
            table.discarded += 1;
            say(&format_args!("{fault:?}: the machine was too busy, not counted"));
            ensure!(failed <= 3 + runs / 5, "the machine is too busy for {fault:?}");
        }
    }
    Ok(())
}
