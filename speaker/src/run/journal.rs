//! What has been announced from here, for the log: an announcement that ends is told with its
//! addresses, which nobody knows any more when it ends.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crds::model::ids::ServiceKey;

use crate::engine::Standing;

/// The addresses announced from here, by Service.
#[derive(Debug, Default)]
pub(super) struct Journal(BTreeMap<ServiceKey, Vec<IpAddr>>);

impl Journal {
    /// `service` stands like this now; `None`: it is gone. Gives back the addresses that were
    /// announced for it until now and are no longer.
    pub(super) fn note(
        &mut self,
        service: &ServiceKey,
        standing: Option<&Standing>,
    ) -> Vec<IpAddr> {
        let now = standing.and_then(Standing::announcement);
        let now = now.map(|announcement| announcement.addresses.clone()).unwrap_or_default();
        let before = if now.is_empty() {
            self.0.remove(service)
        } else {
            self.0.insert(service.clone(), now.clone())
        };
        let mut withdrawn = before.unwrap_or_default();
        withdrawn.retain(|address| !now.contains(address));
        withdrawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Announcement;
    use crate::ownership::Why;

    #[test]
    fn what_ends_is_told_once_and_with_its_addresses() {
        const NONE: [IpAddr; 0] = [];
        let ip = |n: u8| IpAddr::from([192, 0, 2, n]);
        let announced = |addresses: &[u8]| {
            Standing::Announced(Announcement {
                uid: "u".to_owned(),
                addresses: addresses.iter().map(|n| ip(*n)).collect(),
                pool: "p".into(),
                interfaces: [].into(),
                links: [].into(),
                claim: 1,
            })
        };
        let mut journal = Journal::default();
        let mut note = |standing: Option<Standing>| {
            journal.note(&ServiceKey::new("a", "b"), standing.as_ref())
        };
        assert_eq!(note(Some(Standing::Silent(Why::NoEndpoints))), NONE);
        assert_eq!(note(Some(announced(&[1, 2]))), NONE);
        assert_eq!(note(Some(announced(&[2, 3]))), [ip(1)]);
        assert_eq!(note(Some(Standing::Silent(Why::NoEndpoints))), [ip(2), ip(3)]);
        assert_eq!(note(Some(Standing::Silent(Why::NoAddress))), NONE);
        assert_eq!(note(Some(announced(&[4]))), NONE);
        assert_eq!(note(None), [ip(4)]);
    }
}
