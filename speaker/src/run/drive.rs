//! The engine task.

use std::sync::PoisonError;

use tokio::sync::mpsc;

use super::Waiting;
use super::memory::Memory;
use super::shell::Shell;
use crate::engine::{Effect, Engine, Event};
use crate::io::clock::{Clock, sleep_until};
use crate::mesh::seal::Keyring;

/// Events taken at one time, so that a thousand Services at once cost one election.
const BATCH: usize = 1_024;

/// What comes in.
pub(super) struct Incoming {
    pub(super) events: mpsc::Receiver<Event>,
    /// The keys of the mesh, when they have changed. No event, since events may be written down.
    pub(super) keys: mpsc::Receiver<Keyring>,
}

/// Events in, effects carried out, until the engine halts.
pub(super) async fn drive(
    mut engine: Engine,
    mut shell: Shell,
    mut memory: Memory,
    mut incoming: Incoming,
    clock: Clock,
    waiting: Waiting,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut is_settled = false;
    loop {
        for event in &batch {
            memory.note(event);
            shell.conflicts.note(event);
            shell.metrics.note(event);
        }
        let effects = engine.on(batch.drain(..), clock.now());
        // What is said last is among them, too.
        let halts = effects.contains(&Effect::Halt);
        for effect in effects {
            shell.carry_out(effect);
        }
        if halts {
            tracing::info!("all addresses are left to others, good-bye");
            memory.finish();
            return;
        }
        if let Some(refused) = shell.ports.refused() {
            batch.push(Event::Refused(refused));
            continue;
        }
        if engine.is_active() && !is_settled {
            is_settled = true;
            shell.settle();
        }
        shell.metrics.set_mesh(engine.mesh_counts());
        *waiting.lock().unwrap_or_else(PoisonError::into_inner) = engine.waits_for();
        let deadline = engine.next_deadline().map(|moment| clock.instant(moment));
        let next_try = shell.ports.next_try();
        tokio::select! {
            () = sleep_until(next_try) => shell.try_again(),
            _ = incoming.events.recv_many(&mut batch, BATCH) => {}
            Some(keys) = incoming.keys.recv() => {
                if engine.set_keys(keys, clock.now()) {
                    tracing::info!(event = "keyChanged", "the key of the mesh has changed");
                }
            }
            () = memory.due() => batch = memory.recall(),
            () = sleep_until(deadline) => {}
        }
    }
}
