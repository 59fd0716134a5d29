//! The controller's process.

use std::process::ExitCode;

use anyhow::Context as _;
use controller::{app, args};

fn main() -> ExitCode {
    let args = args::Args::read(std::env::args_os());
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "controller ends");
            eprintln!("controller: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: args::Args) -> anyhow::Result<()> {
    kit::telemetry::init(&args.log_level)?;
    kit::client::install_crypto();
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, "ferrolb controller starting");
    let config = args.check(args::own_namespace())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let client = kit::client::connect().await?;
        Ok(app::run(client, config).await?)
    })
}
