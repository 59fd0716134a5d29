//! `perfdoc`: turns the results of all benchmarks into `docs/performance.md` and its plots. Measures
//! nothing itself. Says aloud what is missing from the page, and why.
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]
#![allow(unreachable_pub, reason = "a program has no one to reach")]

#[path = "../perfdoc/axis.rs"]
mod axis;
#[path = "../perfdoc/chart.rs"]
mod chart;
#[path = "../perfdoc/criterion.rs"]
mod criterion;
#[path = "../perfdoc/cumulative.rs"]
mod cumulative;
#[path = "../perfdoc/failover.rs"]
mod failover;
#[path = "../perfdoc/field.rs"]
mod field;
#[path = "../perfdoc/in_lab.rs"]
mod in_lab;
#[path = "../perfdoc/input.rs"]
mod input;
#[path = "../perfdoc/label.rs"]
mod label;
#[path = "../perfdoc/machine.rs"]
mod machine;
#[path = "../perfdoc/micro.rs"]
mod micro;
#[path = "../perfdoc/number.rs"]
mod number;
#[path = "../perfdoc/on_wire.rs"]
mod on_wire;
#[path = "../perfdoc/page.rs"]
mod page;
#[path = "../perfdoc/scale.rs"]
mod scale;
#[cfg(test)]
#[path = "../perfdoc/tests.rs"]
mod tests;
#[path = "../perfdoc/wire.rs"]
mod wire;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Parser;
use input::Input;
use k8s_openapi::jiff::Timestamp;
use machine::Machine;
use page::{PLOTS, Page};

/// Makes docs/performance.md of what the benchmarks have left under target.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The checkout with the results.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// The folder to write to.
    #[arg(long, default_value = "docs")]
    out: PathBuf,
    /// The day to write on the page; today (UTC) unless given.
    #[arg(long)]
    date: Option<String>,
}

fn main() -> Result<()> {
    let Args { root, out, date } = Args::parse();
    let date = date.unwrap_or_else(|| Timestamp::now().strftime("%Y-%m-%d").to_string());
    let input = Input::read(&root, date, Machine::this()?)?;
    let page = Page::of(&input);
    write(&out, &page)?;
    for note in &page.notes {
        println!("perfdoc: NOTE: {note}");
    }
    let written = out.join("performance.md");
    println!("perfdoc: wrote {} and {} plots", written.display(), page.plots.len());
    Ok(())
}

/// Writes the page and its plots; a plot that an earlier page had and this one lacks is removed.
fn write(out: &Path, page: &Page) -> Result<()> {
    let folder = out.join("performance");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for file in PLOTS {
        let path = folder.join(file);
        let done = match page.plots.iter().find(|(name, _)| *name == file) {
            Some((_, svg)) => fs::write(&path, svg),
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
        };
        done.with_context(|| path.display().to_string())?;
    }
    let path = out.join("performance.md");
    fs::write(&path, &page.text).with_context(|| path.display().to_string())
}
