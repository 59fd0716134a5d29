//! The section on faults: for how long addresses go unanswered.

use crate::axis::{Spread, plain};
use crate::chart::{Chart, Mark, Point, Series};
use crate::field::{self, COLUMN};
use crate::input::Fault;
use crate::number::{median, p99, significant};
use crate::page::Page;

/// One fault with its values in order.
struct Sorted<'a> {
    fault: &'a str,
    values: Vec<f64>,
    median: f64,
}

pub fn section(page: &mut Page, faults: &[Fault]) {
    let faults: Vec<_> = faults.iter().filter_map(|fault| sorted(page, fault)).collect();
    if faults.is_empty() {
        return page.left_out("When something fails");
    }
    page.heading("When something fails");
    page.paragraph(
        "How long an address went unanswered, in milliseconds. p99 where *n* allows it. In the other run: \
         lowest / median / highest.",
    );
    let rows: Vec<_> = faults.iter().map(|fault| row(page, fault)).collect();
    page.table(&["Fault", "n", "Lowest", "Median", "p99", "Highest", COLUMN], &rows);
    page.plot("failover.svg", &chart(&faults));
}

fn sorted<'a>(page: &mut Page, fault: &'a Fault) -> Option<Sorted<'a>> {
    let mut values = fault.milliseconds.clone();
    values.sort_by(f64::total_cmp);
    let Some(median) = median(&values) else {
        page.note(format!("failover.json has no values for \"{}\"", fault.fault));
        return None;
    };
    Some(Sorted { fault: &fault.fault, values, median })
}

fn row(page: &mut Page, fault: &Sorted<'_>) -> Vec<String> {
    let Sorted { fault: name, values, median } = fault;
    let theirs = field::FAILOVER.iter().find(|(theirs, _)| theirs == name);
    if theirs.is_none() {
        page.note(format!("no figures of MetalLB stand beside the fault \"{name}\""));
    }
    let end = |value: Option<&f64>| value.copied().map(significant).unwrap_or_default();
    vec![
        (*name).to_owned(),
        values.len().to_string(),
        end(values.first()),
        significant(*median),
        p99(values).map(significant).unwrap_or_default(),
        end(values.last()),
        theirs.map_or_else(String::new, |(_, figures)| (*figures).to_owned()),
    ]
}

fn chart<'a>(faults: &[Sorted<'a>]) -> Chart<'a> {
    let places = || (0..).map(f64::from).zip(faults);
    let point = |x, y| Point { x, y, bounds: None };
    let all = places().flat_map(|(x, fault)| fault.values.iter().map(move |&y| point(x, y)));
    let medians = places().map(|(x, fault)| point(x, fault.median));
    Chart {
        title: "Time without an answer after a fault",
        subtitle: "every value, and the medians; n below each".to_owned(),
        x_title: "fault",
        x_ticks: places()
            .map(|(x, fault)| {
                (x, format!("{} (n\u{a0}=\u{a0}{})", fault.fault, fault.values.len()))
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
