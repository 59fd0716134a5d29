//! What the API server said last, kept in a file, so that a speaker that is started again while the
//! API server is away still knows its Services (rule R8 of the ownership design).
//!
//! ```text
//!  watches ─ Event ─▶ drive ─────────────▶ engine
//!                       │        ▲ what is missing after a while, from the file
//!                       ▼ copy   │
//!                     a thread of its own ──▶ state.json.tmp ──▶ state.json
//! ```
//!
//! Only what the API server said is kept, never what was made of it: whose an address is, the mesh
//! and the wire know better after a restart. A file of another version, or one that cannot be read,
//! is as good as none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::Event;
use crate::io::clock::{Clock, sleep_until, wall_clock_millis};

mod file;
mod inputs;

use inputs::{Input, Inputs};

/// How long the API server has, before what it does not say is taken from the file.
const PATIENCE: Duration = Duration::from_secs(3);
/// The shortest time between two writes.
const PACE: Duration = Duration::from_secs(5);

/// What was known before this start, and what is kept for the next.
#[derive(Debug)]
pub(super) struct Memory {
    /// From the file, until it is used or not needed.
    before: Option<Before>,
    delivered: BTreeSet<Input>,
    keeper: Option<(mpsc::Sender<Event>, JoinHandle<()>)>,
}

/// What was known before this start.
#[derive(Debug)]
struct Before {
    inputs: Inputs,
    /// In milliseconds since 1970.
    written: u64,
    /// When it is used.
    due: Instant,
}

impl Memory {
    /// Reads the file in `folder`, and keeps it up to date from now on; without a folder it knows
    /// nothing and keeps nothing.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        let Some(folder) = folder else {
            return Self { before: None, delivered: BTreeSet::new(), keeper: None };
        };
        let before = match file::read(&folder) {
            Ok(found) => found,
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "the state of before this start cannot be used");
                None
            }
        };
        let due = Instant::now() + PATIENCE;
        let before = before.map(|(inputs, written)| Before { inputs, written, due });
        // What does not come from the API server this time stays in the file as it was.
        let inputs = before.as_ref().map(|before| before.inputs.clone()).unwrap_or_default();
        let (copies, incoming) = mpsc::channel();
        let keep = move || keep(&folder, inputs, &incoming);
        let thread = thread::Builder::new().name("memory".to_owned()).spawn(keep);
        if let Err(error) = &thread {
            tracing::warn!(%error, "no state is kept for the next start");
        }
        let keeper = thread.ok().map(|thread| (copies, thread));
        Self { before, delivered: BTreeSet::new(), keeper }
    }

    /// Takes note of `event` on its way to the engine.
    pub(super) fn note(&mut self, event: &Event) {
        let Some(input) = Input::of(event) else { return };
        self.delivered.insert(input);
        if let Some((copies, _)) = &self.keeper {
            // It has ended only if it panicked; that costs the memory, and nothing else.
            let _ended = copies.send(event.clone());
        }
    }

    /// Waits until what was known before is to be used; for ever if it is not.
    pub(super) async fn due(&self) {
        sleep_until(self.before.as_ref().map(|before| before.due)).await;
    }

    /// What was known before of everything that the API server has not told of yet. Once.
    pub(super) fn recall(&mut self) -> Vec<Event> {
        let Some(Before { inputs, written, due: _ }) = self.before.take() else {
            return Vec::new();
        };
        let missing =
            |event: &Event| Input::of(event).is_some_and(|input| !self.delivered.contains(&input));
        let events: Vec<Event> = inputs.events().into_iter().filter(missing).collect();
        if !events.is_empty() {
            let names = events.iter().filter_map(Input::of).map(Input::name);
            let kinds = kit::telemetry::json(&names.collect::<Vec<_>>());
            let age_seconds = wall_clock_millis().saturating_sub(written) / 1_000;
            tracing::warn!(
                event = "stateRecalled",
                kinds = kinds.as_slice(),
                age_seconds,
                "the API server does not answer: going on with what it said before this start"
            );
        }
        events
    }

    /// Writes what has not been written yet.
    pub(super) fn finish(self) {
        if let Some((copies, thread)) = self.keeper {
            drop(copies);
            let _panicked = thread.join();
        }
    }
}

/// Keeps the file in `folder` up to date until there is nothing to come.
fn keep(folder: &Path, mut inputs: Inputs, incoming: &mpsc::Receiver<Event>) {
    let clock = Clock::new();
    let mut is_failing = false;
    while let Ok(first) = incoming.recv() {
        let mut changed = inputs.take(first);
        // Changes come in crowds: gather them for a while. This is what paces the writes, too.
        let due = clock.now() + PACE;
        while let Ok(event) = incoming.recv_timeout(due.since(clock.now())) {
            changed |= inputs.take(event);
        }
        if !changed {
            continue;
        }
        match file::write(folder, &inputs, wall_clock_millis()) {
            Ok(()) => is_failing = false,
            Err(error) if is_failing => tracing::debug!(%error, "the state is not kept"),
            Err(error) => {
                is_failing = true;
                let folder = folder.display();
                tracing::warn!(%folder, %error, "the state cannot be kept for the next start");
            }
        }
    }
}

#[cfg(test)]
mod tests;
