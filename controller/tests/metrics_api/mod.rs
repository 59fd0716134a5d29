//! What the controller shows of itself: each word that a metric has as a label is provoked, and read
//! off the text that is served.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails the test")]

mod configuration;
mod conflicts;
mod refusals;
mod reviews;
mod taken;
mod work;
mod writes;

use std::collections::BTreeMap;

/// The series that begin with `name`, by the value of their only label, or of the only one that
/// `name` leaves open.
fn by_label<'a>(text: &'a str, name: &str) -> BTreeMap<&'a str, u64> {
    let series = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let rest = if name.ends_with(',') { rest } else { rest.strip_prefix('{')? };
        let (_, rest) = rest.split_once("=\"")?;
        let (value, count) = rest.split_once("\"} ")?;
        Some((value, count.parse().unwrap()))
    });
    series.collect()
}

/// The number behind `name`, which has no labels.
#[track_caller]
fn number(text: &str, name: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}
