//! The process above the one that works. It holds the webhook's socket and nothing else, so that
//! reviews wait, and do not fail, while a controller that died is started again.
//!
//! The API server asks once. When a process dies without a word, its pod is asked on until the kubelet
//! has noticed and every kube-proxy has heard of it: decision 0012 has figures. While somebody still
//! holds the socket, connections wait in the kernel's queue.
//!
//! The worker finds the listening socket at its standard input, which is how inetd hands one over
//! (inetd(8), services that "wait"); that it is there tells a process which of the two it is.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use kit::admin;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::SockRef;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::lease::fence::Clock;

/// A worker that ends sooner than this has more than an accident. It is not started again here: the
/// container ends with it, and the kubelet, with its back-off, shows that to people.
pub const LIVED: Duration = Duration::from_secs(10);

/// Why nothing is supervised.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be had.
    #[error("webhook: {0}")]
    Listen(#[from] admin::Error),
    /// There is no worker.
    #[error("cannot start the process that works: {0}")]
    Worker(#[from] io::Error),
}

/// The listening socket that the process was started with, if it was: then it is the worker.
///
/// # Errors
/// Those of dup(2).
pub fn inherited() -> io::Result<Option<TcpListener>> {
    let input = io::stdin();
    // ENOTSOCK for what is no socket at all, which is the rule.
    if !SockRef::from(&input).is_listener().unwrap_or(false) {
        return Ok(None);
    }
    let listener = TcpListener::from(input.as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

/// Listens on `address` and runs this same program, with the same arguments, as the worker: again and
/// again if it dies, until SIGTERM or SIGINT, which it is handed. Returns what the last one said.
///
/// # Errors
/// [`Error`] when there is no socket, or no worker.
pub async fn this_program(address: SocketAddr) -> Result<ExitStatus, Error> {
    let bound = TcpListener::bind(address);
    let listener = bound.map_err(|source| admin::Error::Bind { address, source })?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let mut worker = Command::new(std::env::current_exe()?);
    worker.args(std::env::args_os().skip(1));
    Ok(workers(worker, listener, LIVED, told).await?)
}

/// Runs `worker` with `listener` as its standard input, and again when it ends although nobody told it
/// to, unless it did so within `lived`. When `told` comes it gets SIGTERM. Returns the last one's status.
///
/// # Errors
/// Those of fork(2), execve(2) and waitpid(2).
pub async fn workers(
    mut worker: Command,
    listener: TcpListener,
    lived: Duration,
    told: impl Future<Output = ()>,
) -> io::Result<ExitStatus> {
    worker.stdin(Stdio::from(OwnedFd::from(listener)));
    let mut told = std::pin::pin!(told);
    loop {
        let begun = Clock::start();
        let mut child = worker.spawn()?;
        let ended = tokio::select! {
            ended = child.wait() => ended?,
            () = &mut told => {
                if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                    // Not waited for, so the number is still its own. One that is gone already is fine.
                    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
                }
                return child.wait().await;
            }
        };
        let age = begun.elapsed();
        if age < lived {
            return Ok(ended);
        }
        tracing::error!(
            event = "controllerRestarted",
            after_s = age.as_secs(),
            "the controller died ({ended}); another is started, and the webhook's connections wait for it"
        );
    }
}

/// `status` as a shell would give it on: 128 and the signal's number if it was one.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
