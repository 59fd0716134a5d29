//! The machine that measured, as far as it bears on the figures.

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};

#[derive(Debug, Clone)]
pub struct Machine {
    /// Not on every architecture does the kernel know its name.
    pub processor: Option<String>,
    pub cores: usize,
    pub kernel: String,
    pub compiler: String,
    /// The target triple that release binaries are built for.
    pub host: String,
}

impl Machine {
    pub fn this() -> Result<Self> {
        let output = Command::new("rustc").arg("-vV").output().context("running rustc")?;
        ensure!(output.status.success(), "rustc -vV failed");
        let version = String::from_utf8(output.stdout)?;
        let host = field(&version, "host:").context("rustc names no host")?;
        let kernel =
            fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's name")?;
        Ok(Self {
            processor: field(&fs::read_to_string("/proc/cpuinfo")?, "model name"),
            cores: thread::available_parallelism()?.get(),
            kernel: kernel.trim().to_owned(),
            compiler: version.lines().next().unwrap_or_default().to_owned(),
            host,
        })
    }
}

/// What follows `name`, and a colon if there is one, in the first line that begins with it.
fn field(text: &str, name: &str) -> Option<String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim_start_matches([' ', '\t', ':']).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_with_and_without_a_tab() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: other\n";
        assert_eq!(field(text, "model name").as_deref(), Some("AMD EPYC"));
        assert_eq!(field("host: x86_64\n", "host:").as_deref(), Some("x86_64"));
        assert_eq!(field(text, "flags"), None);
    }
}
