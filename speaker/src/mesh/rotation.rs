//! A change of the key while all hear one another.
//!
//! The key comes as a file from a Secret, which the kubelets bring up to date one after the other, within a
//! minute or two. So a speaker that sees another key opens with it at once, goes on sealing with the former
//! one until everybody must have seen it, and opens with the former one until nobody can seal with it.

use std::time::Duration;

use super::seal::{Keyring, SecretKey};
use crate::limits;
use crate::moment::Moment;

/// A new key seals after this: the kubelet looks at a Secret once a minute, and keeps what it saw for as long
/// again (`syncFrequency`, and its cache with the watching strategy or a time to live).
pub const SEALS_AFTER: Duration = Duration::from_mins(2);
/// A former key opens for so long.
pub const OPENS_FOR: Duration = Duration::from_mins(10);
const _: () = assert!(OPENS_FOR.as_secs() >= 2 * SEALS_AFTER.as_secs());

/// The keys in force.
#[derive(Debug)]
pub struct Rotation {
    /// Those of the file.
    current: Keyring,
    /// Those that were in it, and until when they open.
    former: Vec<(SecretKey, Moment)>,
    /// What seals until then, instead of the current one.
    seals: Option<(SecretKey, Moment)>,
}

impl Rotation {
    /// These keys, and none before them.
    pub const fn new(keys: Keyring) -> Self {
        Self { current: keys, former: Vec::new(), seals: None }
    }

    /// The file has these keys now; whether they are others than before.
    pub fn change(&mut self, keys: Keyring, now: Moment) -> bool {
        if self.current == keys {
            return false;
        }
        let sealing = self.sealing().clone();
        let before = std::mem::replace(&mut self.current, keys);
        let (seals_from, opens_until) = (now + SEALS_AFTER, now + OPENS_FOR);
        let before = before.all().cloned().chain([sealing.clone()]);
        for key in before {
            self.former.retain(|(former, _)| *former != key);
            self.former.push((key, opens_until));
        }
        let current = &self.current;
        self.former.retain(|(key, _)| current.all().all(|now| now != key));
        let surplus = self.former.len().saturating_sub(limits::FORMER_KEYS);
        self.former.drain(..surplus);
        // Of several changes in a row the first counts: what seals now must not outlive what opens it.
        let until = self.seals.take().map_or(seals_from, |(_, until)| until);
        self.seals = (sealing != *self.current.sealing()).then_some((sealing, until));
        true
    }

    /// Whether other keys are in force by now.
    pub fn tick(&mut self, now: Moment) -> bool {
        let before = (self.seals.is_some(), self.former.len());
        self.seals.take_if(|(_, until)| *until <= now);
        self.former.retain(|(_, until)| *until > now);
        before != (self.seals.is_some(), self.former.len())
    }

    /// What seals.
    pub fn sealing(&self) -> &SecretKey {
        self.seals.as_ref().map_or(self.current.sealing(), |(key, _)| key)
    }

    /// All that open.
    pub fn opening(&self) -> impl Iterator<Item = &SecretKey> {
        self.current.all().chain(self.former.iter().map(|(key, _)| key))
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub fn next_deadline(&self) -> Option<Moment> {
        let former = self.former.iter().map(|(_, until)| *until);
        former.chain(self.seals.as_ref().map(|(_, until)| *until)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SecretKey {
        SecretKey::derive(&[n; 16])
    }

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn opens(rotation: &Rotation, n: u8) -> bool {
        rotation.opening().any(|opening| *opening == key(n))
    }

    /// One has seen the new key and the other has not yet; at every moment each opens what the other seals.
    #[test]
    fn speakers_that_see_a_new_key_up_to_two_minutes_apart_hear_one_another_throughout() {
        for late in [1, 30, 119] {
            let (mut first, mut last) =
                (Rotation::new(key(1).into()), Rotation::new(key(1).into()));
            for second in 0..1_000 {
                if second == 10 {
                    assert!(first.change(key(2).into(), at(second)));
                }
                if second == 10 + late {
                    assert!(last.change(key(2).into(), at(second)));
                }
                first.tick(at(second));
                last.tick(at(second));
                for (from, to) in [(&first, &last), (&last, &first)] {
                    let heard = to.opening().any(|key| key == from.sealing());
                    assert!(heard, "{late} s apart, after {second} s");
                }
            }
            assert!(!opens(&first, 1) && !opens(&last, 1), "the former key is not taken any more");
            assert!(*first.sealing() == key(2) && first.next_deadline().is_none());
        }
    }

    #[test]
    fn what_seals_opens_and_two_keys_in_the_file_need_no_waiting() {
        let mut rotation = Rotation::new(Keyring::new(key(1), Some(key(2))));
        assert!(!rotation.change(Keyring::new(key(1), Some(key(2))), at(1)), "nothing is new");
        assert_eq!(rotation.next_deadline(), None);
        assert!(rotation.change(Keyring::new(key(2), Some(key(1))), at(2)));
        assert!(*rotation.sealing() == key(1));
        assert_eq!(rotation.next_deadline(), Some(at(2) + SEALS_AFTER));
        assert!(rotation.tick(at(2) + SEALS_AFTER) && *rotation.sealing() == key(2));
    }

    /// A tool that writes a new key with each of its rounds.
    #[test]
    fn keys_without_end_fill_nothing_and_what_seals_is_opened_by_those_who_see_the_same() {
        let mut rotation = Rotation::new(key(0).into());
        for n in 1..=200 {
            rotation.change(key(n).into(), at(u64::from(n) * 10));
            rotation.tick(at(u64::from(n) * 10));
            let sealing = rotation.sealing().clone();
            assert!(rotation.opening().any(|opening| *opening == sealing), "{n}");
            assert!(rotation.opening().count() <= limits::FORMER_KEYS + 1);
        }
    }
}
