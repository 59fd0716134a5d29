//! The whole loop, on a fake API server.
#![allow(dead_code, reason = "some tests need some of it")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::sync::Arc;
use std::time::Duration;

use controller::lease::fence::{Clock, Fence};
use controller::metrics::Metrics;
use controller::ready::Ready;
use controller::reconcile::desk::Role;
use controller::reconcile::mover::{Moves, Settings};
use controller::reconcile::run::{Context, run};
use controller::reconcile::write::Writer;
use kit::events::Recorder;
use prometheus::{Registry, TextEncoder};
use tokio::sync::watch;

use super::fake_api::FakeApi;

/// A controller that leads, on `api`.
pub struct Running {
    pub fence: Fence,
    pub roles: watch::Sender<Role>,
    pub ready: Arc<Ready>,
    pub registry: Registry,
}

impl Running {
    /// Its metrics, as they are served.
    pub fn metrics(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }
}

pub fn start(api: &FakeApi) -> Running {
    let clock = Clock::start();
    let fence = Fence::new(clock);
    fence.begin(4);
    fence.set(Some(Duration::from_hours(24)));
    let registry = Registry::new();
    let metrics = Arc::new(Metrics::new(&registry).unwrap());
    let dropped = metrics.events_dropped.clone();
    let component = "metallb-controller";
    let (recorder, events) = Recorder::new(api.client.clone(), component, "pod", dropped);
    tokio::spawn(events);
    let (roles, role) = watch::channel(Role::Leader);
    let ready = Arc::new(Ready::default());
    let context = Context {
        writer: Writer::new(api.client.clone(), fence.clone()),
        namespace: "metallb-system".to_owned(),
        class: None,
        moves: Settings {
            moves: Moves::On,
            settling: Duration::from_secs(30),
            at_once: 10,
            ignore_exclude_label: false,
        },
        recorder,
        metrics,
        ready: Arc::clone(&ready),
        clock,
    };
    tokio::spawn(run(context, role));
    Running { fence, roles, ready, registry }
}
