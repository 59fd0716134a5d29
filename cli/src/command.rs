//! The commands: files, the API server, and what is printed.

use std::io::Write as _;
use std::path::PathBuf;

use crate::args::Command;

mod cluster;
mod drain;
mod migrate;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Read {
        /// Its name.
        path: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Write {
        /// Its name.
        path: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
    /// There is such a file, and nobody said that it may go.
    #[error("{} exists: --force overwrites it", .0.display())]
    Exists(PathBuf),
    /// The configuration has faults, which have been printed.
    #[error("nothing was converted, for {0} in the input")]
    Refused(String),
    /// There is no way to the API server.
    #[error("kubeconfig: {0}")]
    Kubeconfig(kube::config::KubeconfigError),
    /// The API server cannot be asked, or refuses.
    #[error("cannot {what}: {why}")]
    Api {
        /// What was tried.
        what: String,
        /// Why it failed.
        why: String,
    },
    /// A node that the cluster does not have.
    #[error("the cluster has no node \"{0}\"; `kubectl get nodes` lists those it has")]
    NoNode(String),
    /// A node of which no speaker tells.
    #[error(
        "there is no Speaker object \"{node}\" in namespace \"{namespace}\", so nobody can tell how \
         far it is: is ferrolb installed in that namespace (--namespace), does its speaker run on \
         the node, and is the mesh on (speaker.memberlist.enabled)? --no-wait does without"
    )]
    NoSpeaker {
        /// The node.
        node: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// It takes too long.
    #[error("gave up after {seconds} s; last seen: {last}\n{hint}")]
    TimedOut {
        /// How long it was waited for.
        seconds: u64,
        /// How it stood then.
        last: String,
        /// What to do about it.
        hint: String,
    },
    /// Standard output is closed, or the process gets no more of what it needs.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

/// Carries out `command`.
pub fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Migrate(args) => migrate::run(args),
        Command::Drain(args) => drain::run(args, &drain::DRAIN),
        Command::Undrain(args) => drain::run(args, &drain::UNDRAIN),
    }
}

/// Prints a line.
fn say(line: &str) -> Result<(), Error> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
