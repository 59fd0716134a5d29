//! Commands that need processors and nothing else: they run at idle priority while clusters wait, and
//! end before times are judged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Ended;

/// A command with a name, as `NAME=COMMAND`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    pub name: String,
    pub command: String,
}

impl std::str::FromStr for Beside {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        let (name, command) = text.split_once('=').context("not NAME=COMMAND")?;
        Ok(Self { name: name.to_owned(), command: command.to_owned() })
    }
}

/// One that runs.
#[derive(Debug)]
pub struct Running {
    pub name: String,
    log: PathBuf,
    /// Gives whether it succeeded and how long it ran, when it has ended.
    end: JoinHandle<(bool, Duration)>,
}

impl Beside {
    pub fn start(&self, logs: &Path) -> Result<Running> {
        fs::create_dir_all(logs)?;
        let log = logs.join(format!("{}.log", self.name.replace(' ', "-")));
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        let begun = Instant::now();
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "chrt", "--idle", "0", "bash", "-c"])
            .arg(&self.command)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {}", self.name))?;
        let end = std::thread::spawn(move || {
            let passed = child.wait().is_ok_and(|status| status.success());
            (passed, begun.elapsed())
        });
        Ok(Running { name: self.name.clone(), log, end })
    }
}

impl Running {
    /// Waits for its end.
    pub fn end(self) -> Ended {
        let (passed, took) = self.end.join().unwrap_or_default();
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        Ended { passed, took, said }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_a_name_and_may_hold_the_sign_between_them() {
        let beside: Beside = "simulation=SEEDS=3 make sim".parse().unwrap();
        assert_eq!(
            (beside.name.as_str(), beside.command.as_str()),
            ("simulation", "SEEDS=3 make sim")
        );
        assert!("make sim".parse::<Beside>().is_err());
    }

    #[test]
    fn how_it_ended_and_what_it_said_are_told() {
        let logs = std::env::temp_dir().join(format!("ferrolb-beside-{}", std::process::id()));
        let ended = |command: &str| {
            let beside = Beside { name: "a test".to_owned(), command: command.to_owned() };
            beside.start(&logs).unwrap().end()
        };
        let (good, bad) = (ended("echo fine"), ended("echo broken >&2; false"));
        fs::remove_dir_all(&logs).unwrap();
        assert_eq!((good.passed, good.said.as_str()), (true, "fine\n"));
        assert_eq!((bad.passed, bad.said.as_str()), (false, "broken\n"));
    }
}
