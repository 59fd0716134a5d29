//! The node's network interfaces, as netlink reports them.
//!
//! It only reports: each time something changes, a complete new list. Which links are used is
//! decided by [`crate::link`]. Nothing is polled; a deletion is reported within some 20 ms.
//!
//! Notifications are taken as a sign *that* something changed, never for *what*: some are partial
//! (wireless events), some mean something else (a port that leaves a bridge is announced by an
//! RTM_DELLINK of family AF_BRIDGE, though the link stays), and some get lost when the socket's
//! buffer overruns, which counts as one more sign. So each is followed by a dump. Subscribing comes
//! before the first dump, hence no change can fall between the two; a change during a dump brings
//! another dump.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use crds::model::ids::{IfIndex, MacAddr};
use futures::channel::mpsc::UnboundedReceiver;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use ipnetwork::IpNetwork;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::link::LinkFacts;

/// What changes the list: links come, go and change; addresses likewise.
const GROUPS: [MulticastGroup; 3] =
    [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];

/// The shortest time between two dumps. The first sign is followed at once; those that come within
/// this time are answered by one dump together (setting up one link makes a handful).
const PACE: Duration = Duration::from_millis(20);

/// A dump takes about a millisecond. One that hangs would leave us believing old facts for good,
/// so it ends the watch, and with it the process.
const DUMP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the watch ended.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// The netlink socket could not be opened.
    #[error("cannot open a netlink socket")]
    Open(#[source] io::Error),
    /// The kernel refused to list links or addresses.
    #[error("cannot list network links")]
    Dump(#[source] rtnetlink::Error),
    /// The kernel did not finish the list.
    #[error("listing network links took too long")]
    Timeout,
    /// The netlink socket has failed.
    #[error("the netlink connection ended")]
    Disconnected,
    /// Nobody wants to know any more.
    #[error("the receiver of link changes is gone")]
    Unwanted,
}

/// Sends the list of all links, ordered by index, now and whenever it differs from the last.
///
/// # Errors
/// Whatever ends it; see [`LinksError`]. It never ends otherwise.
pub async fn watch(links: mpsc::Sender<Vec<LinkFacts>>) -> Result<Infallible, LinksError> {
    let (connection, handle, mut signs) =
        rtnetlink::new_multicast_connection(&GROUPS).map_err(LinksError::Open)?;
    // Ends by itself when `handle` and `signs` are dropped.
    tokio::spawn(connection);
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = None;
    loop {
        pace.tick().await;
        swallow(&mut signs)?;
        let found = tokio::time::timeout(DUMP_TIMEOUT, dump(&handle))
            .await
            .map_err(|_| LinksError::Timeout)?
            .map_err(LinksError::Dump)?;
        if reported.as_ref() != Some(&found) {
            links.send(found.clone()).await.map_err(|_| LinksError::Unwanted)?;
            reported = Some(found);
        }
        signs.next().await.ok_or(LinksError::Disconnected)?;
    }
}

/// Takes away the signs that the coming dump answers.
fn swallow<M>(signs: &mut UnboundedReceiver<M>) -> Result<(), LinksError> {
    while let Some(sign) = signs.next().now_or_never() {
        sign.ok_or(LinksError::Disconnected)?;
    }
    Ok(())
}

async fn dump(handle: &Handle) -> Result<Vec<LinkFacts>, rtnetlink::Error> {
    let links: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
    let addresses: Vec<AddressMessage> = handle.address().get().execute().try_collect().await?;
    let mut found: BTreeMap<IfIndex, LinkFacts> =
        links.iter().filter_map(facts).map(|link| (link.index, link)).collect();
    for message in &addresses {
        if let (Some(link), Some(address)) =
            (found.get_mut(&IfIndex(message.header.index)), own_address(message))
        {
            link.addresses.push(address);
        }
    }
    let ordered = |mut link: LinkFacts| {
        link.addresses.sort_unstable();
        link
    };
    Ok(found.into_values().map(ordered).collect())
}

/// A link without a name is one that the kernel is just making or taking down.
fn facts(message: &LinkMessage) -> Option<LinkFacts> {
    let header = &message.header;
    let is_ethernet = header.link_layer_type == LinkLayerType::Ether;
    let mut link = LinkFacts {
        index: IfIndex(header.index),
        name: String::new(),
        mac: None,
        permanent_mac: None,
        up: header.flags.contains(LinkFlags::Up),
        carrier: header.flags.contains(LinkFlags::LowerUp),
        broadcast: header.flags.contains(LinkFlags::Broadcast),
        no_arp: header.flags.contains(LinkFlags::Noarp),
        loopback: header.flags.contains(LinkFlags::Loopback),
        master: None,
        addresses: vec![],
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) if is_ethernet => link.mac = mac(bytes),
            LinkAttribute::PermAddress(bytes) if is_ethernet => link.permanent_mac = mac(bytes),
            LinkAttribute::Controller(index) => link.master = Some(IfIndex(*index)),
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

fn mac(bytes: &[u8]) -> Option<MacAddr> {
    bytes.try_into().ok().map(MacAddr)
}

/// On a point-to-point link ADDRESS is the peer's and LOCAL ours; elsewhere IPv6 has ADDRESS only.
fn own_address(message: &AddressMessage) -> Option<IpNetwork> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    IpNetwork::new(local.or(address)?, message.header.prefix_len).ok()
}
