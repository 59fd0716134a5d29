//! `lab`: a real Kubernetes cluster in network namespaces of this machine. Parses, calls, prints.
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::io::Write;
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use e2e::cluster::Lab;
use e2e::down::{Logs, down};
use e2e::namespace::{existing, inside};
use e2e::observer::Observer;
use e2e::plan::{CLIENT, PREFIX, Plan};
use e2e::process::{Process, with_descendants};
use e2e::state::Folder;
use e2e::wait::{Look, until_blocking};
use e2e::{bare, interrupt, up};

/// Real Kubernetes on one machine: every node a network namespace, one bridge as the wire.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Bring the cluster up; an earlier one is removed.
    Up {
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
        nodes: u8,
        /// And nodes without a kubelet, each with a speaker of its own after `lab join`.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=50))]
        bare: u8,
    },
    /// Start a speaker on every node without a kubelet. The chart must be installed.
    Join {
        /// The speaker, as it is in the image.
        program: PathBuf,
    },
    /// Remove the cluster and whatever a crashed one left.
    Down,
    /// Say what is up.
    Status,
    /// Import image archives (docker-archive) into every node.
    Images { files: Vec<PathBuf> },
    /// Run kubectl as administrator.
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run helm as administrator.
    Helm {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run a command in a machine: n1, n2, ..., cp, client, outside, switch.
    Exec {
        machine: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Ask the segment for addresses every 10 ms, and say who answered when.
    Watch {
        #[arg(required = true)]
        addresses: Vec<IpAddr>,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Run a command in the client's machine, with KUBECONFIG and the tools in PATH.
    Run {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = listen_for_interrupts().and_then(|()| perform(Args::parse().task));
    done.unwrap_or_else(|error| {
        eprintln!("lab: {error:#}");
        ExitCode::FAILURE
    })
}

/// Turns SIGINT and SIGTERM into a request that every wait heeds.
fn listen_for_interrupts() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Registered before anything is started, served by a thread of its own.
    let (mut interrupted, mut terminated) = {
        let _guard = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupted.recv() => {}
                    _ = terminated.recv() => {}
                }
                interrupt::request();
            }
        });
    });
    Ok(())
}

fn perform(task: Task) -> Result<ExitCode> {
    let folder = Folder::from_env();
    match task {
        Task::Up { nodes, bare } => {
            let say = |line: &str| println!("lab: {line}");
            let progress = up::Progress::new(&say);
            let lab = up::up(&folder, Plan::with_bare(nodes, bare), &progress)?;
            progress.tell("up");
            println!("kubectl: {}", lab.folder.path("bin/kubectl").display());
        }
        Task::Join { program } => return join(&program),
        Task::Down => {
            down(&folder, Logs::Remove)?;
            println!("lab: down");
        }
        Task::Status => status(&Lab::find()?)?,
        Task::Images { files } => {
            let lab = Lab::find()?;
            up::import(&lab, &files)?;
            println!(
                "lab: {} archives imported into {} nodes",
                files.len(),
                lab.facts.plan.kubelets().count()
            );
        }
        Task::Kubectl { args } => return run(Lab::find()?.command("kubectl").args(args)),
        Task::Helm { args } => return run(Lab::find()?.command("helm").args(args)),
        Task::Exec { machine, command } => {
            let lab = Lab::find()?;
            let namespace =
                if machine.starts_with(PREFIX) { machine } else { format!("{PREFIX}{machine}") };
            let (program, args) = command.split_first().context("no command")?;
            let mut command = inside(&namespace, program);
            lab.equip(&mut command);
            return run(command.args(args));
        }
        Task::Watch { addresses, seconds } => return watch(&addresses, seconds),
        Task::Run { command } => {
            let (program, args) = command.split_first().context("no command")?;
            let lab = Lab::find()?;
            e2e::fault::heal_all(&lab)?;
            let mut command = lab.command(program);
            // The faults of a test are faults for every test in the lab: one at a time.
            command.env("RUST_TEST_THREADS", "1");
            // An error's own words tell where it was; a page of runtime frames hides them.
            command.env("RUST_LIB_BACKTRACE", "0");
            return run(command.args(args));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn status(lab: &Lab) -> Result<()> {
    for name in existing() {
        println!("namespace {name}");
    }
    for (name, process) in lab.folder.processes() {
        let state = if process.is_stopped() {
            "stopped"
        } else if process.is_alive() {
            "runs"
        } else {
            "has ended"
        };
        println!("{name:<24} {:>8} {state}", process.pid);
    }
    println!("client: nsenter --net={}", e2e::namespace::path(CLIENT).display());
    println!("kubectl: {}", lab.folder.path("bin/kubectl").display());
    print!("{}", lab.kubectl(&["get", "nodes", "-o", "wide"])?);
    Ok(())
}

/// Starts the speakers that no kubelet starts; from the client, which reaches the API.
fn join(program: &Path) -> Result<ExitCode> {
    let Ok(lab) = Lab::attach() else {
        let mut again = inside(CLIENT, std::env::current_exe().context("finding this program")?);
        Lab::find()?.equip(&mut again);
        return run(again.arg("join").arg(program));
    };
    let program = program.canonicalize().with_context(|| program.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(bare::join(&lab, &program))?;
    println!(
        "lab: {} nodes without a kubelet joined",
        lab.nodes().iter().filter(|it| it.bare).count()
    );
    Ok(ExitCode::SUCCESS)
}

/// Watches the wire; from the client, where this program starts itself again.
fn watch(addresses: &[IpAddr], seconds: u64) -> Result<ExitCode> {
    let Ok(lab) = Lab::attach() else {
        let this = std::env::current_exe().context("finding this program")?;
        let mut again = inside(CLIENT, this);
        Lab::find()?.equip(&mut again);
        again.arg("watch").arg("--seconds").arg(seconds.to_string());
        return run(again.args(addresses.iter().map(ToString::to_string)));
    };
    let observer = Observer::watch(&lab, addresses)?;
    // Ends early, and with the timeline, when interrupted.
    let whole = Duration::from_secs(seconds);
    let _ = until_blocking(whole, "the end of the observation", || {
        Ok(Look::<()>::NotYet(String::new()))
    });
    // Whoever reads only the first lines closes the pipe early.
    let _ = write!(std::io::stdout(), "{}", observer.finish()?);
    Ok(ExitCode::SUCCESS)
}

/// Runs a command in the foreground; when asked to stop, so are it and what it has started.
fn run(command: &mut Command) -> Result<ExitCode> {
    // setpriv: if this process is killed outright, the command goes with it.
    let mut guarded = Command::new("setpriv");
    guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program());
    guarded.args(command.get_args());
    for (key, value) in command.get_envs() {
        guarded.env(key, value.unwrap_or_default());
    }
    let mut child = guarded.stdin(Stdio::inherit()).spawn().context("starting the command")?;
    let process = Process::with_pid(i32::try_from(child.id())?);
    let mut stopping = None;
    loop {
        if let Some(status) = child.try_wait()? {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
        }
        if interrupt::requested() && stopping.is_none() {
            stopping = Some(Instant::now());
            signal_tree(process, libc::SIGTERM);
        }
        if stopping.is_some_and(|since| since.elapsed().as_secs() >= 5) {
            signal_tree(process, libc::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal_tree(root: Option<Process>, signal: i32) {
    for process in with_descendants(root) {
        // Whoever ends by itself in the meantime has done what was asked.
        let _ = process.signal(signal);
    }
}
