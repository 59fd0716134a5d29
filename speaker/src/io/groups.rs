//! Multicast groups that this node listens to because of the IPv6 addresses announced on it.
//!
//! A solicitation goes to the target's group, not to everybody, and a switch that looks into MLD
//! (RFC 4541) passes it on only to ports that asked for that group. So the kernel is made to join:
//! it reports the membership, answers the switch's queries, and opens the network card's filter. A
//! membership lasts as long as its socket, through times when the link is down; it needs no privilege.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv6Addr;

use crds::model::ids::IfIndex;
use socket2::{Domain, Socket, Type};

/// Memberships of one socket. Each takes 64 bytes or so of `net.core.optmem_max`, 20,480 bytes on
/// kernels before 6.9: some 300 fit (tried, see `netns_neighbours`).
const PER_SOCKET: usize = 100;

/// A group on a link.
pub type Membership = (IfIndex, Ipv6Addr);

/// All groups joined.
#[derive(Debug, Default)]
pub struct Groups {
    sockets: Vec<Holder>,
    /// On which of the sockets.
    joined: BTreeMap<Membership, usize>,
    /// What the kernel refused, so that it is logged once. Tried again each time.
    refused: BTreeSet<Membership>,
}

/// A socket that does nothing but hold memberships.
#[derive(Debug)]
struct Holder {
    socket: Socket,
    memberships: usize,
}

impl Groups {
    /// Joins and leaves until exactly `wanted` are joined, as far as the kernel allows.
    pub fn set(&mut self, wanted: &BTreeSet<Membership>) {
        let gone: Vec<Membership> =
            self.joined.keys().filter(|membership| !wanted.contains(membership)).copied().collect();
        for membership in gone {
            self.leave(membership);
        }
        self.refused.retain(|membership| wanted.contains(membership));
        for &(link, group) in wanted {
            if self.joined.contains_key(&(link, group)) {
                continue;
            }
            match self.join((link, group)) {
                Ok(()) => _ = self.refused.remove(&(link, group)),
                Err(error) if self.refused.insert((link, group)) => {
                    tracing::warn!(interface = %link, %group, %error, "cannot join a group");
                }
                Err(_) => {}
            }
        }
    }

    /// How many are joined.
    pub fn len(&self) -> usize {
        self.joined.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty()
    }

    fn join(&mut self, (link, group): Membership) -> io::Result<()> {
        let free = self.sockets.iter().position(|holder| holder.memberships < PER_SOCKET);
        let place = if let Some(place) = free {
            place
        } else {
            let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
            self.sockets.push(Holder { socket, memberships: 0 });
            self.sockets.len() - 1
        };
        let holder = &mut self.sockets[place];
        holder.socket.join_multicast_v6(&group, link.0)?;
        holder.memberships += 1;
        self.joined.insert((link, group), place);
        Ok(())
    }

    fn leave(&mut self, (link, group): Membership) {
        let Some(place) = self.joined.remove(&(link, group)) else { return };
        let holder = &mut self.sockets[place];
        holder.memberships -= 1;
        // A link that is gone has taken its memberships along.
        let _gone = holder.socket.leave_multicast_v6(&group, link.0);
    }
}
