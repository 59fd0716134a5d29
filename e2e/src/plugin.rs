//! `kubectl ferrolb`, found by kubectl as a user's is: by its name, in PATH.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::cluster::Lab;
use crate::namespace::output;

/// The plugin's file, which `cargo build -p cli` leaves beside what is built of this crate.
const NAME: &str = "kubectl-ferrolb";

/// A command `kubectl ferrolb ...` with the lab's tools and configuration.
pub fn command(lab: &Lab, args: &[&str]) -> Result<Command> {
    // target/debug/deps/TEST
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("a test lies in deps")?;
    let file = folder.join(NAME);
    ensure!(file.is_file(), "no {}: cargo build -p cli", file.display());
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = lab.command("kubectl");
    let tools = lab.facts.parts.display();
    command.env("PATH", format!("{}:{tools}:{path}", folder.display()));
    command.arg("ferrolb").args(args);
    Ok(command)
}

/// Runs it; returns what it printed.
pub fn run(lab: &Lab, args: &[&str]) -> Result<String> {
    output(&mut command(lab, args)?)
}
