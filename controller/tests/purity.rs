//! The modules that decide are pure: they name no client, runtime, socket, file, environment,
//! thread, clock or random source. This test reads their text and looks for those names.
//!
//! Comments and test modules do not count. What a module is allowed all the same is listed below,
//! with the reason; an exception that is not needed any more is an error too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The pure modules: `x` is `x.rs` and everything under `x/`. From the workspace's root.
const PURE: [&str; 19] = [
    "crds/src/model",
    "controller/src/alloc",
    "controller/src/lease/decide",
    "speaker/src/engine",
    "speaker/src/mesh",
    "speaker/src/ownership",
    "speaker/src/announce",
    "speaker/src/wire",
    "speaker/src/respond",
    "speaker/src/filter",
    "speaker/src/link",
    "controller/src/placement",
    "cli/src/migrate",
    "cli/src/drain",
    "controller/src/webhook/question",
    "controller/src/webhook/review",
    "controller/src/webhook/convert",
    "controller/src/webhook/certs/judge",
    "controller/src/webhook/certs/rotation",
];

/// Modules that are planned and may be missing.
const PLANNED: [&str; 0] = [];

/// Words that no pure module may contain.
const WORDS: [&str; 20] = [
    "kube",
    "k8s_openapi",
    "tokio",
    "tokio_util",
    "futures",
    "tracing",
    "prometheus",
    "axum",
    "socket2",
    "libc",
    "rtnetlink",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
    "Instant",
    "SystemTime",
    "thread_rng",
    "getrandom",
    "kit",
];

/// Parts of `std` that no pure module may use.
const STD: [&str; 5] = ["fs", "env", "thread", "process", "os"];

/// Functions of `rand` that read a random source; generators that are passed in are fine.
const RAND: [&str; 3] = ["rng", "random", "random_range"];

/// What is allowed all the same, and why.
const EXCEPTIONS: [(&str, &str, &str); 2] = [
    (
        "crds/src/model/selector.rs",
        "k8s_openapi",
        "reads the LabelSelector type of the API objects; a plain struct",
    ),
    (
        "crds/src/model/compile/object.rs",
        "k8s_openapi",
        "hands LabelSelectors of the API objects to the selector module",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All source files of the module at `path`; tests excluded.
fn files(path: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let file = root().join(format!("{path}.rs"));
    if file.is_file() {
        found.push(file);
    }
    let mut folders = vec![root().join(path)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            if is_test {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `text` without comments and the contents of strings, and without the test module at its end.
fn code(text: &str) -> String {
    let mut lines = Vec::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        let starts_tests = line.trim() == "#[cfg(test)]"
            && rest.peek().is_some_and(|next| next.trim_start().starts_with("mod tests"));
        if starts_tests {
            break;
        }
        lines.push(line);
    }
    let mut code = String::new();
    let mut is_string = false;
    for line in lines {
        let mut chars = line.replace("'\"'", "' '").replace("\\\\", "").replace("\\\"", "");
        chars.push('\n');
        let mut rest = chars.as_str();
        while let Some(next) = rest.chars().next() {
            if !is_string && rest.starts_with("//") {
                code.push('\n');
                break;
            }
            is_string ^= next == '"';
            if !is_string {
                code.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    code
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The words of every path that begins with `root::`, up to the end of its statement or argument.
fn under<'a>(code: &'a str, root: &'a str) -> impl Iterator<Item = &'a str> {
    let start = format!("{root}::");
    let tails: Vec<&str> = code
        .match_indices(&start)
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .map(|(at, _)| &code[at + start.len()..])
        .collect();
    tails.into_iter().flat_map(|tail| {
        let end = if tail.starts_with('{') {
            tail.find('}').unwrap_or(tail.len())
        } else {
            tail.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(tail.len())
        };
        words(&tail[..end])
    })
}

/// The forbidden names in `text`.
fn impurities(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let mut found: BTreeSet<String> =
        words(&code).filter(|word| WORDS.contains(word)).map(ToOwned::to_owned).collect();
    found.extend(
        under(&code, "std").filter(|word| STD.contains(word)).map(|word| format!("std::{word}")),
    );
    found.extend(
        under(&code, "rand").filter(|word| RAND.contains(word)).map(|word| format!("rand::{word}")),
    );
    found
}

#[test]
fn pure_modules_name_nothing_impure() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for module in PURE {
        let files = files(module);
        let crate_folder = root().join(module.split('/').next().unwrap_or_default()).join("src");
        if files.is_empty() && crate_folder.is_dir() && !PLANNED.contains(&module) {
            wrong.push(format!("{module}: there is no such module; is the list out of date?"));
        }
        for file in files {
            let name = file.strip_prefix(root()).unwrap().display().to_string();
            for word in impurities(&fs::read_to_string(&file).unwrap()) {
                let excepted = EXCEPTIONS.iter().find(|(at, what, _)| *at == name && *what == word);
                match excepted {
                    Some((at, what, _)) => {
                        used.insert((*at, *what));
                    }
                    None => wrong.push(format!("{name}: names {word}")),
                }
            }
        }
    }
    for (at, what, _) in EXCEPTIONS {
        if !used.contains(&(at, what)) {
            wrong.push(format!("{at}: the exception for {what} is not needed"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_scan_finds_what_it_looks_for() {
    for (text, expected) in [
        ("use kube::Api;", "kube"),
        ("fn f() { tokio::spawn(async {}); }", "tokio"),
        ("    tracing::info!(\"x\");", "tracing"),
        ("let now = std::time::Instant::now();", "Instant"),
        ("use std::{collections::BTreeMap, fs};", "std::fs"),
        ("let home = std::env::var(\"HOME\");", "std::env"),
        ("std::thread::sleep(x)", "std::thread"),
        ("let chance: f64 = rand::random();", "rand::random"),
        ("use std::net::UdpSocket;", "UdpSocket"),
        ("let url = \"http://x\"; tokio::spawn(y);", "tokio"),
        ("use k8s_openapi::api::core::v1::Service; // fine", "k8s_openapi"),
    ] {
        assert_eq!(impurities(text), BTreeSet::from([expected.to_owned()]), "{text}");
    }
}

#[test]
fn the_scan_passes_what_is_pure() {
    for text in [
        "use std::time::Duration;\nuse std::net::IpAddr;\n",
        "//! Nothing here knows kube, tokio or std::fs.\n/// Like `Instant`, but ours.\n",
        "let environment = 1; let instant = Moment(3); let fs = 2;",
        "fn pick(rng: &mut impl rand::Rng) {}",
        "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
        "let kubelet = 1;",
        "let known = [\"^kube-ipvs.*\", \"a \\\" kube // \"];",
    ] {
        assert_eq!(impurities(text), BTreeSet::new(), "{text}");
    }
}
