//! `target/bench/failover.json`: a row for each fault and size of cluster.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::promise::Kind;
use crate::state::{create_dir, write};

/// One fault, measured several times.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub fault: String,
    /// How many speakers there were.
    pub nodes: usize,
    /// How long it took until all addresses that the fault touched were answered again.
    pub milliseconds: Vec<f64>,
    /// The longest time in which two MACs answered for one address, afterwards.
    #[serde(default)]
    pub two_answered_ms: Vec<f64>,
    /// How often another owner answered than before, all addresses together, afterwards.
    #[serde(default)]
    pub owner_changes: Vec<usize>,
    /// Asks that nobody answered, not even late, all addresses together, where somebody was to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered_asks: Vec<usize>,
    /// Runs in which the observer could not keep up.
    #[serde(default)]
    pub discarded: usize,
}

/// What one run showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// For how long an address went unanswered, the longest of them.
    pub unanswered: f64,
    pub two_answered: f64,
    pub changes: usize,
    /// `None` where a node is away, and nobody can answer at once.
    pub unanswered_asks: Option<usize>,
}

/// What came of one fault.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<(Kind, Row)>,
    pub discarded: usize,
}

impl Table {
    fn row(&mut self, kind: Kind) -> &mut Row {
        let at = self.rows.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
            self.rows.push((kind, Row { fault: kind.title().to_owned(), ..Row::default() }));
            self.rows.len() - 1
        });
        &mut self.rows[at].1
    }

    /// One run.
    pub fn add(&mut self, kind: Kind, seen: Seen) {
        let row = self.row(kind);
        row.milliseconds.push(tenths(seen.unanswered));
        row.two_answered_ms.push(tenths(seen.two_answered));
        row.owner_changes.push(seen.changes);
        row.unanswered_asks.extend(seen.unanswered_asks);
    }

    /// Many values at once, of which only the time without an answer is known.
    pub fn add_all(&mut self, kind: Kind, unanswered: Vec<f64>) {
        self.row(kind).milliseconds.extend(unanswered.into_iter().map(tenths));
    }

    /// Which promises do not hold by these figures.
    pub fn broken(&self) -> Vec<String> {
        self.rows.iter().flat_map(|(kind, row)| kind.broken(row)).collect()
    }

    /// The last value of each row, to be shown.
    pub fn last(&self) -> String {
        let line = |row: &Row| {
            let last = |values: &[f64]| values.last().copied().unwrap_or_default();
            let changes = row.owner_changes.last().copied().unwrap_or_default();
            let (unanswered, two) = (last(&row.milliseconds), last(&row.two_answered_ms));
            format!("{unanswered} ms, then two for {two} ms, {changes} changes")
        };
        self.rows.iter().map(|(_, row)| line(row)).collect::<Vec<_>>().join("; ")
    }

    /// Writes these rows into the file; each replaces the one for the same fault and size.
    pub fn merge_into(&self, file: &Path, nodes: usize) -> Result<()> {
        let mut all: Vec<Row> = match fs::read(file) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| file.display().to_string())?
            }
            Err(_) => Vec::new(),
        };
        for (_, row) in &self.rows {
            let row = row.clone();
            let row = Row { nodes, discarded: self.discarded, ..row };
            match all.iter_mut().find(|old| old.fault == row.fault && old.nodes == nodes) {
                Some(old) => *old = row,
                None => all.push(row),
            }
        }
        if let Some(folder) = file.parent() {
            create_dir(folder)?;
        }
        write(file, serde_json::to_string_pretty(&all)? + "\n")
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_replaces_the_one_for_the_same_fault_and_size_only() -> Result<()> {
        let file = std::env::temp_dir().join(format!("table-{}.json", std::process::id()));
        for (nodes, value) in [(3, 1.0), (10, 2.0), (3, 3.04)] {
            let mut table = Table::default();
            let seen =
                Seen { unanswered: value, two_answered: 0.0, changes: 0, unanswered_asks: None };
            table.add(Kind::Cut, seen);
            table.merge_into(&file, nodes)?;
        }
        let rows: Vec<Row> = serde_json::from_slice(&fs::read(&file)?)?;
        fs::remove_file(&file)?;
        let short: Vec<_> = rows.iter().map(|row| (row.nodes, row.milliseconds.clone())).collect();
        assert_eq!(short, [(3, vec![3.0]), (10, vec![2.0])]);
        Ok(())
    }
}
