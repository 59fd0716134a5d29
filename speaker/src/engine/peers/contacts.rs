//! When each member last answered this one, by this machine's own clock: what others say of the time
//! in which they missed us shows whether that clock stood still.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::model::ids::NodeName;

use crate::moment::Moment;

/// What the clocks of two machines may differ in: a verdict takes so long, and so does a return.
const CLOCKS_DIFFER: Duration = Duration::from_millis(700);
/// A gap counts for this long after its end: until then the other side knows of its end, too.
const GAP_COUNTS_FOR: Duration = Duration::from_secs(3);

/// All members that ever answered.
#[derive(Debug, Default)]
pub(super) struct Contacts(BTreeMap<NodeName, Contact>);

#[derive(Debug)]
struct Contact {
    /// When the latest question that was answered had been asked.
    last: Moment,
    /// How long it had not answered before, if that was long, and when it did again.
    gap: Option<(Duration, Moment)>,
}

impl Contacts {
    /// `node` has answered a question of the moment `asked`.
    pub(super) fn answered(&mut self, node: &NodeName, asked: Moment) {
        // Of the time before it first answered nothing is known.
        let first = || Contact { last: asked, gap: Some((Duration::MAX, asked)) };
        let contact = self.0.entry(node.clone()).or_insert_with(first);
        let gap = asked.since(contact.last);
        if gap > CLOCKS_DIFFER {
            contact.gap = Some((gap, asked));
        }
        contact.last = contact.last.max(asked);
    }

    /// There is no such node any more.
    pub(super) fn forget(&mut self, node: &NodeName) {
        self.0.remove(node);
    }

    /// Whether `node`, which has missed us for so long, answered us in that time: then it is our
    /// clock that stood still, and this machine was suspended. Said once.
    pub(super) fn stood_still(&mut self, node: &NodeName, missed: Duration, now: Moment) -> bool {
        let Some(contact) = self.0.get(node) else { return false };
        let recent = contact.gap.filter(|(_, end)| now.since(*end) < GAP_COUNTS_FOR);
        let silence = now.since(contact.last).max(recent.map_or(Duration::ZERO, |(gap, _)| gap));
        let stood_still = silence.saturating_add(CLOCKS_DIFFER) < missed;
        if stood_still {
            self.0.remove(node);
        }
        stood_still
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::START + Duration::from_millis(ms)
    }

    #[test]
    fn a_clock_that_stood_still_is_found_out_once() {
        let node = NodeName::from("n2");
        let mut contacts = Contacts::default();
        contacts.answered(&node, at(1_000));
        assert!(!contacts.stood_still(&node, Duration::from_secs(10), at(1_100)), "first contact");
        for second in 2..=10 {
            contacts.answered(&node, at(500 * second));
        }
        assert!(!contacts.stood_still(&node, Duration::from_millis(500), at(5_100)));
        assert!(contacts.stood_still(&node, Duration::from_secs(10), at(5_100)));
        assert!(!contacts.stood_still(&node, Duration::from_secs(10), at(5_100)), "said once");
    }

    #[test]
    fn a_cut_that_both_noticed_is_none() {
        let node = NodeName::from("n2");
        let mut contacts = Contacts::default();
        contacts.answered(&node, at(1_000));
        assert!(!contacts.stood_still(&node, Duration::from_secs(10), at(11_000)));
        contacts.answered(&node, at(11_050));
        assert!(!contacts.stood_still(&node, Duration::from_secs(10), at(11_100)));
    }
}
