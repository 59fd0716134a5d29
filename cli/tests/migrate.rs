//! `kubectl-ferrolb migrate` as a user runs it: files in, files out, and what it ends with. The files
//! are in `tests/migrate`.

#![expect(clippy::unwrap_used, reason = "it is a test, helpers included")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_kubectl-ferrolb");

/// What a run gave: exit code, standard output, standard error.
type Ran = (Option<i32>, String, String);

fn run(args: &[&str], input: &str) -> Ran {
    let mut command = Command::new(BINARY);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that fails before it has read everything closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migrate").join(name)
}

fn content(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

/// The value of the key `config` of a ConfigMap.
fn data(name: &str) -> String {
    let map: serde_yaml::Value = serde_yaml::from_str(&content(name)).unwrap();
    map["data"]["config"].as_str().unwrap().to_owned()
}

/// A folder of its own for one test, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_scenarios_config_map_becomes_a_pool_and_its_advertisement() {
    let expected = (Some(0), content("scenario.expected.yaml"), String::new());
    let path = file("scenario.yaml");
    assert_eq!(run(&["migrate", path.to_str().unwrap()], ""), expected);
    for args in [&["migrate", "-"][..], &["migrate"]] {
        assert_eq!(run(args, &content("scenario.yaml")), expected, "{args:?}");
    }
    assert_eq!(run(&["migrate", "--only-data"], &data("scenario.yaml")), expected);
}

#[test]
fn pools_of_every_kind_are_converted_and_what_is_lost_is_told() {
    let expected = (Some(0), content("several.expected.yaml"), content("several.warnings.txt"));
    assert_eq!(run(&["migrate"], &content("several.yaml")), expected);
    // The namespace stands in the ConfigMap only.
    let elsewhere = expected.1.replace("load-balancers", "metallb-system");
    let (code, yaml, _) = run(&["migrate", "--only-data"], &data("several.yaml"));
    assert_eq!((code, yaml), (Some(0), elsewhere.clone()));
    let (_, yaml, _) = run(&["migrate", "-n", "metallb-system"], &content("several.yaml"));
    assert_eq!(yaml, elsewhere);
}

#[test]
fn with_strict_a_warning_is_an_error() {
    let (code, yaml, told) = run(&["migrate", "--strict"], &content("several.yaml"));
    assert_eq!((code, yaml.as_str()), (Some(1), ""));
    let end = "error: nothing was converted, for 6 warnings in the input\n";
    assert_eq!(told, content("several.warnings.txt") + end);
    let (code, _, told) = run(&["migrate", "--strict"], &content("scenario.yaml"));
    assert_eq!((code, told.as_str()), (Some(0), ""));
}

#[test]
fn mistakes_are_all_told_and_nothing_is_written() {
    let expected = (Some(1), String::new(), content("wrong.errors.txt"));
    assert_eq!(run(&["migrate"], &content("wrong.yaml")), expected);
    let folder = Folder::new("wrong");
    let output = folder.0.join("objects.yaml");
    let (code, ..) = run(&["migrate", "-o", output.to_str().unwrap()], &content("wrong.yaml"));
    assert_eq!((code, output.exists()), (Some(1), false));
}

#[test]
fn a_file_that_exists_is_overwritten_only_by_force() {
    let folder = Folder::new("output");
    let output = folder.0.join("objects.yaml");
    let path = output.to_str().unwrap();
    let input = content("scenario.yaml");
    assert_eq!(run(&["migrate", "-o", path], &input), (Some(0), String::new(), String::new()));
    assert_eq!(fs::read_to_string(&output).unwrap(), content("scenario.expected.yaml"));

    fs::write(&output, "something longer than what is going to be there\n".repeat(100)).unwrap();
    let (code, _, told) = run(&["migrate", "-o", path], &input);
    assert_eq!((code, told), (Some(1), format!("error: {path} exists: --force overwrites it\n")));
    assert!(fs::read_to_string(&output).unwrap().starts_with("something"));

    let (code, ..) = run(&["migrate", "-o", path, "--force"], &input);
    assert_eq!(code, Some(0));
    assert_eq!(fs::read_to_string(&output).unwrap(), content("scenario.expected.yaml"));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = Folder::new("missing");
    let missing = folder.0.join("missing/config.yaml");
    let path = missing.to_str().unwrap();
    let (code, _, told) = run(&["migrate", path], "");
    assert_eq!(code, Some(1));
    assert!(told.starts_with(&format!("error: cannot read {path}: ")), "{told}");
    let (code, _, told) = run(&["migrate", "-o", path], &content("scenario.yaml"));
    assert_eq!(code, Some(1));
    assert!(told.starts_with(&format!("error: cannot write {path}: ")), "{told}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for args in [
        &[][..],
        &["migrat"],
        &["migrate", "--only-dat"],
        &["migrate", "--force"],
        &["drain"],
        &["drain", "n1", "--timeout", "soon"],
        &["drain", "n1", "--timeout", "5s", "--no-wait"],
    ] {
        let (code, output, told) = run(args, "");
        assert_eq!((code, output.as_str()), (Some(2), ""), "{args:?}");
        let helps = ["Usage: kubectl ferrolb", "try '--help'"];
        assert!(helps.iter().any(|help| told.contains(help)), "{told}");
    }
}

#[test]
fn help_and_version_are_for_the_plugin() {
    let (code, version, _) = run(&["--version"], "");
    assert_eq!(code, Some(0));
    assert_eq!(version, format!("kubectl ferrolb {}\n", env!("CARGO_PKG_VERSION")));
    for (args, usage) in [
        (&["--help"][..], "Usage: kubectl ferrolb <COMMAND>"),
        (&["migrate", "--help"], "Usage: kubectl ferrolb migrate [OPTIONS] [FILE]"),
        (&["drain", "--help"], "Usage: kubectl ferrolb drain [OPTIONS] <NODE>"),
        (&["undrain", "--help"], "Usage: kubectl ferrolb undrain [OPTIONS] <NODE>"),
    ] {
        let (code, help, _) = run(args, "");
        assert_eq!(code, Some(0));
        assert!(help.contains(usage) && help.contains("Exit codes: 0 done;"), "{help}");
    }
}
