//! Thousands of addresses, all on one node, which dies.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::cluster::Lab;
use crate::config::{self, Config};
use crate::fault;
use crate::observer::{Kind, Mac};
use crate::plan::Node;
use crate::scene::{Failover, QUIET, Scene};
use crate::speakers;
use crate::trace::Trace;

/// How often each address is asked for.
const INTERVAL: Duration = Duration::from_millis(250);
/// The pace of announcements is judged over this time.
const WINDOW: Duration = Duration::from_millis(100);
const WINDOWS_A_SECOND: u32 = 10;
/// An announcement is a request and a reply.
const FRAMES: u32 = 2;
/// The node that is preferred for all of them.
const HOME: &str = "n1";

/// The addresses, all of them at home.
pub struct Crowd<'a>(&'a Scene<'a>);

/// Runs `body` with this many addresses, all on one node while that lives.
pub async fn with(
    lab: &Lab,
    count: usize,
    body: impl AsyncFnOnce(&Crowd<'_>) -> Result<()>,
) -> Result<()> {
    let preferred = format!(
        "preferredNodeSelectors:\n- weight: 100\n  preference: {{matchLabels: \
         {{kubernetes.io/hostname: {HOME}}}}}"
    );
    let pool = config::pool("crowd", "172.17.224.0/20");
    let _config = Config::apply(lab, &(pool + &config::advertisement("crowd", &preferred)))?;
    Scene::within(lab, "crowd", count, INTERVAL, async |scene| {
        let home = scene.busiest()?;
        let (owned, name) = (home.owned.len(), &home.node.name);
        // On a busy machine the preferred node may be slow to claim some of so many at once, and then
        // another does.
        ensure!(owned * 10 >= count * 9 && name == HOME, "{name} has {owned} of {count}");
        body(&Crowd(scene)).await
    })
    .await
}

/// How the death of the node with all addresses was seen.
#[derive(Debug)]
pub struct Death {
    pub failover: Failover,
    /// For each node, the most announcing frames within a tenth of a second.
    pub frames: BTreeMap<String, u32>,
    /// What its pace allows a node in that time.
    pub allowed: u32,
}

impl Crowd<'_> {
    /// The node dies and comes back.
    pub async fn dies(&self) -> Result<Death> {
        let Self(scene) = self;
        let dead = scene.busiest()?;
        let (failover, fault) = scene.fail_over(&dead, fault::cut_silently).await?;
        // Announcements go on for some seconds.
        scene.look_on(QUIET * 5).await?;
        fault.heal()?;
        let trace = scene.since(failover.at);
        let of = |node: &Node| Ok((node.name.clone(), most_frames(&trace, node.mac.parse()?)));
        let frames = scene.lab.nodes().iter().map(of).collect::<Result<_>>()?;
        let per_second = speakers::announcements_per_second(&scene.client).await?;
        // A sender that wakes up late makes up for a few milliseconds.
        let allowed = per_second * FRAMES / WINDOWS_A_SECOND * 6 / 5 + FRAMES;
        Ok(Death { failover, frames, allowed })
    }
}

/// The most frames that this node announced with within one window.
fn most_frames(trace: &Trace, mac: Mac) -> u32 {
    let said = trace.announcements.iter().filter(|it| it.mac == mac && it.kind != Kind::Probe);
    busiest_window(&said.map(|it| it.at).collect::<Vec<_>>())
}

/// The most of these times that lie in one window.
fn busiest_window(times: &[Duration]) -> u32 {
    let mut begin = 0;
    let mut most = 0;
    for (end, at) in times.iter().enumerate() {
        while times[begin] + WINDOW <= *at {
            begin += 1;
        }
        most = most.max(end + 1 - begin);
    }
    u32::try_from(most).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_window_is_found_wherever_it_lies() {
        let times =
            |all: &[u64]| all.iter().copied().map(Duration::from_millis).collect::<Vec<_>>();
        assert_eq!(busiest_window(&times(&[])), 0);
        assert_eq!(busiest_window(&times(&[0, 100, 150, 199, 200, 400])), 3);
    }
}
