//! Which links of the node may answer ARP, and if not, why not.
//!
//! Pure: the facts come from [`crate::io::links`], the exclusions from configuration. It judges one
//! link by itself; which addresses are answered on it is not decided here.

use crds::model::ids::{IfIndex, MacAddr};
use ipnetwork::IpNetwork;
use regex::RegexSet;
use serde::{Deserialize, Serialize};

/// What the kernel says about one network interface.
#[expect(clippy::struct_excessive_bools, reason = "they are the kernel's flags, one by one")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFacts {
    /// Tells links apart, for as long as they exist.
    pub index: IfIndex,
    /// What users call it; may change, and may come back with another index.
    pub name: String,
    /// Its Ethernet address; `None` for links that are not Ethernet.
    pub mac: Option<MacAddr>,
    /// The address burnt into it, if the driver tells: a bond's slaves all show the bond's `mac`,
    /// but may speak with their own.
    pub permanent_mac: Option<MacAddr>,
    /// Set up by the administrator (`IFF_UP`).
    pub up: bool,
    /// A cable, a peer, an associated radio (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// Knows broadcast (`IFF_BROADCAST`).
    pub broadcast: bool,
    /// Must not speak ARP (`IFF_NOARP`).
    pub no_arp: bool,
    /// The loopback link (`IFF_LOOPBACK`).
    pub loopback: bool,
    /// The bridge, bond, team or VRF that it is part of.
    pub master: Option<IfIndex>,
    /// Its own addresses with prefix lengths, in order.
    pub addresses: Vec<IpNetwork>,
}

impl LinkFacts {
    /// An Ethernet link as it is when nothing is the matter with it: up, with carrier, by itself.
    pub fn ethernet(index: IfIndex, name: &str, mac: MacAddr) -> Self {
        Self {
            index,
            name: name.to_owned(),
            mac: Some(mac),
            permanent_mac: None,
            up: true,
            carrier: true,
            broadcast: true,
            no_arp: false,
            loopback: false,
            master: None,
            addresses: Vec::new(),
        }
    }
}

/// Names of links that are never used, as regular expressions. A pattern matches anywhere in the
/// name unless it is anchored, as in MetalLB.
#[derive(Debug, Clone)]
pub struct Exclusions(RegexSet);

/// What MetalLB excludes by default: links that container runtimes and network plug-ins make.
pub const DEFAULT_EXCLUSIONS: [&str; 14] = [
    "^docker.*",
    "^cbr.*",
    "^dummy.*",
    "^virbr.*",
    "^lxcbr.*",
    "^veth.*",
    "^lo$",
    "^cali.*",
    "^tunl.*",
    "^flannel.*",
    "^kube-ipvs.*",
    "^cni.*",
    "^nodelocaldns.*",
    "^lxc.*",
];

impl Exclusions {
    /// Compiles `patterns`; none at all excludes nothing.
    ///
    /// # Errors
    /// The first pattern that is no regular expression.
    pub fn new<P: AsRef<str>>(
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, Box<regex::Error>> {
        RegexSet::new(patterns).map(Self).map_err(Box::new)
    }

    /// The first pattern that matches `name`.
    pub fn excluding(&self, name: &str) -> Option<&str> {
        let first = self.0.matches(name).into_iter().next()?;
        self.0.patterns().get(first).map(String::as_str)
    }
}

/// Why a link may not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Ineligible {
    /// By configuration.
    #[error("its name matches the excluded pattern {pattern}")]
    Excluded {
        /// The first pattern that matches.
        pattern: String,
    },
    /// Not set up by the administrator.
    #[error("it is down")]
    Down,
    /// Up, but without carrier: nobody would hear us. MetalLB does not look at this, so a node with
    /// its cable out keeps its addresses there.
    #[error("it has no carrier")]
    NoCarrier,
    /// Part of a bridge, bond, team or VRF, which answers in its place.
    #[error("it is part of the link with index {master}")]
    Enslaved {
        /// The bridge, bond, team or VRF.
        master: IfIndex,
    },
    /// Told not to speak ARP.
    #[error("ARP is switched off on it")]
    NoArp,
    /// Point-to-point or loopback.
    #[error("it does not know broadcast")]
    NotBroadcast,
    /// No 48-bit Ethernet address, or only zeroes.
    #[error("it has no Ethernet address")]
    NoMac,
    /// The kernel does not give us a packet socket on it, or refuses the filter.
    #[error("its packet socket is refused: {error}")]
    Refused {
        /// The kernel's reason.
        error: String,
    },
    /// Somebody expects it, and there is none of that name.
    #[error("there is no interface of this name")]
    Missing,
}

impl Ineligible {
    /// A fixed word for logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Excluded { .. } => "excluded",
            Self::Down => "down",
            Self::NoCarrier => "no_carrier",
            Self::Enslaved { .. } => "enslaved",
            Self::NoArp => "no_arp",
            Self::NotBroadcast => "not_broadcast",
            Self::NoMac => "no_mac",
            Self::Refused { .. } => "refused",
            Self::Missing => "missing",
        }
    }
}

/// Judges a link; gives back the MAC it answers with. What the user can change comes first, what
/// changes by itself last, so that the reason does not flap with the carrier. An address of its own
/// is not needed.
///
/// # Errors
/// Why not.
pub fn eligible(link: &LinkFacts, exclusions: &Exclusions) -> Result<MacAddr, Ineligible> {
    if let Some(pattern) = exclusions.excluding(&link.name) {
        return Err(Ineligible::Excluded { pattern: pattern.to_owned() });
    }
    if let Some(master) = link.master {
        return Err(Ineligible::Enslaved { master });
    }
    if link.no_arp {
        return Err(Ineligible::NoArp);
    }
    if !link.broadcast || link.loopback {
        return Err(Ineligible::NotBroadcast);
    }
    let Some(mac) = link.mac.filter(|mac| *mac != MacAddr::ZERO && !mac.is_group()) else {
        return Err(Ineligible::NoMac);
    };
    if !link.up {
        return Err(Ineligible::Down);
    }
    if !link.carrier {
        return Err(Ineligible::NoCarrier);
    }
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn link(name: &str) -> LinkFacts {
        LinkFacts::ethernet(IfIndex(2), name, MAC)
    }

    fn defaults() -> Exclusions {
        Exclusions::new(DEFAULT_EXCLUSIONS).unwrap()
    }

    #[test]
    fn link_of_a_node_is_eligible_even_without_an_address() {
        for name in ["eth0", "enp3s0f1", "bond0", "br0", "eth0.100", "lo1", "wlan0"] {
            assert_eq!(eligible(&link(name), &defaults()), Ok(MAC), "{name}");
        }
    }

    #[test]
    fn links_of_container_networks_are_excluded_by_default() {
        for name in ["docker0", "veth12ab", "lo", "cali0", "cni0", "flannel.1", "lxc_health"] {
            let judged = eligible(&link(name), &defaults());
            assert_eq!(judged.unwrap_err().reason(), "excluded", "{name}");
        }
    }

    #[test]
    fn patterns_match_anywhere_in_the_name_unless_anchored() {
        let exclusions = Exclusions::new(["th1", "^x"]).unwrap();
        assert_eq!(exclusions.excluding("eth1"), Some("th1"));
        assert_eq!(exclusions.excluding("ex"), None);
        assert_eq!(Exclusions::new([""; 0]).unwrap().excluding("lo"), None);
        assert!(Exclusions::new(["("]).is_err());
    }

    #[test]
    fn each_obstacle_has_its_own_reason() {
        let with = |change: fn(&mut LinkFacts)| {
            let mut link = link("eth0");
            change(&mut link);
            eligible(&link, &defaults()).unwrap_err()
        };
        assert_eq!(with(|link| link.up = false), Ineligible::Down);
        assert_eq!(with(|link| link.carrier = false), Ineligible::NoCarrier);
        assert_eq!(with(|link| link.no_arp = true), Ineligible::NoArp);
        assert_eq!(with(|link| link.broadcast = false), Ineligible::NotBroadcast);
        assert_eq!(with(|link| link.loopback = true), Ineligible::NotBroadcast);
        assert_eq!(with(|link| link.mac = None), Ineligible::NoMac);
        assert_eq!(with(|link| link.mac = Some(MacAddr::ZERO)), Ineligible::NoMac);
        let enslaved = with(|link| link.master = Some(IfIndex(9)));
        assert_eq!(enslaved, Ineligible::Enslaved { master: IfIndex(9) });
    }
}
