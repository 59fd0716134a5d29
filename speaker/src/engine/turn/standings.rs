//! How the Services of a group stand, by what this member does for the group.

use crds::model::ids::NodeName;

use super::{Role, Turn};
use crate::engine::cluster::Share;
use crate::engine::standing::{Announcement, Standing};
use crate::ownership::Why;

impl Turn<'_> {
    /// How one Service of a group stands by the verdict on the whole.
    pub(super) fn standing(&self, share: &Share<'_>, verdict: &Result<Role, Why>) -> Standing {
        match verdict {
            Err(why) => Standing::Silent(why.clone()),
            Ok(Role::Owner) => self.announced(share, None),
            Ok(Role::Holder(owner)) => self.announced(share, Some(owner)),
            // Of a group that has just been united some may be held here.
            Ok(Role::Deputy(owner)) if self.holds_some(share) => self.announced(share, Some(owner)),
            Ok(Role::Deputy(owner)) => self.deputising(share, owner),
        }
    }

    fn holds_some(&self, share: &Share<'_>) -> bool {
        let announcement = self.announcement(share).ok();
        let mut addresses = announcement.iter().flat_map(|it| &it.addresses);
        addresses.any(|address| self.peers.book().held(address).is_some())
    }

    fn announced(&self, share: &Share<'_>, owner: Option<&NodeName>) -> Standing {
        let book = self.peers.book();
        let mut announcement = match self.announcement(share) {
            Ok(announcement) => announcement,
            Err(why) => return Standing::Silent(why),
        };
        announcement.addresses.retain(|address| book.held(address).is_some());
        if let Some(owner) = owner.filter(|_| announcement.addresses.is_empty()) {
            return Standing::Silent(Why::OtherNode(owner.clone()));
        }
        let held = announcement.addresses.iter().filter_map(|address| book.held(address));
        announcement.claim = held.map(|held| held.counter).max().unwrap_or(0);
        Standing::Announced(announcement)
    }

    fn deputising(&self, share: &Share<'_>, owner: &NodeName) -> Standing {
        let mut announcement = match self.announcement(share) {
            Ok(announcement) => announcement,
            Err(why) => return Standing::Silent(why),
        };
        // Of a group that has just been united some may be held by another who is there.
        let held = self.peers.book().of(owner).map(|statement| &statement.holdings);
        announcement
            .addresses
            .retain(|address| held.is_some_and(|held| held.contains_key(address)));
        if announcement.addresses.is_empty() {
            return Standing::Silent(Why::OtherNode(owner.clone()));
        }
        let macs = self.peers.macs_of(owner);
        Standing::Deputising { owner: owner.clone(), macs, announcement }
    }

    fn announcement(&self, share: &Share<'_>) -> Result<Announcement, Why> {
        self.cluster.announcement(share, self.peers.book().me(), self.ports)
    }
}
