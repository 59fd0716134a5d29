//! What a Service asks for.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crds::model::ids::{PoolName, ServiceKey};
use crds::model::range::Family;
use crds::model::selector::Labels;

use super::refusal::Refusal;

/// A Service that wants an address, reduced to what the decision needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The Service.
    pub key: ServiceKey,
    /// The Service's labels, which pools select by.
    pub labels: Labels,
    /// How many addresses, of which families.
    pub need: Need,
    /// The addresses asked for.
    pub wanted: Wanted,
    /// The pool asked for.
    pub wanted_pool: Option<PoolName>,
    /// The ports it will be reached on.
    pub ports: BTreeSet<Port>,
    /// Whom it may share an address with; `None`: nobody.
    pub sharing: Option<Sharing>,
}

/// The families a Service needs, which are those of its cluster IPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// One address of this family.
    Single(Family),
    /// One of each, or less if the policy allows.
    Dual {
        /// Whether one alone will do.
        policy: Policy,
        /// The family that goes first when only one can be had.
        primary: Family,
    },
}

/// `spec.ipFamilyPolicy` of a Service with two cluster IPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Two addresses if possible.
    Prefer,
    /// Two addresses or none.
    Require,
}

impl Need {
    /// Whether exactly these families satisfy it.
    pub fn is_met_by(self, families: &BTreeSet<Family>) -> bool {
        match self {
            Self::Single(family) => *families == BTreeSet::from([family]),
            Self::Dual { policy, primary: _ } => match policy {
                Policy::Prefer => !families.is_empty(),
                Policy::Require => families.len() == 2,
            },
        }
    }

    /// Whether an address of each of exactly these families may be asked for by value. Unlike
    /// [`is_met_by`](Self::is_met_by), PreferDualStack relaxes nothing here; so it is in MetalLB.
    pub fn allows_asking_for(self, families: &BTreeSet<Family>) -> bool {
        match self {
            Self::Single(family) => *families == BTreeSet::from([family]),
            Self::Dual { .. } => families.len() == 2,
        }
    }
}

/// The addresses a Service asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// None in particular.
    Any,
    /// Exactly these, in this order; never empty.
    These(Vec<IpAddr>),
    /// What it asks for cannot be understood. An address it has already is kept.
    Unreadable(Refusal),
}

/// Whom a Service may share an address with: those with an equal value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sharing {
    /// The annotation's value; never empty.
    pub key: String,
    /// What traffic policy `Local` would send to the wrong pods if it differed: the selector of a
    /// `Local` Service, else empty.
    pub backend: String,
}

/// A port a Service is reached on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The number.
    pub number: u16,
}

/// A transport protocol. The same number under two of them is two ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, and anything that is not one of the others.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// `TCP/80`
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        };
        write!(f, "{protocol}/{}", self.number)
    }
}

/// The families of `addresses`.
pub fn families(addresses: &[IpAddr]) -> BTreeSet<Family> {
    addresses.iter().copied().map(Family::of).collect()
}

/// Whether a Service can have all of `addresses` at once.
///
/// # Errors
/// More than two, or two of one family.
pub fn together(addresses: &[IpAddr]) -> Result<(), Refusal> {
    if addresses.len() > 2 {
        return Err(Refusal::TooMany(addresses.to_vec()));
    }
    if families(addresses).len() != addresses.len() {
        return Err(Refusal::SameFamily(addresses.to_vec()));
    }
    Ok(())
}
