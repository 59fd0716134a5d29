//! The section on faults: for how long addresses go unanswered, and what the segment sees after.

use crate::axis::{Spread, plain};
use crate::chart::{Chart, Mark, Point, Series};
use crate::cumulative;
use crate::field::{self, COLUMN};
use crate::input::Fault;
use crate::number::{count, median, p99, significant};
use crate::page::Page;

/// The size of cluster that MetalLB was measured in.
const THEIR_SIZE: u64 = 3;
/// From so many values on the shape of a distribution says something.
const DISTRIBUTION: usize = 20;
/// Its cable stays plugged in.
const SILENT: &str = "node cut off, its carrier stays";

/// One fault with its values in order.
struct Sorted<'a> {
    of: &'a Fault,
    values: Vec<f64>,
    median: f64,
}

pub fn section(page: &mut Page, faults: &[Fault]) {
    let mut faults: Vec<_> = faults.iter().filter_map(|fault| sorted(page, fault)).collect();
    let order: Vec<&str> = faults.iter().map(|it| it.of.name.as_str()).collect();
    let place = |it: &Sorted<'_>| order.iter().position(|fault| *fault == it.of.name);
    // Clusters of every size together, where the fault was first measured.
    faults.sort_by_key(|it| (place(it), it.of.nodes));
    if faults.is_empty() {
        return page.left_out("When something fails");
    }
    page.heading("When something fails");
    page.paragraph(
        "Each fault is made again and again, in a cluster of real nodes or, where there are more than 3 \
         speakers, of speakers alone. A client asks for every address each 10 ms. Of each run the table \
         has the address that went unanswered longest, in milliseconds; after a cut, from the cut to the \
         first answer by another node. p99 where *n* allows it. In the other run: one address; lowest / \
         median / highest.",
    );
    let rows: Vec<_> = faults.iter().map(|fault| row(page, fault)).collect();
    let header = ["Fault", "Speakers", "n", "Lowest", "Median", "p99", "Highest", COLUMN];
    page.table(&header, &rows);
    let discarded: u64 = faults.iter().map(|fault| fault.of.discarded).sum();
    if discarded > 0 {
        page.paragraph(&format!(
            "Not counted: runs in which the client itself was late, {}.",
            count(discarded)
        ));
    }
    for (file, fault, title) in [
        ("failover-cable.svg", field::CUT, "A node's cable is pulled: time until others answer"),
        ("failover-silent.svg", SILENT, "A node falls silent: time until others answer"),
    ] {
        let all = distributions(&faults, fault);
        if !all.is_empty() {
            page.plot(file, &cumulative::chart(title, "time, ms", &all));
        }
    }
    let others: Vec<&Sorted<'_>> = faults.iter().filter(|it| is_other(it)).collect();
    if !others.is_empty() {
        page.plot("failover.svg", &chart(&others));
    }
    aftermath(page, &faults);
}

/// Whether it is in no chart of its own.
fn is_other(fault: &Sorted<'_>) -> bool {
    let own = [field::CUT, SILENT].contains(&fault.of.name.as_str());
    !own && fault.of.nodes == THEIR_SIZE && !fault.of.two_answered_ms.is_empty()
}

fn sorted<'a>(page: &mut Page, fault: &'a Fault) -> Option<Sorted<'a>> {
    let mut values = fault.milliseconds.clone();
    values.sort_by(f64::total_cmp);
    let Some(median) = median(&values) else {
        page.note(format!("failover.json has no values for \"{}\"", fault.name));
        return None;
    };
    Some(Sorted { of: fault, values, median })
}

fn row(page: &mut Page, fault: &Sorted<'_>) -> Vec<String> {
    let Sorted { of, values, median } = fault;
    let theirs = beside(of, &field::FAILOVER);
    if theirs.is_empty() && of.nodes == THEIR_SIZE {
        page.note(format!("no figures of MetalLB stand beside the fault \"{}\"", of.name));
    }
    let end = |value: Option<&f64>| value.copied().map(significant).unwrap_or_default();
    vec![
        of.name.clone(),
        of.nodes.to_string(),
        count(values.len().try_into().unwrap_or_default()),
        end(values.first()),
        significant(*median),
        p99(values).map(significant).unwrap_or_default(),
        end(values.last()),
        theirs,
    ]
}

/// Their figures for the same fault, in a cluster of the same size.
fn beside(fault: &Fault, theirs: &[(&str, &str)]) -> String {
    let found = theirs.iter().find(|(name, _)| *name == fault.name);
    let found = found.filter(|_| fault.nodes == THEIR_SIZE);
    found.map_or_else(String::new, |(_, figures)| (*figures).to_owned())
}

/// What happened after the fault: when the node came back, while the speaker started again.
fn aftermath(page: &mut Page, faults: &[Sorted<'_>]) {
    let known = || faults.iter().map(|it| it.of).filter(|of| !of.two_answered_ms.is_empty());
    if known().next().is_none() {
        return;
    }
    page.paragraph(
        "And afterwards, when the node comes back, while a speaker starts again, or during the handover: \
         for how many milliseconds two MACs answered for one address, and how often another owner answered \
         than the time before, all addresses together; and, where no node was away, how many asks nobody \
         answered, not even late. The highest of all runs. The addresses of a drained node change owners \
         once each.",
    );
    let rows: Vec<_> = known()
        .map(|of| {
            let two = of.two_answered_ms.iter().copied().fold(0.0, f64::max);
            let changes = of.owner_changes.iter().copied().max().unwrap_or_default();
            vec![
                of.name.clone(),
                of.nodes.to_string(),
                significant(two),
                beside(of, &field::TWO_ANSWERED),
                count(changes),
                beside(of, &field::OWNER_CHANGES),
                of.unanswered_asks.iter().max().copied().map(count).unwrap_or_default(),
            ]
        })
        .collect();
    let header =
        ["Fault", "Speakers", "Two MACs", COLUMN, "Owner changes", COLUMN, "Asks unanswered"];
    page.table(&header, &rows);
}

/// Ours for each size of cluster, and theirs.
fn distributions<'a>(faults: &'a [Sorted<'_>], fault: &str) -> Vec<(String, &'a [f64])> {
    let ours = faults.iter().filter(|it| it.of.name == fault && it.values.len() >= DISTRIBUTION);
    let mut all: Vec<(String, &[f64])> =
        ours.map(|it| (format!("{} speakers", it.of.nodes), it.values.as_slice())).collect();
    if fault == field::CUT && !all.is_empty() {
        all.push((format!("{COLUMN}, {THEIR_SIZE} speakers"), &field::CUT_MS));
    }
    all
}

fn chart<'a>(faults: &[&Sorted<'a>]) -> Chart<'a> {
    let places = || (0..).map(f64::from).zip(faults);
    let point = |x, y| Point { x, y, bounds: None };
    let all = places().flat_map(|(x, fault)| fault.values.iter().map(move |&y| point(x, y)));
    let medians = places().map(|(x, fault)| point(x, fault.median));
    Chart {
        title: "Time without an answer after a fault",
        subtitle: "every value, and the medians; n below each".to_owned(),
        x_title: "",
        x_ticks: places()
            .map(|(x, fault)| {
                (x, format!("{} (n\u{a0}=\u{a0}{})", fault.of.name, fault.values.len()))
            })
            .collect(),
        y_title: "time, ms",
        spread: Spread::Linear,
        show: plain,
        series: vec![
            Series { name: "each value".to_owned(), mark: Mark::Dots, points: all.collect() },
            Series { name: "median".to_owned(), mark: Mark::Bar, points: medians.collect() },
        ],
    }
}
