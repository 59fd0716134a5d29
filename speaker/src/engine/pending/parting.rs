//! What was given up to somebody else: clients that knew it to be here are told who has it now.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crds::model::ids::{IfIndex, MacAddr, NodeName};

use super::Pending;
use crate::moment::Moment;

/// So long it is waited for word of where the winner of an address is.
const PARTING_WITHIN: Duration = Duration::from_secs(1);

/// After a return it takes a moment until all statements are known; what is told before that may be
/// wrong.
const SETTLING: Duration = Duration::from_millis(300);

/// An address that was given up.
#[derive(Debug)]
pub(super) struct Parted {
    address: IpAddr,
    winner: NodeName,
    since: Moment,
    /// The wire was asked where the winner is.
    sought: bool,
}

impl Parted {
    /// When clients are told at the latest.
    pub(super) fn told_by(&self) -> Moment {
        self.since + PARTING_WITHIN
    }
}

impl Pending {
    /// `address` was given up to `winner`, and clients may still know it to be here.
    pub(in crate::engine) fn part_with(&mut self, address: IpAddr, winner: NodeName, now: Moment) {
        self.parted.push(Parted { address, winner, since: now, sought: false });
    }

    /// `address` was given up while a member is missing.
    pub(in crate::engine) fn part_blindly(&mut self, address: IpAddr) {
        self.parted_blindly.insert(address);
    }

    /// A member is back: soon it will be known who has what, and told.
    pub(in crate::engine) fn retell_soon(&mut self, now: Moment) {
        if !self.parted_blindly.is_empty() {
            self.retold_at = Some(now + SETTLING);
        }
    }

    /// What was given up while somebody was missing and is to be told now.
    pub(in crate::engine) fn take_retold(&mut self, now: Moment) -> BTreeSet<IpAddr> {
        if self.retold_at.is_none_or(|at| now < at) {
            return BTreeSet::new();
        }
        self.retold_at = None;
        std::mem::take(&mut self.parted_blindly)
    }

    /// Whose places are still to be asked for; each is told once for what was given up.
    pub(in crate::engine) fn take_sought(&mut self) -> BTreeSet<NodeName> {
        let unsought = self.parted.iter_mut().filter(|parted| !parted.sought);
        let winner = |parted: &mut Parted| {
            parted.sought = true;
            parted.winner.clone()
        };
        unsought.map(winner).collect()
    }

    /// What was given up, as far as it is known where its winner is on all links: `macs` tells its
    /// MACs by link, and whether these are all. What is not known within a second never will be.
    pub(in crate::engine) fn take_parted(
        &mut self,
        now: Moment,
        macs: impl Fn(&NodeName) -> (BTreeMap<IfIndex, MacAddr>, bool),
    ) -> Vec<(IpAddr, BTreeMap<IfIndex, MacAddr>)> {
        let mut known = Vec::new();
        self.parted.retain(|parted| {
            let (macs, is_complete) = macs(&parted.winner);
            let waits = !is_complete && now < parted.told_by();
            if !waits {
                known.push((parted.address, macs));
            }
            waits
        });
        known
    }
}
