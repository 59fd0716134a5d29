//! The matrix of faults that `make bench-failover` measures: each fault many times, on one scene.
//! The tests state limits; this gives the figures behind them.

mod measure;
mod table;

use std::fmt::Display;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::cluster::Lab;
use crate::crowd;
use crate::fault;
use crate::label::EXCLUDE;
use crate::scene::{Scene, ms};

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
    /// The speakers are rolled out, then each is killed, and killed again.
    Agents,
    /// A speaker hangs for ten seconds.
    Hang,
    /// A node gets the label that excludes it.
    Drain,
    /// A node with 3,000 addresses dies.
    Crowd,
}

impl Fault {
    /// How often it is measured unless told otherwise.
    fn runs(self, nodes: usize) -> usize {
        match self {
            Self::Cable | Self::Silence | Self::NoApi if nodes <= 10 => 100,
            Self::Cable | Self::Silence | Self::NoApi | Self::Drain => 20,
            Self::Hang => 5,
            Self::Agents => 2,
            Self::Crowd => 1,
        }
    }

    /// Whether it makes sense for speakers that no kubelet starts again.
    fn works_without_kubelet(self) -> bool {
        matches!(self, Self::Cable | Self::Silence | Self::NoApi)
    }
}

/// Measures these faults and writes what was found into `file` after each.
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
    let on_scene: Vec<Fault> = wanted().filter(|it| *it != Fault::Crowd).collect();
    let addresses = if bare { ADDRESSES_OF_MANY } else { ADDRESSES };
    if !on_scene.is_empty() {
        Scene::with("matrix", addresses, async |scene| {
            for fault in on_scene {
                let mut table = Table::default();
                on(scene, fault, runs(fault), &mut table, say).await?;
                table.merge_into(file, nodes)?;
            }
            Ok(())
        })
        .await?;
    }
    if wanted().any(|it| it == Fault::Crowd) {
        let mut table = Table::default();
        crowd::with(lab, CROWD, async |crowd| {
            let death = crowd.dies().await?;
            let all = death.failover.after.values().map(|after| ms(*after)).collect();
            table.add_all("node with 3,000 addresses cut off (each address)", all);
            Ok(())
        })
        .await?;
        table.merge_into(file, nodes)?;
    }
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
            Fault::Cable => measure::cut(scene, "node cut off", fault::cut, table).await?,
            Fault::Silence => {
                let title = "node cut off, its carrier stays";
                measure::cut(scene, title, fault::cut_silently, table).await?
            }
            Fault::NoApi => {
                let title = "node cut off while the API server is stopped";
                let outage = fault::stop_api_server(scene.lab)?;
                let good = measure::cut(scene, title, fault::cut, table).await?;
                outage.heal()?;
                good
            }
            Fault::Agents => measure::agents(scene, table).await?,
            Fault::Hang => measure::hang(scene, table).await?,
            Fault::Drain => measure::labelled(scene, "node drained", EXCLUDE, table).await?,
            Fault::Crowd => true,
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
