//! The tests of the code: all programs that `cargo test` builds, and how long each of their tests took.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::Outcome;
use super::record::{Kind, Record};

/// What is worth a line of its own.
const SLOW: Duration = Duration::from_secs(1);

/// A program with tests, and the folder that it is to be run in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Program {
    file: PathBuf,
    folder: PathBuf,
    name: String,
}

/// A line of cargo's, of which only those about programs matter.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// A line of a test program's: what happened to what.
#[derive(Debug, Deserialize, PartialEq)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "event")]
    what: String,
    #[serde(default)]
    name: String,
    exec_time: Option<f64>,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    message: String,
}

/// Builds the tests, and runs them, one program after another.
pub fn run(record: &Record, say: &dyn Fn(&str)) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for program in build()? {
        let begun = Instant::now();
        let (passed, ignored) = try_program(&program, record, say, &mut outcome)?;
        let (took, name) = (begun.elapsed().as_secs_f32(), &program.name);
        say(&format!("{took:6.1} s  {passed:4} passed, {ignored:3} for other commands  {name}"));
    }
    Ok(outcome)
}

fn build() -> Result<BTreeSet<Program>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    cargo.args(["test", "--no-run", "--quiet", "--message-format=json-render-diagnostics"]);
    let output =
        cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("starting cargo")?;
    ensure!(output.status.success(), "the tests cannot be built");
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| program(serde_json::from_str(line).ok()?)).collect())
}

fn program(message: Message) -> Option<Program> {
    let is_test = message.profile?.test;
    let (file, target) = (message.executable?, message.target?);
    let folder = message.manifest_path?.parent()?.to_owned();
    let crate_name = folder.file_name()?.to_string_lossy().into_owned();
    let name = match target.kind.first().map(String::as_str) {
        Some("lib" | "proc-macro") => crate_name,
        _ => format!("{crate_name} ({})", target.name),
    };
    is_test.then_some(Program { file, folder, name })
}

fn try_program(
    program: &Program,
    record: &Record,
    say: &dyn Fn(&str),
    outcome: &mut Outcome,
) -> Result<(usize, usize)> {
    let mut child = Command::new(&program.file)
        .args(["-Zunstable-options", "--format=json", "--report-time"])
        .current_dir(&program.folder)
        // What the test program needs to tell times, which no stable one tells. It is set for the run
        // and not for the build, which is as always.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| program.file.display().to_string())?;
    let failed_before = outcome.failed.len();
    let (mut passed, mut ignored, mut finished) = (0, 0, false);
    for line in BufReader::new(child.stdout.take().context("no stdout")?).lines() {
        let line = line?;
        // Whatever else it prints is for people.
        let Ok(event) = serde_json::from_str::<Event>(&line) else {
            say(&line);
            continue;
        };
        let name = format!("{}: {}", program.name, event.name);
        match (event.kind.as_str(), event.what.as_str()) {
            ("test", "ok") => {
                passed += 1;
                let took = Duration::try_from_secs_f64(event.exec_time.unwrap_or_default())?;
                record.add(Kind::Unit, &name, took);
                if took >= SLOW {
                    say(&format!("{:6.1} s    {name}", took.as_secs_f32()));
                }
            }
            ("test", "ignored") => ignored += 1,
            // A notice after a minute, not an end: the test goes on, and tells how it ended.
            ("test", "timeout") => say(&format!("over a minute    {name}")),
            ("test", "failed") => {
                say(&format!("FAILED {name}\n{}{}", event.stdout, event.message));
                outcome.failed.push(name);
            }
            ("suite", "ok" | "failed") => finished = true,
            _ => {}
        }
    }
    let status = child.wait()?;
    outcome.passed += passed;
    if !finished || !status.success() && outcome.failed.len() == failed_before {
        say(&format!("FAILED {}: {status}", program.name));
        outcome.failed.push(program.name.clone());
    }
    Ok((passed, ignored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_with_tests_are_found_among_cargos_messages() {
        let line = |test: bool, kind: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/kit/Cargo.toml",
                "target":{{"kind":["{kind}"],"name":"x"}},"profile":{{"test":{test}}},
                "executable":"/t/x-1"}}"#
            )
        };
        let found = |text: &str| program(serde_json::from_str(text).unwrap());
        let one = |name: &str| {
            let (file, folder) = (PathBuf::from("/t/x-1"), PathBuf::from("/w/kit"));
            Some(Program { file, folder, name: name.to_owned() })
        };
        assert_eq!(found(&line(true, "lib")), one("kit"));
        assert_eq!(found(&line(true, "test")), one("kit (x)"));
        assert_eq!(found(&line(false, "bin")), None);
        assert_eq!(found(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn a_tests_time_is_read_off_its_line() {
        let line = r#"{ "type": "test", "name": "a::b", "event": "ok", "exec_time": 0.25 }"#;
        let event: Event = serde_json::from_str(line).unwrap();
        assert_eq!((event.name.as_str(), event.exec_time), ("a::b", Some(0.25)));
    }
}
