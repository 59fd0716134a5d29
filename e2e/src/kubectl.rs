//! kubectl, without starting one for each command: a server in the lab runs its commands
//! (`e2e/parts/kube/kubectl_server.go`). A start costs a tenth of a second of processor time, tests ask
//! several times a second, and two cores are all there are.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::runner::record::Busy;
use crate::state::{Folder, write};

/// The program that serves, and its name on record.
pub const SERVER: &str = "kubectl-server";

#[derive(Serialize)]
struct Request<'a> {
    args: &'a [&'a str],
}

#[derive(Deserialize)]
struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Where the server listens.
pub fn socket(folder: &Folder) -> PathBuf {
    folder.path("kubectl.sock")
}

/// Runs a command of kubectl; returns what it printed. What it complained of is the error.
pub fn run(folder: &Folder, args: &[&str]) -> Result<String> {
    let answer = ask(folder, args)?;
    if answer.code != 0 {
        let line = args.join(" ");
        bail!("kubectl {line}: exit status: {}\n{}{}", answer.code, answer.stderr, answer.stdout);
    }
    Ok(answer.stdout)
}

/// The same with this input, which an argument `-` stands for.
pub fn feed(folder: &Folder, args: &[&str], input: &str) -> Result<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // The server has no input of its own to give.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let file = folder.path(&format!("stdin-{}-{number}", std::process::id()));
    write(&file, input)?;
    let path = file.display().to_string();
    let args: Vec<&str> = args.iter().map(|arg| if *arg == "-" { &path } else { *arg }).collect();
    let done = run(folder, &args);
    let _ = std::fs::remove_file(&file);
    done
}

fn ask(folder: &Folder, args: &[&str]) -> Result<Answer> {
    let _running = Busy::command("kubectl", args.iter().copied());
    let socket = socket(folder);
    let mut connection = UnixStream::connect(&socket)
        .with_context(|| format!("no {SERVER} at {}", socket.display()))?;
    let mut request = serde_json::to_string(&Request { args })?;
    request.push('\n');
    connection.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line)?;
    ensure!(!line.is_empty(), "{SERVER} has ended: see its log");
    serde_json::from_str(&line).context("what kubectl-server answered")
}
