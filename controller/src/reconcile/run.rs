//! The loop around the desk: feeds in, writes out. It decides only when, never what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crds::api::v1alpha1::Speaker;
use crds::api::v1beta1::IPAddressPool;
use crds::model::compile::Problem;
use crds::model::ids::{NodeName, ServiceKey};
use futures::stream::{BoxStream, SelectAll};
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Service;
use kit::events::Recorder;
use kit::judgement::{self, Judge};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::departed::Departed;
use super::desk::{Desk, Effect, Input, Now, Reported, Role};
use super::inputs::{News, inputs, reduce};
use super::mover::facts::speaker;
use super::mover::{self, Mover};
use super::write::{Failure, Writer};
use crate::lease::fence::Clock;
use crate::metrics::Metrics;
use crate::ready::Ready;

mod farewell;
mod orders;
mod report;
mod results;

/// Writes of Services under way at one time.
const CONCURRENCY: usize = 32;

/// Inputs taken in before anything is done about them.
const BATCH: usize = 1024;

/// What the loop runs with.
#[derive(Clone)]
pub struct Context {
    /// The way out.
    pub writer: Writer,
    /// Where pools and advertisements are.
    pub namespace: String,
    /// The load balancer class served; `None`: Services without any.
    pub class: Option<String>,
    /// Which addresses are moved, and when.
    pub moves: mover::Settings,
    /// Where Events go.
    pub recorder: Recorder,
    /// Where numbers go.
    pub metrics: Arc<Metrics>,
    /// Where readiness is told.
    pub ready: Arc<Ready>,
    /// The clock of the process.
    pub clock: Clock,
}

/// Why the loop ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Feeds are never to end.
    #[error("a watch ended")]
    Watch,
    /// A task of ours did.
    #[error("a task failed: {0}")]
    Task(#[from] JoinError),
}

/// Runs one term after another, each with fresh lists: what the former leader wrote last must be
/// seen before anything is given out.
///
/// # Errors
/// [`Error`], never expected.
pub async fn run(context: Context, mut roles: watch::Receiver<Role>) -> Result<(), Error> {
    loop {
        let role = *roles.borrow_and_update();
        context.metrics.begin(role);
        let mut term = Term::begin(context.clone(), role);
        tokio::select! {
            // The writes under way end with the term: dropping it aborts them.
            changed = roles.changed() => if changed.is_err() {
                return Ok(());
            },
            ended = term.serve() => return ended,
        }
    }
}

struct Term {
    context: Context,
    role: Role,
    desk: Desk,
    /// Only for a leader.
    mover: Option<Mover>,
    /// The same: of one that stands by it never hears anything.
    departed: Departed,
    inputs: SelectAll<BoxStream<'static, News>>,
    /// Patches that wait for a free place, in order.
    waiting: VecDeque<(ServiceKey, Value)>,
    writes: JoinSet<(ServiceKey, Result<Service, Failure>)>,
    /// Failures in a row, by Service.
    failures: BTreeMap<ServiceKey, u32>,
    pool_writes: JoinSet<(String, Result<IPAddressPool, Failure>)>,
    pools_writing: BTreeSet<String>,
    order_writes: JoinSet<(NodeName, Result<Speaker, Failure>)>,
    farewells: JoinSet<(NodeName, Result<(), Failure>)>,
    problems: watch::Sender<Option<Vec<Problem>>>,
    reporter: Option<AbortHandle>,
    last_report: Option<Duration>,
    report_due: Option<Duration>,
}

impl Drop for Term {
    fn drop(&mut self) {
        if let Some(reporter) = &self.reporter {
            reporter.abort();
        }
    }
}

impl Term {
    fn begin(context: Context, role: Role) -> Self {
        let (problems, receiver) = watch::channel(None);
        let reporter = (role == Role::Leader).then(|| {
            let (writer, namespace) = (context.writer.clone(), context.namespace.clone());
            let may_write = move || writer.may_write();
            let (client, judge) = (context.writer.client(), Judge::controller());
            tokio::spawn(judgement::keep(client, namespace, judge, may_write, receiver))
                .abort_handle()
        });
        Self {
            inputs: inputs(&context, role),
            mover: (role == Role::Leader).then(|| Mover::new(context.moves)),
            departed: Departed::default(),
            desk: Desk::new(role, context.writer.installed()),
            context,
            role,
            waiting: VecDeque::new(),
            writes: JoinSet::new(),
            failures: BTreeMap::new(),
            pool_writes: JoinSet::new(),
            pools_writing: BTreeSet::new(),
            order_writes: JoinSet::new(),
            farewells: JoinSet::new(),
            problems,
            reporter,
            last_report: None,
            report_due: None,
        }
    }

    async fn serve(&mut self) -> Result<(), Error> {
        loop {
            self.fill_places();
            let moves = self.mover.as_ref().and_then(Mover::next_deadline);
            let departed = self.departed.next_deadline();
            let wakes = [self.desk.next_deadline(), moves, departed, self.report_due];
            let wake = wakes.into_iter().flatten().min();
            let sleep = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(self.context.clock.at(wake)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                input = self.inputs.next() => {
                    self.take(input.ok_or(Error::Watch)?);
                    let mut left = BATCH;
                    while left > 0 && let Some(Some(input)) = self.inputs.next().now_or_never() {
                        self.take(input);
                        left -= 1;
                    }
                }
                Some(done) = self.writes.join_next() => {
                    let (key, result) = done?;
                    self.written(&key, result);
                    while let Some(done) = self.writes.try_join_next() {
                        let (key, result) = done?;
                        self.written(&key, result);
                    }
                }
                Some(done) = self.pool_writes.join_next() => {
                    let (name, result) = done?;
                    self.pool_written(&name, result);
                }
                Some(done) = self.order_writes.join_next() => {
                    let (node, result) = done?;
                    self.ordered(&node, result);
                }
                Some(done) = self.farewells.join_next() => {
                    let (node, result) = done?;
                    self.cleared_away(&node, result);
                }
                () = sleep => {}
            }
            self.work();
        }
    }

    fn take(&mut self, news: News) {
        self.context.metrics.updates.inc();
        let now = self.context.clock.elapsed();
        match (news, &mut self.mover) {
            (News::Desk(input), mover) => {
                if let (Input::Services(change), Some(mover)) = (&input, mover) {
                    mover.services(change, now);
                }
                self.desk.take(input);
            }
            (News::Slices(change), Some(mover)) => mover.slices(change, now),
            (News::Nodes(change), Some(mover)) => {
                self.departed.nodes(&change, now);
                mover.nodes(change, now);
            }
            (News::Statuses(change), Some(mover)) => mover.statuses(change, now),
            (News::Speakers(change), Some(mover)) => {
                let reports = reduce(change.clone(), |object| Reported::of(&object));
                self.desk.take(Input::Speakers(reports));
                mover.speakers(reduce(change, |object| speaker(&object)), now);
            }
            (News::States(change), Some(_)) => self.departed.states(&change, now),
            // Not even watched.
            (
                News::Slices(_)
                | News::Nodes(_)
                | News::Statuses(_)
                | News::Speakers(_)
                | News::States(_),
                None,
            ) => {}
        }
    }

    fn work(&mut self) {
        let elapsed = self.context.clock.elapsed();
        let now = Now { elapsed, stamp: stamp() };
        for effect in self.desk.work(now) {
            match effect {
                Effect::Patch(key, patch) => self.waiting.push_back((key, patch)),
                Effect::Tell(event) => self.context.recorder.publish(event),
                Effect::Report(problems) => {
                    self.problems.send_replace(Some(problems));
                }
            }
        }
        if self.desk.is_synced() {
            let metrics = &self.context.metrics;
            metrics.config_loaded.set(1);
            metrics.config_stale.set(i64::from(!self.desk.problems().is_empty()));
            metrics.config_problems.show(self.desk.problem_reasons());
        }
        self.context.ready.set(self.desk.missing());
        self.move_on(elapsed);
        self.clear_away(elapsed);
        self.report(elapsed);
    }

    fn fill_places(&mut self) {
        while self.writes.len() < CONCURRENCY
            && let Some((key, patch)) = self.waiting.pop_front()
        {
            let writer = self.context.writer.clone();
            self.writes.spawn(async move {
                let written = writer.service(&key, &patch).await;
                (key, written)
            });
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "conditions in objects carry a time of day")]
fn stamp() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
