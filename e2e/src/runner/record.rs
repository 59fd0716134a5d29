//! How long everything took: written down as it ends, for the summary of this run and for the order
//! of the next one.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Names the file that collects the times of a run: a line each, kind, seconds and name, separated by
/// tabs.
pub const VARIABLE: &str = "FERROLB_TIMES";
/// How long a test is taken to last that has never been run here.
const UNKNOWN: Duration = Duration::from_secs(20);

/// What a time was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unit,
    Packet,
    Lab,
    /// What needs processors only, and runs while clusters wait.
    Beside,
    /// What tests in the lab waited for.
    Wait,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Packet => "packet",
            Self::Lab => "lab",
            Self::Beside => "beside",
            Self::Wait => "wait",
        }
    }
}

#[derive(Debug)]
pub struct Record {
    file: Option<PathBuf>,
    /// How long tests took the last time, by name.
    last: BTreeMap<String, Duration>,
}

impl Record {
    /// What the environment names; and the times of earlier runs in this file, if it is there.
    pub fn open(earlier: &Path) -> Self {
        let text = fs::read_to_string(earlier).unwrap_or_default();
        let last = text.lines().filter_map(parse).collect();
        Self { file: std::env::var_os(VARIABLE).map(PathBuf::from), last }
    }

    pub fn expected(&self, name: &str) -> Duration {
        self.last.get(name).copied().unwrap_or(UNKNOWN)
    }

    pub fn add(&self, kind: Kind, name: &str, took: Duration) {
        if let Some(file) = &self.file {
            append(file, kind, name, took);
        }
    }
}

fn parse(line: &str) -> Option<(String, Duration)> {
    let mut fields = line.splitn(3, '\t');
    let (_, seconds, name) = (fields.next()?, fields.next()?, fields.next()?);
    Some((name.to_owned(), Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?))
}

/// What this process waits for, from its beginning until it is dropped; then it is written down, if
/// somebody collects it. What is waited for meanwhile is part of it and not written down.
#[derive(Debug)]
pub struct Busy {
    what: String,
    begun: Instant,
    is_outermost: bool,
}

/// How many there are now.
static BUSY: AtomicUsize = AtomicUsize::new(0);

impl Busy {
    pub fn with(what: &str) -> Self {
        let is_outermost = BUSY.fetch_add(1, Ordering::Relaxed) == 0;
        Self { what: what.to_owned(), begun: Instant::now(), is_outermost }
    }

    /// A command, called by its program and the first word that is neither an option nor a path.
    pub fn command<'a>(program: &str, args: impl IntoIterator<Item = &'a str>) -> Self {
        let is_word = |word: &&str| word.chars().all(char::is_alphanumeric);
        let verb = args.into_iter().find(is_word).unwrap_or_default();
        Self::with(&format!("{} {verb}", program.rsplit('/').next().unwrap_or_default()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.fetch_sub(1, Ordering::Relaxed);
        if let Some(file) = std::env::var_os(VARIABLE).filter(|_| self.is_outermost) {
            append(Path::new(&file), Kind::Wait, &self.what, self.begun.elapsed());
        }
    }
}

/// One write for each line, so that lines of several processes do not mix.
fn append(file: &Path, kind: Kind, name: &str, took: Duration) {
    let line = format!("{}\t{:.3}\t{name}\n", kind.word(), took.as_secs_f64());
    let open = OpenOptions::new().create(true).append(true).open(file);
    if let Err(error) = open.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!("{}: {error}", file.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let file = std::env::temp_dir().join(format!("ferrolb-times-{}", std::process::id()));
        append(&file, Kind::Lab, "a::b", Duration::from_millis(1500));
        append(&file, Kind::Unit, "c", Duration::from_millis(2));
        let record = Record::open(&file);
        fs::remove_file(&file).unwrap();
        assert_eq!(record.expected("a::b"), Duration::from_millis(1500));
        assert_eq!(record.expected("c"), Duration::from_millis(2));
        assert_eq!(record.expected("d"), UNKNOWN);
    }
}
