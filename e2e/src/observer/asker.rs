//! The observer's thread: asks, listens, and hands over what it heard after each round.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::Socket;

use super::arp::{self, Arp, Kind, Mac};
use super::{Shared, now};
use crate::raw;
use crate::trace::{Announcement, Answer, Late, Trace};

/// Less is no lateness worth a record.
const LATE: Duration = Duration::from_millis(2);

/// The thread's side.
pub(super) struct Asker {
    pub(super) socket: Socket,
    pub(super) mac: Mac,
    pub(super) ip: Ipv4Addr,
    pub(super) addresses: Vec<Ipv4Addr>,
    pub(super) known: BTreeSet<Ipv4Addr>,
    pub(super) interval: Duration,
}

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
        let questions: Vec<_> =
            self.addresses.iter().map(|ip| Arp::request(self.mac, self.ip, *ip)).collect();
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
                self.ask(group)?;
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

    fn ask(&self, questions: &[[u8; arp::LENGTH]]) -> Result<()> {
        for question in questions {
            match self.socket.send(question) {
                // A full queue or a downed link is an ask without an answer.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err(error).context("asking");
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn listen_until(&self, due: Instant, zero: Duration, batch: &mut Batch) -> Result<()> {
        let mut frame = [0; 2048];
        loop {
            match raw::receive(&self.socket, &mut frame) {
                Ok((length, at)) => {
                    let arp = frame.get(..length).and_then(Arp::parse);
                    if let Some(arp) = arp {
                        self.note(arp, at.saturating_sub(zero), batch);
                    }
                }
                // The link went down; the socket works again when it is up.
                Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = due.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(());
                    }
                    raw::wait_readable(&self.socket, left)?;
                }
                Err(error) => return Err(error).context("listening"),
            }
            if Instant::now() >= due {
                // Frames in a flood must not keep the next question waiting.
                return Ok(());
            }
        }
    }

    fn note(&self, arp: Arp, at: Duration, batch: &mut Batch) {
        let Arp { kind, frame_source, sender_mac: mac, sender_ip, target_ip } = arp;
        match kind {
            Kind::Answer if target_ip == self.ip && self.known.contains(&sender_ip) => {
                batch.answers.push(Answer { at, ip: sender_ip, mac, frame_source });
            }
            Kind::GratuitousRequest | Kind::GratuitousReply if self.known.contains(&sender_ip) => {
                batch.announcements.push(Announcement { at, ip: sender_ip, mac, kind });
            }
            Kind::Probe if self.known.contains(&target_ip) => {
                batch.announcements.push(Announcement { at, ip: target_ip, mac, kind });
            }
            Kind::Answer
            | Kind::GratuitousRequest
            | Kind::GratuitousReply
            | Kind::Probe
            | Kind::Question => {}
        }
    }
}

fn hand_over(trace: &mut Trace, batch: Batch) {
    let Batch { asks, answers, announcements, late } = batch;
    trace.end = asks.last().copied().unwrap_or(trace.end);
    trace.asks.extend(asks);
    trace.answers.extend(answers);
    trace.announcements.extend(announcements);
    trace.late.extend(late);
}
