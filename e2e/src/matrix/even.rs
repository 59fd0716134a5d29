//! A node is added to a cluster with many addresses: the plan gives it its share, and moves nothing
//! else.

use std::time::Duration;

use anyhow::Result;

use super::measure::seen;
use super::promise::Kind;
use super::table::{Seen, Table};
use crate::chart::Settings;
use crate::cluster::Lab;
use crate::config::Config;
use crate::label::{EXCLUDE, Label};
use crate::plan::Node;
use crate::scene::Scene;
use crate::wait::{Look, until};

const ADDRESSES: usize = 100;
const POOL: &str = "172.17.255.100-172.17.255.199";
/// Less often than usual: every speaker hears every question.
const INTERVAL: Duration = Duration::from_millis(100);
/// The controller waits for so long before it plans moves.
const SETTLING: &str = "controller.placement.settlingSeconds=15";
/// It gives orders for a few addresses at a time.
const PLANNED: Duration = Duration::from_mins(3);

/// A node that was excluded is a node of the cluster again. Gives what was wrong with that.
pub(super) async fn node_added(lab: &Lab, table: &mut Table) -> Result<Option<String>> {
    let _settings = Settings::with(lab, &[SETTLING])?;
    let mut wrong = None;
    let _config = Config::pool(lab, "even", POOL)?;
    Scene::within(lab, "even", ADDRESSES, INTERVAL, async |scene| {
        let late = scene.busiest()?.node;
        let label = Label::put(lab, &late, EXCLUDE, "true")?;
        spread(scene, |node| node.name != late.name).await?;
        scene.observer.forget();
        let begun = scene.now();
        label.remove()?;
        spread(scene, |_| true).await?;
        let trace = scene.since(begun);
        let moves = trace.addresses.iter().map(|ip| trace.moves(*ip).len()).sum();
        let share = ADDRESSES / lab.nodes().len();
        wrong = (moves > share).then(|| format!("{moves} moves for a share of {share}"));
        table.add(Kind::Added, Seen { changes: moves, ..seen(&trace) });
        Ok(())
    })
    .await?;
    Ok(wrong)
}

/// Waits until these nodes have all addresses, evenly, and all is quiet.
async fn spread(scene: &Scene<'_>, among: impl Fn(&Node) -> bool) -> Result<()> {
    until(PLANNED, "an even spread", async || {
        let (taking, others): (Vec<_>, Vec<_>) =
            scene.holders()?.into_iter().partition(|holder| among(&holder.node));
        let most = taking.iter().map(|holder| holder.owned.len()).max().unwrap_or_default();
        let least = taking.iter().map(|holder| holder.owned.len()).min().unwrap_or_default();
        let is_even = most - least <= 1 && others.iter().all(|holder| holder.owned.is_empty());
        Ok(Look::when(is_even.then_some(()), || format!("from {least} to {most}")))
    })
    .await?;
    scene.settle().await
}
