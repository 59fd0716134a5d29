//! Runs the tests that need clusters and network namespaces: each in a process of its own, several
//! clusters at once, and at the end those that need the machine.
//!
//! What a test needs is decided in [`plan`]; who runs it where, in [`queue`]; a cluster in a world of
//! its own is a [`lane::Lane`].

pub mod beside;
pub mod lane;
pub mod libtest;
pub mod plan;
pub mod queue;
pub mod record;
pub mod units;
pub mod world;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use self::beside::Beside;
use self::lane::{Files, Lane};
use self::plan::{Needs, Part};
use self::queue::{Queue, Task};
use self::record::{Kind, Record};

/// Tests that judge times are disturbed by more than one other beside them: they run in so many of the
/// clusters.
const QUIET_LANES: usize = 2;

/// What is to be run, and where.
#[derive(Debug)]
pub struct Options {
    /// Programs with tests, each built by `cargo test --no-run`.
    pub programs: Vec<PathBuf>,
    pub part: Part,
    /// Only tests whose names hold one of these words; none: all.
    pub only: Vec<String>,
    /// What runs beside the tests that bear any load.
    pub beside: Vec<Beside>,
    /// Clusters with ferrolb at once.
    pub lanes: usize,
    pub files: Files,
}

/// How many tests passed, and which did not.
#[derive(Debug, Default)]
pub struct Outcome {
    pub passed: usize,
    pub failed: Vec<String>,
}

/// How a test ended.
#[derive(Debug)]
pub struct Ended {
    pub passed: bool,
    pub took: Duration,
    /// What it printed.
    pub said: String,
}

impl Ended {
    /// It never began, for this reason.
    fn before_it_began(why: &str) -> Self {
        Self { passed: false, took: Duration::ZERO, said: format!("{why}\n") }
    }
}

/// Runs all that is asked for; tells of each test as it ends.
pub fn run(options: &Options, record: &Record, say: &(dyn Fn(&str) + Sync)) -> Result<Outcome> {
    let mut names = Vec::new();
    for program in &options.programs {
        names.extend(libtest::list(program)?.into_iter().map(|name| (program.clone(), name)));
    }
    plan::check(names.iter().map(|(_, name)| name.as_str()))?;
    let is_wanted = |name: &str| {
        let is_named = |word: &String| name.contains(word.as_str());
        plan::part(name) == options.part
            && (options.only.is_empty() || options.only.iter().any(is_named))
    };
    let tasks: Vec<Task> = names
        .into_iter()
        .filter(|(_, name)| is_wanted(name))
        .map(|(program, name)| Task {
            needs: plan::needs(&name),
            expected: record.expected(&name),
            program,
            name,
        })
        .collect();
    ensure!(
        !tasks.is_empty(),
        "no test of this part has one of these in its name: {:?}",
        options.only
    );
    let queue = Queue::new(tasks);
    let judge = Judge { outcome: Mutex::default(), record, say, begun: Instant::now() };
    say(&format!(
        "{} tests that bear any load, {} that judge times, {} that make a load and judge times",
        queue.count(&[Needs::Namespaces, Needs::Cluster, Needs::Fresh]),
        queue.count(&[Needs::Quiet]),
        queue.count(&[Needs::Changeover, Needs::Alone]),
    ));

    // Worlds die with the thread that made them: so not in those that use them.
    let open = |number| Lane::open(number, &options.files);
    let mut clusters = (1..=options.lanes.max(1)).map(open).collect::<Result<Vec<_>>>()?;
    let (mut fresh, mut packets) = (open(clusters.len() + 1)?, open(0)?);
    let beside = options.beside.iter().map(|it| it.start(&options.files.logs));
    let beside = beside.collect::<Result<Vec<_>>>()?;
    let work = |lane: &mut Lane, kind| work(lane, kind, &queue, &judge);
    std::thread::scope(|scope| {
        for lane in &mut clusters {
            scope.spawn(|| work(lane, Needs::Cluster));
        }
        scope.spawn(|| work(&mut fresh, Needs::Fresh));
        scope.spawn(|| work(&mut packets, Needs::Namespaces));
    });
    packets.close();
    clusters.drain(QUIET_LANES.min(clusters.len())..).for_each(Lane::close);
    // Also at idle priority it would take processors from tests that judge times.
    for running in beside {
        let name = running.name.clone();
        judge.tell("-", Kind::Beside, &name, &running.end());
    }
    std::thread::scope(|scope| {
        for lane in &mut clusters {
            scope.spawn(|| work(lane, Needs::Quiet));
        }
    });
    let mut first = clusters.swap_remove(0);
    clusters.into_iter().for_each(Lane::close);
    work(&mut fresh, Needs::Changeover);
    fresh.close();
    work(&mut first, Needs::Alone);
    first.close();
    let never = Ended::before_it_began("no cluster was left to run it in");
    for task in queue.rest() {
        judge.tell("-", Kind::Lab, &task.name, &never);
    }
    Ok(judge.outcome.into_inner().unwrap_or_default())
}

/// Takes one test after another until none of this kind is left, or no cluster comes up for them.
fn work(lane: &mut Lane, kind: Needs, queue: &Queue, judge: &Judge<'_>) {
    let number = lane.number;
    while let Some(task) = queue.take(kind) {
        let ready = lane.prepare(task.needs, &|took, what| {
            judge.record.add(Kind::Lab, &format!("(cluster {number}: {what})"), took);
        });
        let kind = if task.needs == Needs::Namespaces { Kind::Packet } else { Kind::Lab };
        let tell = |ended: &Ended| judge.tell(&number.to_string(), kind, &task.name, ended);
        if let Err(error) = ready {
            return tell(&Ended::before_it_began(&format!("no cluster for it: {error:#}")));
        }
        tell(&lane.run(&task));
    }
}

/// Counts, records and prints.
struct Judge<'a> {
    outcome: Mutex<Outcome>,
    record: &'a Record,
    say: &'a (dyn Fn(&str) + Sync),
    begun: Instant,
}

impl Judge<'_> {
    fn tell(&self, lane: &str, kind: Kind, name: &str, ended: &Ended) {
        // How soon a test fails says nothing about how long it takes.
        if ended.passed {
            self.record.add(kind, name, ended.took);
        }
        let mut outcome = self.outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let word = if ended.passed { "ok    " } else { "FAILED" };
        let mut lines = format!(
            "{:4} s {word} {:6.1} s  [{lane}] {name}",
            self.begun.elapsed().as_secs(),
            ended.took.as_secs_f32(),
        );
        if ended.passed {
            outcome.passed += 1;
            // Measured figures are worth seeing also when a test passes; those of others are pages.
            let said = if kind == Kind::Beside { "" } else { &ended.said };
            for line in libtest::own_words(said) {
                lines.push_str("\n                           ");
                lines.push_str(line);
            }
        } else {
            outcome.failed.push(name.to_owned());
            lines.push('\n');
            lines.push_str(&ended.said);
        }
        (self.say)(&lines);
    }
}
