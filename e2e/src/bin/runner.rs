//! `runner`: runs the tests, several at once where they bear it, and tells how long each took. Parses,
//! calls, prints; `e2e/run-tests` and `.ci/check` call it.
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use e2e::runner::beside::Beside;
use e2e::runner::lane::Files;
use e2e::runner::plan::Part;
use e2e::runner::record::Record;
use e2e::runner::{Options, Outcome, run, units};

/// Runs the tests of ferrolb, and tells how long each took.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A file with the times of earlier runs: the longest tests begin.
    #[arg(long, default_value = "/dev/null")]
    earlier: PathBuf,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The tests that need clusters, or network namespaces of their own (root).
    Lab(Box<LabArgs>),
    /// The tests of the code: what `cargo test` runs.
    Units,
}

#[derive(clap::Args)]
struct LabArgs {
    /// Programs with tests.
    #[arg(required = true)]
    programs: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// Only tests whose names hold this; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// NAME=COMMAND: runs beside the tests that bear any load.
    #[arg(long)]
    beside: Vec<Beside>,
    /// So many clusters with ferrolb at once.
    #[arg(long, default_value_t = 2)]
    lanes: usize,
    /// The program `lab`.
    #[arg(long)]
    lab: PathBuf,
    /// An archive with an image of ferrolb; may be given several times.
    #[arg(long)]
    image: Vec<PathBuf>,
    /// An archive with an image of MetalLB; may be given several times.
    #[arg(long)]
    metallb: Vec<PathBuf>,
    #[arg(long)]
    chart: PathBuf,
    /// A folder for logs. Those of tests that failed stay.
    #[arg(long)]
    logs: PathBuf,
}

fn main() -> ExitCode {
    match perform(Args::parse()) {
        Ok(outcome) => {
            for name in &outcome.failed {
                println!("FAILED {name}");
            }
            // Alone on a line, so that it can be read by programs.
            println!("{} passed, {} failed", outcome.passed, outcome.failed.len());
            if outcome.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("runner: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(args: Args) -> Result<Outcome> {
    let record = Record::open(&args.earlier);
    let say = |line: &str| {
        // Whoever reads only the first lines closes the pipe early.
        let _ = writeln!(std::io::stdout(), "{line}");
    };
    match args.task {
        Task::Lab(args) => {
            let LabArgs { programs, part, only, beside, lanes, lab, image, metallb, chart, logs } =
                *args;
            let full =
                |file: PathBuf| file.canonicalize().with_context(|| file.display().to_string());
            let all = |files: Vec<PathBuf>| files.into_iter().map(full).collect::<Result<Vec<_>>>();
            std::fs::create_dir_all(&logs)?;
            let files = Files {
                lab: full(lab)?,
                images: all(image)?,
                metallb: all(metallb)?,
                chart: full(chart)?,
                logs: full(logs)?,
            };
            let options = Options { programs: all(programs)?, part, only, beside, lanes, files };
            run(&options, &record, &say)
        }
        Task::Units => units::run(&record, &say),
    }
}
