//! What an observer saw, and what it means: how long an address went unanswered, who owned it when,
//! whether two answered at once. Pure functions over plain records; times count from the start.
//!
//! Neither ARP nor neighbour discovery numbers its questions, so who answered when is told by the
//! time from one ask to the next. On a slow machine an answer may fall into the next ask's time: a
//! gap of one interval means nothing. How long a client waits, gaps say; whether an ask was answered
//! at all, `unanswered` does, which matches answers with asks.

mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::observer::{Kind, Mac};

/// A reply to one of the observer's questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub at: Duration,
    pub ip: IpAddr,
    /// The MAC that the message speaks of: what the asker's neighbour cache takes.
    pub mac: Mac,
    /// The source of the Ethernet frame, which a switch learns from.
    pub frame_source: Mac,
}

/// Something said without having been asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    pub at: Duration,
    pub ip: IpAddr,
    pub mac: Mac,
    pub kind: Kind,
}

/// A time in which an address was asked for and nobody answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gap {
    /// The first ask that went unanswered.
    pub from: Duration,
    /// The next answer, or the end of the trace.
    pub to: Duration,
    pub asks: usize,
}

impl Gap {
    pub fn length(&self) -> Duration {
        self.to.saturating_sub(self.from)
    }
}

/// Another owner answers (first) than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub at: Duration,
    pub from: Mac,
    pub to: Mac,
}

/// A time in which two or more answered for one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rivalry {
    pub from: Duration,
    pub to: Duration,
    pub macs: BTreeSet<Mac>,
    /// Asks that several answered.
    pub asks: usize,
    /// Those of them for which the ask before was answered too, so that none of the answers can be
    /// a late one to that.
    pub sure: usize,
}

impl Rivalry {
    /// How long it lasted; each ask stands for the time to the next.
    pub fn length(&self, interval: Duration) -> Duration {
        self.to.saturating_sub(self.from) + interval
    }
}

/// An ask that the observer made late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    pub at: Duration,
    pub by: Duration,
    /// Whole intervals in which it did not ask at all.
    pub skipped: usize,
}

/// Everything an observer saw.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    pub interval: Duration,
    pub addresses: Vec<IpAddr>,
    /// When the addresses were asked for, all of them each time.
    pub asks: Vec<Duration>,
    pub answers: Vec<Answer>,
    pub announcements: Vec<Announcement>,
    /// When the observer itself was late.
    pub late: Vec<Late>,
    pub end: Duration,
    names: BTreeMap<Mac, String>,
}

/// One ask for one address.
#[derive(Debug)]
struct Round {
    asked: Duration,
    /// Who answered first, and when.
    first: Option<(Duration, Mac)>,
    macs: BTreeSet<Mac>,
}

/// An answer that comes later than this is none.
const TOO_LATE: Duration = Duration::from_millis(100);

impl Trace {
    pub fn empty(addresses: &[IpAddr], interval: Duration) -> Self {
        Self { addresses: addresses.to_vec(), interval, ..Self::default() }
    }

    /// Whose MAC this is, for the timeline.
    pub fn name(&mut self, mac: Mac, name: &str) {
        self.names.insert(mac, name.to_owned());
    }

    /// The answers for one address.
    pub fn answers_for(&self, ip: IpAddr) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(move |answer| answer.ip == ip)
    }

    /// Who answered for an address, and how often.
    pub fn answerers(&self, ip: IpAddr) -> BTreeMap<Mac, usize> {
        let mut count = BTreeMap::new();
        for answer in self.answers_for(ip) {
            *count.entry(answer.mac).or_default() += 1;
        }
        count
    }

    /// Who answered last for an address at this time.
    pub fn owner_at(&self, ip: IpAddr, at: Duration) -> Option<Mac> {
        self.answers_for(ip).take_while(|answer| answer.at <= at).last().map(|answer| answer.mac)
    }

    /// The first answer by somebody else than `owner`, after `instant`.
    pub fn first_answer_by_other(
        &self,
        ip: IpAddr,
        owner: Mac,
        instant: Duration,
    ) -> Option<Answer> {
        self.answers_for(ip).find(|answer| answer.at > instant && answer.mac != owner).copied()
    }

    /// All times without an answer.
    pub fn gaps(&self, ip: IpAddr) -> Vec<Gap> {
        let mut found = Vec::new();
        let mut open: Option<Gap> = None;
        for round in self.rounds(ip) {
            match (round.first, &mut open) {
                (Some((at, _)), _) => found.extend(open.take().map(|gap| Gap { to: at, ..gap })),
                (None, Some(gap)) => gap.asks += 1,
                (None, None) => {
                    open = Some(Gap { from: round.asked, to: self.end, asks: 1 });
                }
            }
        }
        found.extend(open);
        found
    }

    /// The asks that nobody answered, not even late. Every machine answers each ask once at most and
    /// in their order. So its last answer is to the last ask before it, the one before that to an
    /// earlier ask, and so on: an ask that is lost stays without one, and answers that were held up
    /// all find their own.
    pub fn unanswered(&self, ip: IpAddr) -> Vec<Duration> {
        let mut asks = self.asks.as_slice();
        if let Some((last, before)) = asks.split_last()
            && !self.has_had_its_time(*last)
        {
            asks = before;
        }
        let mut answered = vec![false; asks.len()];
        let answers: Vec<&Answer> = self.answers_for(ip).collect();
        // For each machine, the earliest ask that it is known to have answered.
        let mut earliest: BTreeMap<Mac, usize> = BTreeMap::new();
        for answer in answers.into_iter().rev() {
            let taken = earliest.entry(answer.frame_source).or_insert(asks.len());
            let before = asks.partition_point(|ask| *ask <= answer.at).min(*taken);
            let Some(ask) = before.checked_sub(1) else { continue };
            if answer.at <= asks[ask] + TOO_LATE {
                answered[ask] = true;
                *taken = ask;
            }
        }
        let all = asks.iter().zip(answered);
        all.filter(|(_, answered)| !answered).map(|(ask, _)| *ask).collect()
    }

    /// The longest time without an answer; zero when every ask was answered.
    pub fn longest_gap(&self, ip: IpAddr) -> Gap {
        self.gaps(ip).into_iter().max_by_key(Gap::length).unwrap_or_default()
    }

    /// Every time another owner answered first than the time before.
    pub fn changes(&self, ip: IpAddr) -> Vec<Change> {
        changes(self.rounds(ip).iter().filter_map(|round| round.first))
    }

    /// Every time another answered alone than the time before. While an address is handed over both
    /// answer, now the one first and now the other.
    pub fn moves(&self, ip: IpAddr) -> Vec<Change> {
        let rounds = self.rounds(ip);
        let alone = rounds.iter().filter(|round| round.macs.len() == 1);
        changes(alone.filter_map(|round| round.first))
    }

    /// Times in which several answered; asks less than ten intervals apart count as one time.
    pub fn rivalries(&self, ip: IpAddr) -> Vec<Rivalry> {
        let mut found: Vec<Rivalry> = Vec::new();
        let mut answered_before = true;
        for round in self.rounds(ip) {
            if round.macs.len() > 1 {
                let sure = usize::from(answered_before);
                match found.last_mut() {
                    Some(last) if round.asked < last.to + self.interval * 10 => {
                        last.to = round.asked;
                        last.macs.extend(round.macs);
                        last.asks += 1;
                        last.sure += sure;
                    }
                    _ => found.push(Rivalry {
                        from: round.asked,
                        to: round.asked,
                        macs: round.macs,
                        asks: 1,
                        sure,
                    }),
                }
            }
            answered_before = round.first.is_some();
        }
        found
    }

    /// The shortest time between answers of two machines for an address; `None` if only one answered.
    pub fn closest_rivals(&self, ip: IpAddr) -> Option<Duration> {
        let answers: Vec<&Answer> = self.answers_for(ip).collect();
        let pairs = answers.windows(2).filter(|pair| pair[0].mac != pair[1].mac);
        pairs.map(|pair| pair[1].at.saturating_sub(pair[0].at)).min()
    }

    /// What was said unasked about an address.
    pub fn announcements_of(&self, ip: IpAddr) -> impl Iterator<Item = &Announcement> {
        self.announcements.iter().filter(move |it| it.ip == ip)
    }

    /// Whether, since then, every address had one answerer and no gap worth the name; else why not.
    pub fn steady_since(&self, instant: Duration) -> Result<(), String> {
        // Only the end of a long trace is looked at: this is asked again and again.
        let tail = self.since(instant);
        if tail.asks.len() < 2 {
            return Err("nothing was asked yet".to_owned());
        }
        for &ip in &tail.addresses {
            let macs: Vec<_> = tail.answerers(ip).into_keys().map(|mac| self.called(mac)).collect();
            if macs.len() != 1 {
                return Err(format!("{ip} is answered by {macs:?}"));
            }
            let gap = tail.longest_gap(ip);
            if gap.asks > 5 {
                return Err(format!("{ip} went unanswered for {:?}", gap.length()));
            }
        }
        Ok(())
    }

    /// How late the observer was at worst. Judge a trace only when this is small.
    pub fn lag(&self) -> Duration {
        self.late.iter().map(|late| late.by).max().unwrap_or_default()
    }

    /// Intervals in which it did not ask at all, being late.
    pub fn skipped(&self) -> usize {
        self.late.iter().map(|late| late.skipped).sum()
    }

    /// The trace from this time on.
    #[must_use]
    pub fn since(&self, instant: Duration) -> Self {
        let first = self.asks.partition_point(|ask| *ask < instant);
        // Up to the first ask that is kept, an answer belongs to one that is not.
        let from = self.asks.get(first).copied().unwrap_or(self.end);
        let answer = self.answers.partition_point(|answer| answer.at < from);
        let said = self.announcements.partition_point(|it| it.at < from);
        let late = self.late.partition_point(|late| late.at < from);
        Self {
            asks: self.asks[first..].to_vec(),
            answers: self.answers[answer..].to_vec(),
            announcements: self.announcements[said..].to_vec(),
            late: self.late[late..].to_vec(),
            addresses: self.addresses.clone(),
            names: self.names.clone(),
            ..*self
        }
    }

    fn called(&self, mac: Mac) -> String {
        self.names.get(&mac).map_or_else(|| mac.to_string(), Clone::clone)
    }

    /// Whether this ask, the last one, could have been answered before the end.
    fn has_had_its_time(&self, last: Duration) -> bool {
        self.end >= last + self.interval
    }

    /// Each ask with its answers. The last ask counts only if it had its time.
    fn rounds(&self, ip: IpAddr) -> Vec<Round> {
        let mut answers = self.answers_for(ip).peekable();
        let mut rounds = Vec::with_capacity(self.asks.len());
        for (index, &asked) in self.asks.iter().enumerate() {
            let next = self.asks.get(index + 1).copied();
            if next.is_none() && !self.has_had_its_time(asked) {
                break;
            }
            let mut round = Round { asked, first: None, macs: BTreeSet::new() };
            while let Some(answer) = answers.next_if(|it| next.is_none_or(|next| it.at < next)) {
                round.first.get_or_insert((answer.at, answer.mac));
                round.macs.insert(answer.mac);
            }
            rounds.push(round);
        }
        rounds
    }
}

/// Where one answer is by another than the one before.
fn changes(answers: impl Iterator<Item = (Duration, Mac)>) -> Vec<Change> {
    let answers: Vec<_> = answers.collect();
    let pairs = answers.iter().zip(answers.iter().skip(1));
    pairs
        .filter(|((_, from), (_, to))| from != to)
        .map(|(&(_, from), &(at, to))| Change { at, from, to })
        .collect()
}

#[cfg(test)]
mod tests;
