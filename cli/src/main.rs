//! The process of `kubectl ferrolb`.

use std::process::ExitCode;

use clap::Parser as _;
use cli::{args, command};

/// Usage errors end the process with 2 before this: clap does that.
fn main() -> ExitCode {
    match command::run(&args::Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
