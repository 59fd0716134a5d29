//! The page as a whole: its frame, the machine, the sizes. The sections that need more are in
//! modules of their own.

use std::fmt::Write as _;

use crate::chart::Chart;
use crate::field::{self, COLUMN};
use crate::input::{Input, Run};
use crate::number::count;
use crate::{failover, in_lab, micro, on_wire};

/// What is to be published, and what has to be said aloud.
#[derive(Debug, Default)]
pub struct Page {
    pub text: String,
    /// File names and contents, for the folder beside the page.
    pub plots: Vec<(&'static str, String)>,
    pub notes: Vec<String>,
}

/// Every plot that any page may have.
pub const PLOTS: [&str; 7] = [
    "allocation.svg",
    "respond.svg",
    "engine.svg",
    "arp.svg",
    "failover.svg",
    "failover-cable.svg",
    "failover-silent.svg",
];

/// As wide as the other pages.
const LINE: usize = 108;

const INTRODUCTION: &str = "\
<!-- Written by `make bench` and `make bench-failover`. What is changed here by hand is lost. -->

# Performance

`make bench` and `make bench-failover` measure all this and write this page. Every figure is from the
machine and the runs named below, except in columns headed *MetalLB 0.16.1, another run*. Those were measured
on another day, in a lab of the same kind: three worker nodes in network namespaces of one machine with two
cores. Compare their size, not their last digit. Where such a column is empty, there is no figure to set
beside ours.

*n* is how often something was measured. Where many calls make one sample, it is the number of samples.
";

impl Page {
    pub fn of(input: &Input) -> Self {
        let mut page = Self { text: INTRODUCTION.to_owned(), ..Self::default() };
        page.notes = input.missing.iter().map(|file| format!("there is no {file}")).collect();
        page.machine(input);
        micro::allocation(&mut page, &input.benchmarks);
        micro::packet(&mut page, &input.benchmarks);
        micro::engine(&mut page, &input.benchmarks);
        micro::unknown(&mut page, &input.benchmarks);
        if let Some(wire) = &input.wire {
            on_wire::section(&mut page, wire);
            let here = (&input.machine.kernel, input.machine.cores);
            if (&wire.kernel, wire.cores) != here {
                page.note("arp_wire.json comes from another machine or kernel than this one");
            }
        } else {
            page.left_out("On the wire");
        }
        if let Some(scale) = &input.scale {
            in_lab::section(&mut page, scale);
        } else {
            page.left_out("1,000 Services in a cluster");
        }
        if let Some(faults) = &input.failover {
            failover::section(&mut page, faults);
        } else {
            page.left_out("When something fails");
        }
        page.sizes(input);
        page
    }

    /// Said when the page is made; nothing of it is in the page.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub fn left_out(&mut self, section: &str) {
        self.note(format!("no figures: the section \"{section}\" is LEFT OUT of the page"));
    }

    pub fn heading(&mut self, text: &str) {
        self.paragraph(&format!("## {text}"));
    }

    /// Broken into lines between words.
    pub fn paragraph(&mut self, text: &str) {
        let mut length = 0;
        self.text.push('\n');
        for word in text.split(' ') {
            let more = word.chars().count() + 1;
            let fits = length + more <= LINE + 1;
            self.text.push_str(match length {
                0 => "",
                _ if fits => " ",
                _ => "\n",
            });
            length = if fits { length + more } else { more };
            self.text.push_str(word);
        }
        self.text.push('\n');
    }

    /// The first column is text, the others are figures.
    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        self.columns(header, " ---: |", rows);
    }

    fn columns(&mut self, header: &[&str], rule: &str, rows: &[Vec<String>]) {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let header: Vec<String> = header.iter().map(|&cell| cell.to_owned()).collect();
        let rule = format!("| --- |{}\n", rule.repeat(header.len() - 1));
        let rows: String = rows.iter().map(|row| line(row)).collect();
        // Writing to a string does not fail.
        let _ = write!(self.text, "\n{}{rule}{rows}", line(&header));
    }

    pub fn plot(&mut self, file: &'static str, chart: &Chart<'_>) {
        self.paragraph(&format!("![{}](performance/{file})", chart.title));
        self.plots.push((file, chart.svg()));
    }

    fn machine(&mut self, input: &Input) {
        let machine = &input.machine;
        let cores = format!("{} cores", machine.cores);
        let processor = match &machine.processor {
            Some(name) => format!("{name}, {cores}"),
            None => cores,
        };
        self.heading("The machine and the runs");
        let rows = [
            ("Processor", processor),
            ("Kernel", format!("Linux {}", machine.kernel)),
            ("Compiler", machine.compiler.clone()),
            ("Page made on", input.date.clone()),
        ];
        let rows: Vec<_> =
            rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
        self.columns(&["Machine", ""], " --- |", &rows);
        let runs = [
            (
                "Code, and the wire",
                &input.micro_run,
                !input.benchmarks.is_empty() || input.wire.is_some(),
            ),
            ("The lab", &input.lab_run, input.scale.is_some()),
            ("Faults", &input.failover_run, input.failover.is_some()),
        ];
        let mut rows = Vec::new();
        for (name, run, has_figures) in runs {
            match run {
                Some(run) if has_figures => rows.push(circumstances(name, run)),
                None if has_figures => self.note(format!(
                    "\"{name}\": date, commit and load of its figures are not known; e2e/bench notes them"
                )),
                Some(_) | None => {}
            }
        }
        if !rows.is_empty() {
            self.columns(&["Run", "Date", "Commit", "Load average before it"], " --- |", &rows);
        }
        let runs = [&input.micro_run, &input.lab_run, &input.failover_run];
        let commits: Vec<_> = runs.into_iter().flatten().map(|run| &run.commit).collect();
        if commits.windows(2).any(|pair| pair[0] != pair[1]) {
            self.note("the runs were made from DIFFERENT commits; the page says which");
        }
    }

    fn sizes(&mut self, input: &Input) {
        if input.sizes.is_empty() {
            return self.left_out("Size");
        }
        self.heading("Size");
        self.paragraph("In bytes. Programs are static and stripped; images hold nothing else.");
        let rows: Vec<_> = input
            .sizes
            .iter()
            .map(|size| {
                let theirs = field::SIZES.iter().find(|(what, _)| *what == size.what);
                let theirs = theirs.map_or_else(String::new, |(_, bytes)| count(*bytes));
                vec![size.what.to_owned(), count(size.bytes), theirs]
            })
            .collect();
        self.table(&["", "ferrolb", COLUMN], &rows);
    }
}

fn circumstances(name: &str, run: &Run) -> Vec<String> {
    let commit = run.commit.clone().unwrap_or_else(|| "unknown".to_owned());
    vec![name.to_owned(), run.date.clone(), commit, run.load_average_at_start.clone()]
}
