//! A set of addresses, kept as maximal runs: the next address *not* in it is found by one look at
//! the run that covers the start, however many addresses the set or the pool holds.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crds::model::range::{Family, from_number, to_number};

/// A set of addresses of both families.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    /// First to last address of each run; no two touch or overlap.
    runs: BTreeMap<(Family, u128), u128>,
}

impl Runs {
    /// Adds `address`; it may be in the set already.
    pub fn insert(&mut self, address: IpAddr) {
        let (family, number) = (Family::of(address), to_number(address));
        if self.run_over(family, number).is_some() {
            return;
        }
        let mut first = number;
        let mut last = number;
        if let Some(before) = number.checked_sub(1)
            && let Some((start, _)) = self.run_over(family, before)
        {
            first = start;
        }
        if let Some(end) =
            number.checked_add(1).and_then(|after| self.runs.remove(&(family, after)))
        {
            last = end;
        }
        self.runs.insert((family, first), last);
    }

    /// Removes `address`, if it is there.
    pub fn remove(&mut self, address: IpAddr) {
        let (family, number) = (Family::of(address), to_number(address));
        let Some((first, last)) = self.run_over(family, number) else {
            return;
        };
        if number == first {
            self.runs.remove(&(family, first));
        } else {
            self.runs.insert((family, first), number - 1);
        }
        if number < last {
            self.runs.insert((family, number + 1), last);
        }
    }

    /// Whether `address` is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.run_over(Family::of(address), to_number(address)).is_some()
    }

    /// The lowest address from `from` to `to` that is not in the set; both of `family`.
    pub fn next_free(&self, family: Family, from: u128, to: u128) -> Option<IpAddr> {
        let free = match self.run_over(family, from) {
            // Runs are maximal: what follows one is not in the set.
            Some((_, last)) => last.checked_add(1)?,
            None => from,
        };
        (free <= to).then(|| from_number(family, free))
    }

    fn run_over(&self, family: Family, number: u128) -> Option<(u128, u128)> {
        let mut before = self.runs.range((family, 0)..=(family, number));
        let (&(_, first), &last) = before.next_back()?;
        (number <= last).then_some((first, last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use super::*;

    fn ip(number: u8) -> IpAddr {
        Ipv4Addr::new(0, 0, 0, number).into()
    }

    #[test]
    fn runs_that_touch_become_one() {
        let mut runs = Runs::default();
        for number in [1, 3, 2] {
            runs.insert(ip(number));
        }
        assert_eq!(runs.runs.len(), 1);
        assert_eq!(runs.next_free(Family::V4, 1, 9), Some(ip(4)));
    }

    #[test]
    fn the_ends_of_the_number_line_are_safe() {
        let mut runs = Runs::default();
        for text in ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "255.255.255.255"] {
            let address: IpAddr = text.parse().unwrap();
            runs.insert(address);
            assert!(runs.contains(address));
        }
        assert_eq!(runs.next_free(Family::V6, u128::MAX, u128::MAX), None);
        let last = u128::from(u32::MAX);
        assert_eq!(runs.next_free(Family::V4, last, last), None);
    }

    #[test]
    fn the_families_do_not_mix() {
        let mut runs = Runs::default();
        runs.insert("0.0.0.5".parse().unwrap());
        assert!(!runs.contains("::5".parse().unwrap()));
        assert_eq!(runs.next_free(Family::V6, 5, 9), Some("::5".parse().unwrap()));
    }

    proptest::proptest! {
        #[test]
        fn it_is_a_set(operations: Vec<(bool, u8)>, from: u8, to: u8) {
            let (mut runs, mut model) = (Runs::default(), BTreeSet::new());
            for (add, number) in operations {
                if add {
                    runs.insert(ip(number));
                    model.insert(number);
                } else {
                    runs.remove(ip(number));
                    model.remove(&number);
                }
            }
            for number in 0..=u8::MAX {
                proptest::prop_assert_eq!(runs.contains(ip(number)), model.contains(&number));
            }
            let expected = (from..=to).find(|number| !model.contains(number)).map(ip);
            proptest::prop_assert_eq!(runs.next_free(Family::V4, from.into(), to.into()), expected);
        }
    }
}
