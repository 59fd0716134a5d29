//! The speaker's process: arguments, logs, run, exit code.

use std::process::ExitCode;

use speaker::args::Args;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::from_command_line(std::env::args_os());
    // On a worker, where packets arrive: the engine on a thread of its own would have to be woken for
    // each of the other speakers' frames.
    let ended = tokio::spawn(start(args)).await;
    match ended.map_err(anyhow::Error::from).flatten() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before the logs are set up this is the only way to say anything.
            eprintln!("speaker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(args: Args) -> anyhow::Result<()> {
    let config = args.check()?;
    kit::telemetry::init(&config.log_level)?;
    kit::client::install_crypto();
    let (version, node) = (env!("CARGO_PKG_VERSION"), config.node.as_str());
    tracing::info!(version, node, "ferrolb speaker starting");
    for flag in &config.without_effect {
        tracing::warn!(flag, "this flag has no effect in ferrolb");
    }
    Ok(speaker::run::run(config).await?)
}
