//! The sections made from criterion's results: allocation, packets, the engine. Each says what it
//! expects to find, so that a benchmark that was renamed or never ran is missed aloud.

use crate::axis::{Spread, plain};
use crate::chart::{Chart, Mark, Point, Series};
use crate::criterion::{Benchmarks, Measured};
use crate::number::{count, duration, interval};
use crate::page::Page;

const POOLS: [(&str, &str); 3] =
    [("v4_24", "IPv4 /24"), ("v4_16", "IPv4 /16"), ("v6_64", "IPv6 /64")];
const FILLED: [u32; 3] = [0, 50, 99];
/// Benchmark, what it does, and to how many.
const BATCHES: [(&str, &str, u32); 4] = [
    ("assign_1000/v4_16", "assign 1,000 addresses of an empty /16", 1_000),
    ("adopt/10k", "adopt 10,000 addresses after a restart", 10_000),
    ("evict_10k/nothing", "check 10,000 addresses after a change that affects none", 10_000),
    ("evict_10k/nearly_all", "check 10,000 addresses, and take nearly all away", 10_000),
];
const ANSWERS: [(&str, &str); 3] = [
    ("hit", "answer a request"),
    ("miss", "drop a request for another's address"),
    ("malformed", "drop what is no ARP"),
];
const ADDRESSES: [u32; 3] = [1, 1_000, 10_000];
const EVENTS: [(&str, &str); 3] = [
    ("a node dies or returns", "a node dies or returns"),
    ("one endpoint changes", "one endpoint changes"),
    ("a relist without news", "everything is read again, without news"),
];
const ENGINE: &str = "engine, 1000 services";
const NODES: [u32; 4] = [3, 30, 100, 300];

const HEADER: [&str; 4] = ["", "Median", "95 % confidence interval", "n"];

/// What is expected of one group of benchmarks: name and words for each.
type Expected = Vec<(String, String)>;

pub fn allocation(page: &mut Page, all: &Benchmarks) {
    let single = each(&POOLS, &FILLED, |pool, filled| {
        (format!("assign_and_release/{}/{filled}", pool.0), format!("{}, {filled} % full", pool.1))
    });
    let batches =
        BATCHES.iter().map(|(name, what, _)| ((*name).to_owned(), (*what).to_owned())).collect();
    let (single, batches) = (rows(page, all, &single), rows(page, all, &batches));
    if single.is_empty() && batches.is_empty() {
        return page.left_out("Giving out addresses");
    }
    page.heading("Giving out addresses");
    if !single.is_empty() {
        page.paragraph(
            "One assignment and the release of the same address, in the controller's ledger. For a /64, \
             65,536 addresses stand for all. Half full means every other address, which is the worst case \
             for a search.",
        );
        page.table(&HEADER, &single);
        let series = POOLS.map(|(name, words)| {
            series(all, words, &FILLED, |filled| format!("assign_and_release/{name}/{filled}"))
        });
        let chart = Chart {
            title: "Assign and release one address",
            subtitle: subtitle(all, "assign_and_release/"),
            x_title: "share of the pool that is taken",
            x_ticks: FILLED
                .iter()
                .map(|&filled| (f64::from(filled), format!("{filled} %")))
                .collect(),
            y_title: "time (logarithmic)",
            spread: Spread::Logarithmic,
            show: tick,
            series: series.into(),
        };
        page.plot("allocation.svg", &chart);
    }
    if !batches.is_empty() {
        page.paragraph("Many at once:");
        let batches: Vec<_> = BATCHES
            .iter()
            .filter_map(|(name, what, many)| {
                let measured = all.get(*name)?;
                let mut row = row(what, measured);
                row.push(duration(measured.median / f64::from(*many)));
                Some(row)
            })
            .collect();
        let [first, rest @ ..] = HEADER;
        let header: Vec<_> = [first].into_iter().chain(rest).chain(["Median for each"]).collect();
        page.table(&header, &batches);
    }
}

pub fn packet(page: &mut Page, all: &Benchmarks) {
    let mut expected: Expected = vec![
        ("packet/parse".to_owned(), "parse a frame".to_owned()),
        ("packet/emit".to_owned(), "write a frame".to_owned()),
    ];
    expected.extend(each(&ANSWERS, &ADDRESSES, |(name, words), &addresses| {
        let plural = if addresses == 1 { "address" } else { "addresses" };
        let what = format!("{words}, {} {plural} announced", count(addresses.into()));
        (format!("packet/{name}/{addresses}"), what)
    }));
    let rows = rows(page, all, &expected);
    if rows.is_empty() {
        return page.left_out("One frame");
    }
    page.heading("One frame");
    page.paragraph(
        "What the speaker does with a received frame, from its bytes to the reply's, without the system \
         calls around it. The time must not depend on the number of addresses.",
    );
    page.table(&HEADER, &rows);
    let series = ANSWERS.map(|(name, words)| {
        series(all, words, &ADDRESSES, |addresses| format!("packet/{name}/{addresses}"))
    });
    let chart = Chart {
        title: "From a received frame to the reply, or to none",
        subtitle: subtitle(all, "packet/"),
        x_title: "addresses announced (logarithmic)",
        x_ticks: logarithmic(&ADDRESSES),
        y_title: "time",
        spread: Spread::Linear,
        show: tick,
        series: on_logarithm(series.into()),
    };
    page.plot("respond.svg", &chart);
}

pub fn engine(page: &mut Page, all: &Benchmarks) {
    let expected = each(&EVENTS, &NODES, |(name, words), nodes| {
        (format!("{ENGINE}/{name}/{nodes}"), format!("{words}, {nodes} nodes"))
    });
    let rows = rows(page, all, &expected);
    if rows.is_empty() {
        return page.left_out("Deciding who answers");
    }
    page.heading("Deciding who answers");
    page.paragraph(
        "All that follows from one event in the speaker's engine: election, difference to what is \
         announced, orders to send. 1,000 Services with an address each, announced from any node.",
    );
    page.table(&HEADER, &rows);
    let series = EVENTS.map(|(name, words)| {
        series(all, words, &NODES, |nodes| format!("{ENGINE}/{name}/{nodes}"))
    });
    let chart = Chart {
        title: "One event in the speaker's engine, 1,000 Services",
        subtitle: subtitle(all, ENGINE),
        x_title: "nodes (logarithmic)",
        x_ticks: logarithmic(&NODES),
        y_title: "time (logarithmic)",
        spread: Spread::Logarithmic,
        show: tick,
        series: on_logarithm(series.into()),
    };
    page.plot("engine.svg", &chart);
}

/// Says which results no section shows: benchmarks that are new, or were renamed or removed.
pub fn unknown(page: &mut Page, all: &Benchmarks) {
    let mut known: Vec<String> = BATCHES.iter().map(|(name, _, _)| (*name).to_owned()).collect();
    known.extend(["packet/parse", "packet/emit"].map(str::to_owned));
    known.extend(each(&POOLS, &FILLED, |pool, filled| {
        format!("assign_and_release/{}/{filled}", pool.0)
    }));
    known.extend(each(&ANSWERS, &ADDRESSES, |(name, _), addresses| {
        format!("packet/{name}/{addresses}")
    }));
    known.extend(each(&EVENTS, &NODES, |(name, _), nodes| format!("{ENGINE}/{name}/{nodes}")));
    for name in all.keys().filter(|name| !known.contains(name)) {
        page.note(format!("no section shows the benchmark \"{name}\""));
    }
}

/// Every one with every one.
fn each<A, B, T>(left: &[A], right: &[B], make: impl Fn(&A, &B) -> T) -> Vec<T> {
    left.iter()
        .flat_map(|left| right.iter().map(|right| make(left, right)).collect::<Vec<_>>())
        .collect()
}

fn rows(page: &mut Page, all: &Benchmarks, expected: &Expected) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (name, words) in expected {
        match all.get(name) {
            Some(measured) => rows.push(row(words, measured)),
            None => page.note(format!("there is no result of the benchmark \"{name}\"")),
        }
    }
    rows
}

fn row(words: &str, measured: &Measured) -> Vec<String> {
    let Measured { median, low, high, samples } = *measured;
    vec![words.to_owned(), duration(median), interval(median, low, high), samples.to_string()]
}

fn series(all: &Benchmarks, name: &str, at: &[u32], id: impl Fn(u32) -> String) -> Series {
    let point = |&x: &u32| {
        let Measured { median, low, high, .. } = *all.get(&id(x))?;
        Some(Point { x: f64::from(x), y: median, bounds: Some((low, high)) })
    };
    Series {
        name: name.to_owned(),
        mark: Mark::Line,
        points: at.iter().filter_map(point).collect(),
    }
}

fn on_logarithm(mut series: Vec<Series>) -> Vec<Series> {
    for point in series.iter_mut().flat_map(|series| &mut series.points) {
        point.x = point.x.log10();
    }
    series
}

fn logarithmic(values: &[u32]) -> Vec<(f64, String)> {
    values.iter().map(|&value| (f64::from(value).log10(), count(value.into()))).collect()
}

/// Of all benchmarks whose names begin so.
fn subtitle(all: &Benchmarks, prefix: &str) -> String {
    let samples =
        || all.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, of)| of.samples);
    let n = match (samples().min().unwrap_or(0), samples().max().unwrap_or(0)) {
        (least, most) if least == most => format!("n = {most}"),
        (least, most) => format!("n = {least} to {most}"),
    };
    format!("medians with their 95 % confidence intervals; {n} samples each")
}

/// A duration as a tick says it: `20 ns`.
fn tick(nanoseconds: f64) -> String {
    let text = duration(nanoseconds);
    let Some((value, unit)) = text.split_once(' ') else { return text };
    value.parse().map_or(text.clone(), |value| format!("{} {unit}", plain(value)))
}
