//! A procedure of the documentation, carried out as it is written there: a page's commands, found by
//! section and step, and run in a shell. What a test runs this way, a reader can run.
//!
//! A page has sections (`## `), these have steps (`### `), and a step has blocks of commands between
//! fences. A block after a line that begins with `With Helm` or `With manifests` and ends in a colon
//! is for whoever has it that way; all others are for everybody.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::cluster::Lab;
use crate::namespace::output;

/// How long one step may take; its commands have deadlines of their own, except for loops.
const PATIENCE: &str = "150";

/// What the page sets in one step and uses in a later one.
const NAMES: &str = "CONTROLLER SPEAKER LABEL COMPONENT FERROLB SPEAKERS";

/// How MetalLB was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    Helm,
    Manifests,
}

impl Variant {
    /// How a line begins that makes the next block one for this variant.
    const fn words(self) -> &'static str {
        match self {
            Self::Helm => "With Helm",
            Self::Manifests => "With manifests",
        }
    }

    const ALL: [Self; 2] = [Self::Helm, Self::Manifests];
}

/// Some commands of a page.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    section: String,
    /// Empty for what comes before the first step.
    step: String,
    only: Option<Variant>,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let (mut section, mut step, mut only) = (String::new(), String::new(), None);
    let mut open: Option<String> = None;
    for line in page.lines() {
        match (&mut open, line) {
            (Some(text), "```") => {
                let text = std::mem::take(text);
                let (section, step) = (section.clone(), step.clone());
                found.push(Block { section, step, only: only.take(), text });
                open = None;
            }
            (Some(text), _) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, "```") => open = Some(String::new()),
            (None, "") => {}
            (None, _) => {
                if let Some(title) = line.strip_prefix("## ") {
                    (section, step) = (title.to_owned(), String::new());
                } else if let Some(title) = line.strip_prefix("### ") {
                    title.clone_into(&mut step);
                }
                let mut all = Variant::ALL.into_iter();
                only = all.find(|it| line.starts_with(it.words()) && line.ends_with(':'));
            }
        }
    }
    found
}

/// A person with this page open, and a shell in a folder of their own.
#[derive(Debug)]
pub struct Reader<'a> {
    lab: &'a Lab,
    page: String,
    variant: Variant,
    folder: PathBuf,
}

impl<'a> Reader<'a> {
    /// Opens a page of the documentation. `files` are put into the folder: name there, and what it
    /// stands for.
    pub fn open(
        lab: &'a Lab,
        page: &str,
        variant: Variant,
        files: &[(&str, PathBuf)],
    ) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let file = root.join("docs").join(page);
        let page = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let folder = lab.folder.path(&format!("reader-{}-{variant:?}", std::process::id()));
        fs::create_dir_all(&folder)?;
        for (name, target) in files {
            let link = folder.join(name);
            fs::create_dir_all(link.parent().context("a file in a folder")?)?;
            symlink(target.canonicalize().with_context(|| target.display().to_string())?, link)?;
        }
        Ok(Self { lab, page, variant, folder })
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs what stands in a section before its first step.
    pub fn begin(&self, section: &str) -> Result<String> {
        self.run(section, str::is_empty)
    }

    /// Runs the step of this section whose title begins so; returns what was printed.
    pub fn step(&self, section: &str, title: &str) -> Result<String> {
        self.run(section, |step| step.starts_with(title))
    }

    fn run(&self, section: &str, is_meant: impl Fn(&str) -> bool) -> Result<String> {
        let blocks = blocks(&self.page).into_iter().filter(|it| {
            it.section == section
                && is_meant(&it.step)
                && it.only.is_none_or(|variant| variant == self.variant)
        });
        let texts: Vec<String> = blocks.map(|block| block.text).collect();
        ensure!(!texts.is_empty(), "the page has no such commands in {section:?}");
        let mut printed = String::new();
        for text in texts {
            let said = output(&mut self.shell(&text)).with_context(|| text.clone())?;
            let _ = write!(printed, "{said}");
        }
        Ok(printed)
    }

    /// A shell that knows what was set in earlier ones, and ends at the first command that fails; also
    /// in a row of `&&`, of which bash itself excuses all but the last.
    fn shell(&self, text: &str) -> Command {
        let script = format!(
            "set -euo pipefail\n[ ! -e .shell ] || . ./.shell\n{text}[ $? = 0 ]\n\
             {{ declare -f; declare -p {NAMES} 2>/dev/null || true; }} >.shell\n"
        );
        let mut command = self.lab.command("timeout");
        command.args([PATIENCE, "bash", "-c", &script]).current_dir(&self.folder);
        command
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // It lies in the lab's own folder: what cannot be removed now goes with that.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Page\n\n## One\n\nWith Helm, as `x`:\n\n```\na\n```\n\nWith manifests:\n\n```\nb\nc\n```\n\n\
                        ```\nd\n```\n\n### 1. Step\n\nText:\n\n```\ne\n```\n\n## Two\n\n```\nf\n```\n";

    #[test]
    fn blocks_are_found_by_section_step_and_variant() {
        let told: Vec<_> =
            blocks(PAGE).into_iter().map(|it| (it.section, it.step, it.only, it.text)).collect();
        let block = |section: &str, step: &str, only, text: &str| {
            (section.to_owned(), step.to_owned(), only, text.to_owned())
        };
        assert_eq!(
            told,
            [
                block("One", "", Some(Variant::Helm), "a\n"),
                block("One", "", Some(Variant::Manifests), "b\nc\n"),
                block("One", "", None, "d\n"),
                block("One", "1. Step", None, "e\n"),
                block("Two", "", None, "f\n"),
            ]
        );
    }
}
