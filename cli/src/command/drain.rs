//! Marks a node, or takes the mark off, and waits until its speaker has done what follows.

use std::time::Duration;

use serde_json::Value;

use super::cluster::Cluster;
use super::{Error, say};
use crate::args;
use crate::drain::{self, Look, Seen};

/// How often the API server is asked.
const EVERY: Duration = Duration::from_millis(500);

/// What is done to a node, and when it is done.
pub(super) struct Task {
    patch: fn() -> Value,
    is_done: fn(&str, &Seen) -> Look,
    /// Said as soon as the Node is changed.
    changed: &'static str,
}

pub(super) const DRAIN: Task =
    Task { patch: drain::mark, is_done: drain::drained, changed: "is marked for draining" };

pub(super) const UNDRAIN: Task =
    Task { patch: drain::unmark, is_done: drain::undrained, changed: "is not marked any more" };

/// What was seen last.
#[derive(Default)]
struct Last {
    line: String,
    seen: Option<Seen>,
}

pub(super) fn run(args: &args::Drain, task: &Task) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(carry_out(args, task))
}

async fn carry_out(args: &args::Drain, task: &Task) -> Result<(), Error> {
    let args::Drain { node, timeout, no_wait, cluster } = args;
    let cluster = Cluster::connect(cluster).await?;
    if !no_wait {
        // A mark that nobody would act on is not set.
        cluster.ensure_node(node).await?;
        cluster.look(node).await?;
    }
    cluster.patch_node(node, &(task.patch)()).await?;
    say(&format!("{node} {}", task.changed))?;
    if *no_wait {
        return Ok(());
    }
    let mut last = Last::default();
    let follow = follow(&cluster, node, task, &mut last);
    if timeout.is_zero() {
        return follow.await;
    }
    match tokio::time::timeout(*timeout, follow).await {
        Ok(done) => done,
        Err(_) => Err(Error::TimedOut {
            seconds: timeout.as_secs(),
            hint: drain::hint(node, &cluster.namespace, last.seen.as_ref()),
            last: last.line,
        }),
    }
}

/// Says how the node stands, each time that is news, until it is as it should be.
async fn follow(cluster: &Cluster, node: &str, task: &Task, last: &mut Last) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let look = match cluster.look(node).await {
            Ok(seen) => {
                let look = (task.is_done)(node, &seen);
                last.seen = Some(seen);
                look
            }
            // The API server may be back in a moment.
            Err(error @ Error::Api { .. }) => Look::Waiting(error.to_string()),
            Err(error) => return Err(error),
        };
        let (Look::Done(line) | Look::Waiting(line)) = &look;
        if *line != last.line {
            say(line)?;
            last.line.clone_from(line);
        }
        if matches!(look, Look::Done(_)) {
            return Ok(());
        }
    }
}
