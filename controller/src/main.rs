//! The controller's process, or the one above it.

use std::process::ExitCode;

use anyhow::Context as _;
use controller::{app, args, supervise};

fn main() -> ExitCode {
    let args = args::Args::read(std::env::args_os());
    match run(args) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "controller ends");
            eprintln!("controller: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: args::Args) -> anyhow::Result<ExitCode> {
    kit::telemetry::init(&args.log_level)?;
    let config = args.check(args::own_namespace())?;
    let socket = supervise::inherited().context("standard input")?;
    if let (Some(webhook), None) = (&config.webhook, &socket) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime")?;
        let ended = runtime.block_on(supervise::this_program(webhook.address))?;
        return Ok(ExitCode::from(supervise::exit_code(ended)));
    }
    kit::client::install_crypto();
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, "ferrolb controller starting");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let client = kit::client::connect().await?;
        app::run(client, config, socket).await?;
        Ok(ExitCode::SUCCESS)
    })
}
