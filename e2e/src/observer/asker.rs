//! The observer's thread: asks, listens, and hands over what it heard after each round.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::Socket;

use super::family::Family;
use super::said::{Kind, Said};
use super::{Shared, now};
use crate::raw;
use crate::trace::{Announcement, Answer, Late, Trace};

/// Less is no lateness worth a record.
const LATE: Duration = Duration::from_millis(2);

/// The thread's side.
pub(super) struct Asker {
    /// One or both.
    pub(super) families: Vec<Family>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) known: BTreeSet<IpAddr>,
    pub(super) interval: Duration,
}

/// A frame, and the socket it goes out by.
type Question<'a> = (&'a Socket, Vec<u8>);

/// What was seen since it was last handed over.
#[derive(Default)]
struct Batch {
    asks: Vec<Duration>,
    answers: Vec<Answer>,
    announcements: Vec<Announcement>,
    late: Vec<Late>,
}

/// Addresses asked for in one go. More at once would fill queues on the way, and who answers for
/// thousands is not asked for all of them in the same instant by real clients either.
const AT_ONCE: usize = 64;

impl Asker {
    pub(super) fn run(&self, shared: &Shared) -> Result<()> {
        // Ahead of the machine's other work: a late observer sees gaps that nobody made.
        raw::prefer_this_thread();
        let question = |ip: &IpAddr| {
            self.families.iter().find_map(|family| Some((&family.socket, family.question(*ip)?)))
        };
        let questions: Vec<Question<'_>> = self.addresses.iter().filter_map(question).collect();
        let mut batch = Batch::default();
        let mut due = Instant::now();
        while !shared.stop.load(Ordering::Relaxed) {
            let by = due.elapsed();
            // Whole intervals missed are skipped and counted, not made up for in a burst.
            let mut skipped = 0;
            while due.elapsed() >= self.interval {
                due += self.interval;
                skipped += 1;
            }
            let at = now()?.saturating_sub(shared.zero);
            batch.asks.push(at);
            if by > LATE || skipped > 0 {
                batch.late.push(Late { at, by, skipped });
            }
            let groups = u32::try_from(questions.len().div_ceil(AT_ONCE)).unwrap_or(1).max(1);
            for (group, begin) in questions.chunks(AT_ONCE).zip(1..) {
                ask(group)?;
                self.listen_until(due + self.interval / groups * begin, shared.zero, &mut batch)?;
            }
            due += self.interval;
            self.listen_until(due, shared.zero, &mut batch)?;
            // Never waits for a test that looks: then it is handed over at the next tick.
            if let Ok(mut trace) = shared.trace.try_lock() {
                hand_over(&mut trace, std::mem::take(&mut batch));
            }
        }
        // What is still on its way belongs to the last ask.
        self.listen_until(Instant::now() + self.interval, shared.zero, &mut batch)?;
        let mut trace = shared.lock();
        hand_over(&mut trace, batch);
        trace.end = now()?.saturating_sub(shared.zero);
        Ok(())
    }

    fn listen_until(&self, due: Instant, zero: Duration, batch: &mut Batch) -> Result<()> {
        let sockets: Vec<&Socket> = self.families.iter().map(|family| &family.socket).collect();
        let mut frame = [0; 2048];
        loop {
            let mut silent = true;
            for family in &self.families {
                match raw::receive(&family.socket, &mut frame) {
                    Ok((length, at)) => {
                        silent = false;
                        let said = frame.get(..length).and_then(|frame| family.read(frame));
                        if let Some(said) = said {
                            self.note(said, family.own, at.saturating_sub(zero), batch);
                        }
                    }
                    // The link went down; the socket works again when it is up.
                    Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => silent = false,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error).context("listening"),
                }
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Frames in a flood must not keep the next question waiting.
                return Ok(());
            }
            if silent {
                raw::wait_readable(&sockets, left)?;
            }
        }
    }

    /// `own`: where it was asked from.
    fn note(&self, said: Said, own: IpAddr, at: Duration, batch: &mut Batch) {
        let Said { kind, ip, mac, frame_source, to } = said;
        if !self.known.contains(&ip) {
            return;
        }
        match kind {
            Kind::Answer if to == Some(own) => {
                batch.answers.push(Answer { at, ip, mac, frame_source });
            }
            Kind::GratuitousRequest | Kind::GratuitousReply | Kind::Unsolicited | Kind::Probe => {
                batch.announcements.push(Announcement { at, ip, mac, kind });
            }
            Kind::Answer | Kind::Question => {}
        }
    }
}

fn ask(questions: &[Question<'_>]) -> Result<()> {
    for (socket, frame) in questions {
        match socket.send(frame) {
            // A full queue or a downed link is an ask without an answer.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(error).context("asking");
            }
            _ => {}
        }
    }
    Ok(())
}

fn hand_over(trace: &mut Trace, batch: Batch) {
    let Batch { asks, answers, announcements, late } = batch;
    trace.end = asks.last().copied().unwrap_or(trace.end);
    trace.asks.extend(asks);
    trace.late.extend(late);
    merge(&mut trace.answers, answers, |it| it.at);
    merge(&mut trace.announcements, announcements, |it| it.at);
}

/// Adds what came by several sockets, each in its own order, to what is in order.
fn merge<T>(all: &mut Vec<T>, new: Vec<T>, at: impl Fn(&T) -> Duration) {
    let Some(first) = new.iter().map(&at).min() else { return };
    let from = all.partition_point(|it| at(it) <= first);
    all.extend(new);
    all[from..].sort_by_key(at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_sockets_heard_is_put_in_order() {
        let times =
            |all: &[u64]| all.iter().copied().map(Duration::from_millis).collect::<Vec<_>>();
        let mut all = times(&[1, 5, 9]);
        merge(&mut all, times(&[10, 11, 8, 9, 12]), |at| *at);
        assert_eq!(all, times(&[1, 5, 8, 9, 9, 10, 11, 12]));
        merge(&mut all, vec![], |at| *at);
        assert_eq!(all.len(), 8);
    }
}
