//! Prints a trace for a person who wants to know why a test failed: per address, who answered from
//! when to when, and what was announced.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::{Announcement, Trace};
use crate::observer::Kind;

/// More lines than this per address hide more than they show.
const LINES: usize = 40;

/// Consecutive asks with the same answer.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    from: Duration,
    to: Duration,
    /// Who answered, by name; empty for nobody.
    who: Vec<String>,
    asks: usize,
}

fn seconds(time: Duration) -> String {
    format!("{:9.3}", time.as_secs_f64())
}

fn runs(trace: &Trace, ip: IpAddr) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for round in trace.rounds(ip) {
        let who: Vec<String> = round.macs.iter().map(|mac| trace.called(*mac)).collect();
        match runs.last_mut() {
            Some(last) if last.who == who => {
                last.to = round.asked;
                last.asks += 1;
            }
            _ => runs.push(Run { from: round.asked, to: round.asked, who, asks: 1 }),
        }
    }
    // A single silent ask between two of the same owner is a late answer, and no news.
    let mut folded: Vec<Run> = Vec::new();
    let mut runs = runs.into_iter().peekable();
    while let Some(run) = runs.next() {
        let noise = run.who.is_empty()
            && run.asks == 1
            && folded.last().map(|last| &last.who) == runs.peek().map(|next| &next.who);
        match folded.last_mut() {
            Some(last) if noise || last.who == run.who => {
                last.to = run.to;
                last.asks += run.asks;
            }
            _ => folded.push(run),
        }
    }
    folded
}

fn said(trace: &Trace, announcement: &Announcement) -> String {
    let what = match announcement.kind {
        Kind::GratuitousRequest => "request",
        Kind::GratuitousReply => "reply",
        Kind::Unsolicited => "advertisement",
        Kind::Probe => "probe",
        Kind::Answer | Kind::Question => "?",
    };
    format!("{} {} {what}", seconds(announcement.at), trace.called(announcement.mac))
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "trace: {} addresses, asked for {} times every {:?}, {:.3} s; the observer was {:?} \
             late at worst and skipped {} asks",
            self.addresses.len(),
            self.asks.len(),
            self.interval,
            self.end.as_secs_f64(),
            self.lag(),
            self.skipped(),
        )?;
        for &ip in &self.addresses {
            writeln!(f, "  {ip}")?;
            let runs = runs(self, ip);
            for run in runs.iter().take(LINES) {
                let who = match run.who.as_slice() {
                    [] => "nobody".to_owned(),
                    [one] => one.clone(),
                    several => format!("{} AT ONCE", several.join(" and ")),
                };
                let (from, to) = (seconds(run.from), seconds(run.to));
                writeln!(f, "    {from} - {to}  {who} ({} asks)", run.asks)?;
            }
            if let Some(more) = runs.len().checked_sub(LINES + 1) {
                writeln!(f, "    ... and {} more", more + 1)?;
            }
            let announcements: Vec<_> = self.announcements_of(ip).collect();
            for announcement in announcements.iter().take(LINES) {
                writeln!(f, "    announced: {}", said(self, announcement))?;
            }
            if let Some(more) = announcements.len().checked_sub(LINES + 1) {
                writeln!(f, "    announced: ... and {} more", more + 1)?;
            }
        }
        Ok(())
    }
}
