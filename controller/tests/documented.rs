//! Whatever ferrolb calls by a word of its own stands in `docs/`: reasons, Events, conditions,
//! labels, annotations and metrics. (Flags: the tests of each program's `args.rs`.) This test reads
//! the sources for the words, and the pages for their descriptions, so that a word that is added
//! without a description is found.
#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files with this extension under `folder`, tests excluded.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) && !is_test {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The source of all programs, without test modules at the end of a file.
fn sources() -> String {
    let folders = ["crds/src", "kit/src", "controller/src", "speaker/src"];
    let files = folders.into_iter().flat_map(|folder| files(folder, "rs"));
    let code = |path: PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
        text[..end].to_owned()
    };
    files.map(code).collect::<Vec<_>>().join("\n")
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// The texts in double quotes in `code`; it must hold no escaped quotes.
fn quoted(code: &str) -> Vec<&str> {
    code.split('"').skip(1).step_by(2).collect()
}

/// Every word that some `fn reason` or `fn reasons` gives.
fn reasons(sources: &str) -> BTreeSet<&str> {
    let bodies = sources.split("fn reason").skip(1);
    let words = bodies.flat_map(|rest| {
        let end = rest.find("\n    }\n").unwrap();
        quoted(&rest[..end])
    });
    words.collect()
}

/// The words of `known` that no code span of `pages` is.
fn missing<'a>(known: impl IntoIterator<Item = &'a str>, pages: &str) -> Vec<&'a str> {
    known.into_iter().filter(|word| !pages.contains(&format!("`{word}`"))).collect()
}

#[test]
fn every_reason_is_described() {
    let sources = sources();
    let reasons = reasons(&sources);
    for known in
        ["noPool", "noMatchingAdvertisement", "lapsed", "invalidRange", "fenced", "otherNamespace"]
    {
        assert!(reasons.contains(known), "the search does not find {known}: {reasons:?}");
    }
    let pages = page("reference/reasons.md");
    assert_eq!(missing(reasons, &pages), [""; 0], "not in docs/reference/reasons.md");
}

#[test]
fn every_name_that_users_see_is_described() {
    let names = fs::read_to_string(root().join("crds/src/names.rs")).unwrap();
    let consts = names.lines().filter_map(|line| {
        let (_, value) = line.trim_start().strip_prefix("pub const ")?.split_once(" = \"")?;
        value.strip_suffix("\";")
    });
    let names: BTreeSet<&str> = consts.collect();
    for known in ["IPAllocated", "not enough clusterips", "UnclaimedAnswer", "ferrolb.io/drain"] {
        assert!(names.contains(known), "the search does not find {known}: {names:?}");
    }
    let pages = page("reference/names.md") + &page("reference/events.md");
    let unknown: Vec<_> = names.into_iter().filter(|name| !pages.contains(name)).collect();
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn every_metric_is_described_and_no_other() {
    let is_name = |text: &str| {
        let is_ours = text.starts_with("metallb_") || text.starts_with("ferrolb_");
        is_ours && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let sources = sources();
    let in_sources: BTreeSet<&str> =
        sources.lines().flat_map(quoted).filter(|text| is_name(text)).collect();
    assert!(in_sources.len() > 50, "{in_sources:?}");
    let pages = page("reference/metrics.md");
    assert_eq!(missing(in_sources.iter().copied(), &pages), [""; 0], "not in metrics.md");
    let described = pages.split('`').filter(|text| is_name(text));
    let others: Vec<_> = described.filter(|name| !in_sources.contains(name)).collect();
    assert_eq!(others, ["metallb_"; 1], "described, and there is no such metric");
}

/// Every test that the comparison with MetalLB names, as `file: test, test` in a code span.
#[test]
fn every_test_that_the_comparison_names_is_there() {
    let page = page("reference/compatibility.md");
    let spans = page.split('`').skip(1).step_by(2);
    let named: Vec<_> = spans.filter_map(|span| span.split_once(".rs: ")).collect();
    assert!(named.len() > 200, "{}", named.len());
    let mut absent = Vec::new();
    for (file, tests) in named {
        let text = fs::read_to_string(root().join(format!("{file}.rs"))).unwrap_or_default();
        for test in tests.split(", ") {
            if !text.contains(&format!("fn {test}(")) {
                absent.push(format!("{file}.rs: {test}"));
            }
        }
    }
    assert_eq!(absent, [""; 0]);
}

/// Every check of a script that it names, as `.ci/file: check, check` in a code span.
#[test]
fn every_check_that_the_comparison_names_is_there() {
    let page = page("reference/compatibility.md");
    let spans = page.split('`').skip(1).step_by(2);
    let scripts = spans.filter(|span| span.starts_with(".ci/"));
    let named: Vec<_> = scripts.filter_map(|span| span.split_once(": ")).collect();
    assert!(named.len() > 10, "{}", named.len());
    let mut absent = Vec::new();
    for (file, checks) in named {
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        for check in checks.split(", ") {
            if !text.contains(&format!("\n{check}() {{\n")) {
                absent.push(format!("{file}: {check}"));
            }
        }
    }
    assert_eq!(absent, [""; 0]);
}

/// In its tables with a column for that.
#[test]
fn every_row_of_the_comparison_names_a_test_or_says_why_there_is_none() {
    let page = page("reference/compatibility.md");
    let (mut has_column, mut rows, mut bare) = (false, 0, Vec::new());
    for line in page.lines() {
        let Some(row) = line.trim_end().strip_suffix('|') else {
            has_column = false;
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or_default().trim();
        if last == "Shown by" {
            has_column = true;
        } else if has_column && last != "---" {
            rows += 1;
            let marks = [".rs: ", "`.ci/", "nothing to test: "];
            if !marks.iter().any(|mark| last.contains(mark)) {
                bare.push(line);
            }
        }
    }
    assert!(rows > 200, "{rows}");
    assert_eq!(bare, [""; 0]);
}
