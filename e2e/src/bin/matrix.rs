//! `matrix`: measures what faults cost, in a lab that is up and has ferrolb installed. For
//! `lab run`; `e2e/bench-failover` does all of it.
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum as _};
use e2e::cluster::Lab;
use e2e::matrix::{self, Fault};

/// Measures faults and writes the figures down.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Which faults; all unless given.
    faults: Vec<Fault>,
    /// How often each is measured; unless given, as often as it is quick.
    #[arg(long)]
    runs: Option<usize>,
    /// Where the figures go; those of other faults in it stay.
    #[arg(long, default_value = "target/bench/failover.json")]
    out: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Args { faults, runs, out } = Args::parse();
    let faults = if faults.is_empty() { Fault::value_variants().to_vec() } else { faults };
    let say = |line: &dyn std::fmt::Display| println!("{line}");
    matrix::run(&Lab::attach()?, &faults, runs, &out, &say).await
}
