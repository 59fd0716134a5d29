//! One cluster in a world of its own, in which one test after another is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::plan::Needs;
use super::queue::Task;
use super::world::World;
use super::{Ended, libtest};

/// No test takes longer, whatever happens to it.
const LIMIT_SECONDS: u32 = 600;
/// Enough for tests of each kind.
const NODES: usize = 3;

/// What lanes are made of.
#[derive(Debug, Clone)]
pub struct Files {
    /// The program `lab`.
    pub lab: PathBuf,
    /// Images of ferrolb, and those of MetalLB.
    pub images: Vec<PathBuf>,
    pub metallb: Vec<PathBuf>,
    pub chart: PathBuf,
    /// Where logs go; those of tests that failed stay.
    pub logs: PathBuf,
}

/// What is up in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Up {
    Nothing,
    Fresh,
    Ferrolb,
}

#[derive(Debug)]
pub struct Lane {
    pub number: usize,
    world: World,
    files: Files,
    up: Up,
    /// A cluster was up here, or is.
    is_used: bool,
}

impl Lane {
    /// Opens a world; brings nothing up yet.
    pub fn open(number: usize, files: &Files) -> Result<Self> {
        fs::create_dir_all(&files.logs)?;
        let world = World::open(&format!("ferrolb-lab-{number}"))?;
        Ok(Self { number, world, files: files.clone(), up: Up::Nothing, is_used: false })
    }

    /// Brings up what a test needs, if that is not up; tells what that took.
    pub fn prepare(&mut self, needs: Needs, tell: &dyn Fn(Duration, &str)) -> Result<()> {
        let wanted = match needs {
            Needs::Namespaces => return Ok(()),
            Needs::Fresh | Needs::Changeover => Up::Fresh,
            Needs::Cluster | Needs::Quiet | Needs::Alone => Up::Ferrolb,
        };
        if self.up == wanted {
            return Ok(());
        }
        let begun = Instant::now();
        (self.up, self.is_used) = (Up::Nothing, true);
        let lab = quoted(&self.files.lab);
        let mut images = self.files.images.clone();
        if wanted == Up::Fresh {
            images.extend(self.files.metallb.iter().cloned());
        }
        let images: Vec<String> = images.iter().map(|file| quoted(file)).collect();
        self.step(&format!("{lab} up --nodes {NODES}"))?;
        self.step(&format!("{lab} images {}", images.join(" ")))?;
        if wanted == Up::Ferrolb {
            // No address moves for the sake of an even spread while a test looks at who answers; the
            // tests of that set a time of their own.
            self.step(&format!(
                "{lab} helm -- install ferrolb {} -n {} --create-namespace --wait \
                 --timeout 120s --set controller.placement.settlingSeconds=3600",
                quoted(&self.files.chart),
                crate::config::NAMESPACE,
            ))?;
        }
        self.up = wanted;
        tell(begun.elapsed(), if wanted == Up::Fresh { "without ferrolb" } else { "with ferrolb" });
        Ok(())
    }

    /// A step on the way to a cluster; what it printed is the error.
    fn step(&mut self, line: &str) -> Result<()> {
        let log = self.files.logs.join(format!("cluster-{}.log", self.number));
        let before = fs::metadata(&log).map_or(0, |it| it.len());
        let status = self.world.run(&log, line)?;
        if status != 0 {
            let text = fs::read(&log).unwrap_or_default();
            let said = text.get(usize::try_from(before)?..).unwrap_or_default();
            bail!("{line}: {status}\n{}", String::from_utf8_lossy(said));
        }
        Ok(())
    }

    /// Runs a test for which all is prepared.
    pub fn run(&mut self, task: &Task) -> Ended {
        let begun = Instant::now();
        let ended = self.try_run(task);
        let took = begun.elapsed();
        ended.map_or_else(
            |error| Ended { passed: false, took, said: format!("{error:#}\n") },
            |(passed, said)| Ended { passed, took, said },
        )
    }

    fn try_run(&mut self, task: &Task) -> Result<(bool, String)> {
        let log = self.files.logs.join(format!("{}.log", task.name.replace("::", ".")));
        // Of an earlier run.
        let _ = fs::remove_file(&log);
        let test = libtest::line(&task.program, &task.name);
        let kill = format!("timeout --kill-after=10 {LIMIT_SECONDS}");
        let line = match task.needs {
            Needs::Namespaces => format!("{kill} {test}"),
            _ => format!("{kill} {} run -- {test}", quoted(&self.files.lab)),
        };
        let status = self.world.run(&log, &line)?;
        let bytes = fs::read(&log).context("no log")?;
        let said = String::from_utf8_lossy(&bytes).into_owned();
        // That a test of this name was run at all is as important as how it ended.
        let passed = status == 0 && said.contains("test result: ok. 1 passed");
        if passed {
            let _ = fs::remove_file(&log);
        } else if task.needs != Needs::Namespaces {
            self.keep_logs(task);
            // What the test has left must not fail the next one.
            self.up = Up::Nothing;
        }
        Ok((passed, said))
    }

    /// Copies what the cluster's programs and pods have said to where it can be read afterwards.
    fn keep_logs(&mut self, task: &Task) {
        let folder = self.files.logs.join(task.name.replace("::", "."));
        let folder = quoted(&folder);
        let copy = format!(
            "mkdir -p {folder}; cp -rL \"$FERROLB_LAB\"/logs {folder}; \
             for it in \"$FERROLB_LAB\"/*/pod-logs; do \
             cp -rL \"$it\" {folder}/pods-$(basename \"$(dirname \"$it\")\"); done"
        );
        let _ = self.world.run(Path::new("/dev/null"), &copy);
    }

    /// Takes down what is up.
    pub fn close(mut self) {
        if !self.is_used {
            return;
        }
        // Its processes and mounts end with the world; control groups do not.
        let down = format!("{} down", quoted(&self.files.lab));
        if let Err(error) = self.step(&down) {
            eprintln!("lane {}: {error:#}", self.number);
        }
    }
}

/// A path for a line of shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}
