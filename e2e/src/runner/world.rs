//! A world of its own for one cluster, by `e2e/world`: its mounts, processes and network namespaces are
//! seen by nobody else, and end with it, whatever ends it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

#[derive(Debug)]
pub struct World {
    name: String,
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl World {
    /// Opens one. It ends with the thread that calls this, so that has to outlive its users.
    pub fn open(name: &str) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("world");
        let mut process = Command::new(script)
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting e2e/world")?;
        let commands = process.stdin.take().context("no stdin")?;
        let answers = BufReader::new(process.stdout.take().context("no stdout")?);
        Ok(Self { name: name.to_owned(), process, commands, answers })
    }

    /// Runs a line of shell in it, its output at the end of `log`; returns its exit code.
    pub fn run(&mut self, log: &Path, line: &str) -> Result<i32> {
        ensure!(!line.contains('\n'), "more than one line");
        writeln!(self.commands, "{}\t{line}", log.display()).context("the world has ended")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer.trim().parse().context("the world has ended")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // What its own file system lay on.
        let _ = std::fs::remove_dir(Path::new("/var/lib").join(&self.name));
    }
}
