//! How many frames each link has received, from the kernel's own counters, when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::model::ids::IfIndex;
use futures::TryStreamExt as _;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::Handle;
use tokio::sync::mpsc;

use super::links::LinksError;
use crate::engine::Event;

/// A question takes a fraction of a millisecond; what takes longer than this comes too late to be of use.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Where to ask.
#[derive(Debug)]
pub struct Counts(mpsc::Sender<BTreeSet<IfIndex>>);

impl Counts {
    /// The place to ask, and the task that answers to `events` until nobody asks any more.
    ///
    /// # Errors
    /// The netlink socket could not be opened.
    pub fn new(
        events: mpsc::Sender<Event>,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), LinksError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(LinksError::Open)?;
        // Ends by itself when `handle` is dropped.
        tokio::spawn(connection);
        let (questions, asked) = mpsc::channel(1);
        Ok((Self(questions), answer(handle, asked, events)))
    }

    /// Asks about `links`. A question that is put while another waits is answered by that one.
    pub fn ask(&self, links: impl Iterator<Item = IfIndex>) {
        let _waiting = self.0.try_send(links.collect());
    }
}

async fn answer(
    handle: Handle,
    mut asked: mpsc::Receiver<BTreeSet<IfIndex>>,
    events: mpsc::Sender<Event>,
) {
    while let Some(links) = asked.recv().await {
        match tokio::time::timeout(TIMEOUT, count(&handle, &links)).await {
            Ok(Ok(counted)) => {
                if events.send(Event::Counted(counted)).await.is_err() {
                    return;
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "cannot read the links' counters"),
            Err(_) => tracing::warn!("reading the links' counters took too long"),
        }
    }
}

/// Each link by itself: a node has one for each of its pods, and these are of no interest.
async fn count(
    handle: &Handle,
    links: &BTreeSet<IfIndex>,
) -> Result<BTreeMap<IfIndex, u64>, rtnetlink::Error> {
    let mut counted = BTreeMap::new();
    for link in links {
        match handle.link().get().match_index(link.0).execute().try_next().await {
            Ok(message) => counted.extend(message.as_ref().and_then(received)),
            Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::ENODEV => {
                tracing::debug!(%link, "the link has gone since");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(counted)
}

fn received(message: &LinkMessage) -> Option<(IfIndex, u64)> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Stats64(stats) => Some((IfIndex(message.header.index), stats.rx_packets)),
        _ => None,
    })
}
