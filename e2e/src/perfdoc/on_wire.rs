//! The section on answering ARP on a link, beside the kernel's own responder.

use crate::axis::{Spread, plain};
use crate::chart::{Chart, Mark, Point, Series};
use crate::field::{self, COLUMN};
use crate::number::{count, fixed, significant};
use crate::page::Page;
use crate::wire::{Responder, Wire};

pub fn section(page: &mut Page, wire: &Wire) {
    let rows = &wire.answering.rows;
    let Some(kernel) = wire.kernel_responder() else {
        page.note("arp_wire.json has no row of the kernel, which all is compared to");
        return page.left_out("On the wire");
    };
    page.heading("On the wire");
    page.paragraph(&format!(
        "A client asks over a veth pair; the machine's own kernel, or the speaker's port, answers. There is \
         no cluster, and nothing else on the link, while MetalLB's figures are from a cluster's bridge with \
         three speakers on it: what compares is the ratio to the kernel on the same wire. The load average \
         before it was {}.",
        wire.load_average_at_start.split(' ').next().unwrap_or_default()
    ));
    page.paragraph(
        "Round trips, one request at a time: medians of the runs' own p50 and p99. *n* is runs × round trips; \
         in the other run 3 × 10,000.",
    );
    let trips: Vec<_> = rows.iter().map(|row| round_trip(row, kernel)).collect();
    let header = ["Who answers", "n", "p50, µs", "p99, µs", "p50 to the kernel's", COLUMN];
    page.table(&header, &trips);
    page.plot("arp.svg", &chart(rows));
    page.paragraph(
        "Load, 32 requests in flight: replies a second, the median of *n* runs, and the lowest and highest; \
         in the other run the median of 3.",
    );
    let loads: Vec<_> = rows.iter().map(|row| load(row, kernel)).collect();
    let header =
        ["Who answers", "n", "Replies/s", "Lowest to highest", "Lost", "To the kernel's", COLUMN];
    page.table(&header, &loads);
    flood(page, wire);
}

fn theirs(row: &Responder) -> Option<(&'static field::Answering, &'static field::Answering)> {
    let [kernel, ..] = &field::ANSWERING;
    field::ANSWERING
        .iter()
        .find(|theirs| theirs.beside == row.addresses)
        .map(|theirs| (theirs, kernel))
}

fn round_trip(row: &Responder, kernel: &Responder) -> Vec<String> {
    let theirs = theirs(row).map(|(theirs, kernel)| {
        let times = theirs.p50_us / kernel.p50_us;
        format!(
            "{}: p50 {}, p99 {}; {} ×",
            theirs.who,
            plain(theirs.p50_us),
            plain(theirs.p99_us),
            fixed(times, 1)
        )
    });
    vec![
        row.name.clone(),
        format!("{} × {}", row.repeats, count(row.round_trips_each)),
        significant(row.rtt_p50_us),
        significant(row.rtt_p99_us),
        format!("{} ×", fixed(row.rtt_p50_us / kernel.rtt_p50_us, 2)),
        theirs.unwrap_or_default(),
    ]
}

fn load(row: &Responder, kernel: &Responder) -> Vec<String> {
    let runs = || row.replies_per_second_runs.iter().copied();
    let (lowest, highest) = (runs().fold(f64::INFINITY, f64::min), runs().fold(0.0, f64::max));
    let theirs = theirs(row).map(|(theirs, kernel)| {
        let share = theirs.replies_per_second / kernel.replies_per_second * 100.0;
        format!("{}: {}; {} %", theirs.who, fixed(theirs.replies_per_second, 0), fixed(share, 0))
    });
    vec![
        row.name.clone(),
        row.replies_per_second_runs.len().to_string(),
        fixed(row.replies_per_second, 0),
        format!("{} to {}", fixed(lowest, 0), fixed(highest, 0)),
        count(row.lost),
        format!("{} %", fixed(row.replies_per_second / kernel.replies_per_second * 100.0, 0)),
        theirs.unwrap_or_default(),
    ]
}

fn flood(page: &mut Page, wire: &Wire) {
    let flood = &wire.flood;
    page.paragraph(&format!(
        "A flood of {} requests a second for nobody's address, {} s long: CPU time in % of one core, \
         medians of n = {} runs. On a veth pair the receiving kernel's work, our filter included, is done in \
         the sender's time. The empty filter drops everything: what any packet socket for ARP costs.",
        count(flood.rate),
        flood.seconds,
        flood.repeats
    ));
    let rows: Vec<_> = flood
        .rows
        .iter()
        .map(|row| {
            let is_own = row.cpu.starts_with("the responder");
            let is_alike = flood.rate == 20_000 && flood.seconds == 10;
            vec![
                row.cpu.clone(),
                if is_own { "-".to_owned() } else { significant(row.none) },
                significant(row.empty_filter),
                significant(row.port),
                if is_own && is_alike { field::FLOOD.to_owned() } else { String::new() },
            ]
        })
        .collect();
    let header = ["CPU time", "No responder", "Empty filter", "ferrolb, 10,000 addresses", COLUMN];
    page.table(&header, &rows);
}

fn chart(rows: &[Responder]) -> Chart<'static> {
    let places = || (0..).map(f64::from).zip(rows);
    let series = |name: &str, of: fn(&Responder) -> f64| Series {
        name: name.to_owned(),
        mark: Mark::Labelled,
        points: places().map(|(x, row)| Point { x, y: of(row), bounds: None }).collect(),
    };
    let n: Vec<_> = rows.iter().map(|row| (row.repeats, row.round_trips_each)).collect();
    let n = n.first().filter(|first| n.iter().all(|other| other == *first));
    let n = n.map_or("see the table".to_owned(), |(runs, trips)| {
        format!("{runs} runs × {}", count(*trips))
    });
    Chart {
        title: "ARP round trip on a veth pair",
        subtitle: format!("p50 and p99, each the median of the runs; n = {n} round trips each"),
        x_title: "who answers",
        x_ticks: places().map(|(x, row)| (x, row.name.clone())).collect(),
        y_title: "time, µs",
        spread: Spread::Linear,
        show: plain,
        series: vec![series("p50", |row| row.rtt_p50_us), series("p99", |row| row.rtt_p99_us)],
    }
}
