//! Whether this agent is in touch, and until when its ports may answer: the dead man's deadline.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::model::ids::IfIndex;

use super::super::effect::Effect;
use super::Peers;
use crate::moment::Moment;
use crate::ownership::life::Life;

/// How long answers may be given after the last proof that this agent is in touch. Longer than the
/// watch needs to find out that a member has lost its agent, shorter than a second: so long two may
/// answer after a suspended machine wakes up.
const PROVEN_FOR: Duration = Duration::from_millis(600);
/// Frames that arrived this recently show that a link works.
const FRAMES_COUNT_FOR: Duration = Duration::from_secs(1);
/// A member that is alone shows that it is no hung process this often.
const ALONE_TICK: Duration = Duration::from_millis(200);

/// What shows that this agent is in touch.
#[derive(Debug)]
pub(super) struct Touch {
    /// When the latest question that was answered had been asked.
    proof: Option<Moment>,
    /// Frames of any host arrived since this moment, by the counters.
    frames: Option<Moment>,
    counted: Option<(Moment, BTreeMap<IfIndex, u64>)>,
    /// Until when the ports may answer, as last told to them.
    renewed: Moment,
    next_alone: Moment,
}

impl Touch {
    pub(super) const fn new(now: Moment) -> Self {
        Self { proof: None, frames: None, counted: None, renewed: Moment::START, next_alone: now }
    }

    pub(super) const fn proof(&self) -> Option<Moment> {
        self.proof
    }

    pub(super) const fn frames(&self) -> Option<Moment> {
        self.frames
    }

    /// When one that is alone says so again.
    pub(super) const fn next_alone(&self) -> Moment {
        self.next_alone
    }

    /// A question of the moment `asked` was answered.
    pub(super) fn prove(&mut self, asked: Moment) {
        self.proof = self.proof.max(Some(asked));
    }

    /// How many frames each link has received.
    fn count(&mut self, counts: BTreeMap<IfIndex, u64>, now: Moment) {
        if let Some((since, before)) = &self.counted {
            let grew =
                |(link, count): (&IfIndex, &u64)| before.get(link).is_some_and(|b| count > b);
            if counts.iter().any(grew) {
                self.frames = Some(*since);
            }
        }
        self.counted = Some((now, counts));
    }

    /// Whether other hosts are heard, so that a link works.
    fn hears_hosts(&self, now: Moment) -> bool {
        self.frames.is_some_and(|since| now.since(since) <= FRAMES_COUNT_FOR)
    }

    /// Whether it is time for one that is alone to say so.
    fn tick(&mut self, now: Moment) -> bool {
        let is_due = now >= self.next_alone;
        if is_due {
            self.next_alone = now + ALONE_TICK;
        }
        is_due
    }

    /// Two ticks before the end: of frames, the first only gives a count to compare with.
    fn ends_soon(&self, now: Moment) -> bool {
        self.renewed < now + PROVEN_FOR * 3 / 4
    }

    /// Until when the ports may answer, if that is longer than they were told.
    fn renew(&mut self, is_alone: bool, now: Moment) -> Option<Moment> {
        let alone = is_alone.then(|| now + PROVEN_FOR);
        // Whoever hears other hosts is not cut off, though the last member may just have died.
        let heard = self.proof.max(self.frames);
        let until = heard.map(|heard| heard + PROVEN_FOR).max(alone);
        let until = until.filter(|until| *until > self.renewed)?;
        self.renewed = until;
        Some(until)
    }
}

impl Peers {
    /// How many frames each link has received.
    pub(in crate::engine) fn counted(&mut self, counts: BTreeMap<IfIndex, u64>, now: Moment) {
        if self.health.counted(&counts, now) {
            self.tell_links();
        }
        self.touch.count(counts, now);
    }

    /// Lets the ports go on while this agent is in touch with others, or while there are none.
    pub(super) fn renew(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let is_tick = self.touch.tick(now);
        let is_lonely = self.lives.is_empty() && self.mesh.expects_others();
        if is_tick && (is_lonely || self.touch.ends_soon(now)) && !effects.contains(&Effect::Count)
        {
            effects.push(Effect::Count);
        }
        let is_alone = (is_tick || self.touch.ends_soon(now)) && self.is_alone(now);
        let is_alone = is_alone || self.never_lapses;
        effects.extend(self.touch.renew(is_alone, now).map(Effect::Renew));
    }

    /// Whether there is nobody to be in touch with, and that is known for certain.
    pub(super) fn is_alone(&self, now: Moment) -> bool {
        if self.lives.is_empty() && self.mesh.expects_others() {
            // None of those who should be there was ever heard. If other hosts are, the link works.
            return self.touch.hears_hosts(now);
        }
        self.lives.iter().all(|(node, life)| match life {
            Life::Gone | Life::Hidden => true,
            Life::Away => self.hung_up(node),
            Life::Present | Life::Suspected => false,
        })
    }

    /// Whether the ports have stopped answering because nobody was in touch.
    pub(in crate::engine) fn is_lapsed(&self, now: Moment) -> bool {
        now > self.touch.renewed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::after_start(Duration::from_millis(ms))
    }

    #[test]
    fn an_answer_proves_as_much_as_the_moment_of_its_question() {
        let mut touch = Touch::new(at(0));
        touch.prove(at(1_000));
        assert_eq!(touch.renew(false, at(1_080)), Some(at(1_600)));
        touch.prove(at(900));
        assert_eq!(touch.renew(false, at(1_090)), None, "an older question says nothing new");
        assert_eq!(touch.renew(true, at(1_100)), Some(at(1_700)));
    }

    #[test]
    fn frames_count_from_the_look_before_the_one_that_shows_them() {
        let counts = |n| BTreeMap::from([(IfIndex(1), n)]);
        let mut touch = Touch::new(at(0));
        touch.count(counts(5), at(100));
        assert_eq!(touch.frames(), None, "there is nothing to compare with");
        touch.count(counts(5), at(200));
        assert_eq!(touch.frames(), None);
        touch.count(counts(6), at(300));
        assert_eq!(touch.frames(), Some(at(200)));
        assert!(touch.hears_hosts(at(1_200)) && !touch.hears_hosts(at(1_201)));
    }
}
