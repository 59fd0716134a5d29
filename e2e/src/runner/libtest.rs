//! What Rust's test programs understand, and what they print.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// The tests in a program that are run only when asked for.
pub fn list(program: &Path) -> Result<Vec<String>> {
    let list = ["--ignored", "--list", "--format", "terse"];
    let text = crate::namespace::output(Command::new(program).args(list).stdin(Stdio::null()))
        .with_context(|| program.display().to_string())?;
    Ok(names(&text))
}

fn names(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// The shell's line that runs one test, and no other.
pub fn line(program: &Path, name: &str) -> String {
    format!("'{}' --ignored --exact '{name}' --nocapture --test-threads=1", program.display())
}

/// What a test printed, without what the program says around it.
pub fn own_words(text: &str) -> impl Iterator<Item = &str> {
    let is_frame = |line: &str| {
        line.trim().is_empty()
            || line.starts_with("running ")
            || line.starts_with("test result: ")
            || line.starts_with("test ") && line.ends_with(" ... ok")
            || line == "ok"
    };
    text.lines()
        .map(|line| match line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            // The first line of a test follows its name.
            Some((_, said)) if said != "ok" => said,
            _ => line,
        })
        .filter(move |line| !is_frame(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tests_are_read_and_nothing_else() {
        assert_eq!(names("a::b: test\nc: benchmark\n\nd: test\n"), ["a::b", "d"]);
    }

    #[test]
    fn what_the_program_says_around_a_test_is_left_out() {
        let text = "\nrunning 1 test\ntest a::b ... it took 3 ms\nand so on\nok\n\n\
                    test result: ok. 1 passed; 0 failed; 0 ignored\n\n";
        assert_eq!(own_words(text).collect::<Vec<_>>(), ["it took 3 ms", "and so on"]);
        assert_eq!(own_words("running 1 test\ntest a ... ok\n").count(), 0);
    }
}
