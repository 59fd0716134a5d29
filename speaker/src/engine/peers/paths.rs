//! How to reach the others: by the mesh, and on which link at which MAC. That two links share a
//! segment is measured, never inferred from their subnets: a frame has come over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::model::ids::{IfIndex, MacAddr, NodeName};

use super::super::effect::Effect;
use super::Peers;
use crate::limits;
use crate::moment::Moment;
use crate::ownership::word::Word;

/// A path that a frame came over this recently is taken to work.
const FRESH: Duration = Duration::from_secs(2);

/// The paths to each member that were measured.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// When a frame of it last came over each path.
    frames: BTreeMap<NodeName, BTreeMap<(IfIndex, MacAddr), Moment>>,
    /// At which MAC its kernel answered on each of our links.
    kernels: BTreeMap<NodeName, BTreeMap<IfIndex, MacAddr>>,
}

impl Paths {
    /// A frame of `node` came over `path`; whether that is a new one.
    pub(super) fn note(&mut self, node: &NodeName, path: (IfIndex, MacAddr), now: Moment) -> bool {
        let paths = self.frames.entry(node.clone()).or_default();
        let is_new = paths.insert(path, now).is_none();
        if paths.len() > limits::PATHS
            && let Some((oldest, _)) = paths.iter().min_by_key(|(_, at)| **at)
        {
            let oldest = *oldest;
            paths.remove(&oldest);
        }
        is_new
    }

    /// `node` has these MACs, and no others.
    fn keep(&mut self, node: &NodeName, macs: &BTreeSet<MacAddr>) {
        if let Some(paths) = self.frames.get_mut(node) {
            paths.retain(|(_, mac), _| macs.contains(mac));
        }
        if let Some(kernels) = self.kernels.get_mut(node) {
            kernels.retain(|_, mac| macs.contains(mac));
        }
    }

    /// The kernel of `node` has answered; whether that tells something new.
    pub(super) fn note_kernel(&mut self, node: &NodeName, (link, mac): (IfIndex, MacAddr)) -> bool {
        self.kernels.entry(node.clone()).or_default().insert(link, mac) != Some(mac)
    }

    pub(super) fn forget(&mut self, node: &NodeName) {
        self.frames.remove(node);
        self.kernels.remove(node);
    }

    /// The paths that frames ever came over.
    pub(super) fn of(&self, node: &NodeName) -> impl Iterator<Item = (IfIndex, MacAddr)> {
        self.frames.get(node).into_iter().flatten().map(|(path, _)| *path)
    }

    /// At which MAC hosts on the segment of `link` find `node`: where it was last heard.
    fn mac_on(&self, node: &NodeName, link: IfIndex) -> Option<MacAddr> {
        let frames = self.frames.get(node).into_iter().flatten();
        let latest = frames.filter(|((on, _), _)| *on == link).max_by_key(|(_, at)| **at);
        let kernel = || self.kernels.get(node)?.get(&link).copied();
        latest.map(|((_, mac), _)| *mac).or_else(kernel)
    }

    fn fresh(&self, node: &NodeName, now: Moment) -> impl Iterator<Item = (IfIndex, MacAddr)> {
        let paths = self.frames.get(node).into_iter().flatten();
        paths.filter(move |(_, at)| now.since(**at) <= FRESH).map(|(path, _)| *path)
    }
}

impl Peers {
    /// Whether `node` has a link with this MAC, by its own word; as long as that is not known, it may have.
    pub(super) fn may_have(&self, node: &NodeName, mac: MacAddr) -> bool {
        self.book.head(node).is_none_or(|head| head.links.iter().any(|link| link.mac == mac))
    }

    /// The links of `node` are others than before: it is not found any more where it was.
    pub(super) fn forget_old_paths(&mut self, node: &NodeName) {
        let Some(head) = self.book.head(node) else { return };
        let macs = head.links.iter().map(|link| link.mac).collect();
        self.paths.keep(node, &macs);
    }

    /// Says `word` to `node` on every path there may be.
    pub(super) fn tell(&mut self, node: &NodeName, word: Word, effects: &mut Vec<Effect>) {
        let letter = self.letter_from_us(self.addressee(node), word);
        let bytes = self.mesh.seal(&letter);
        let addr = self.book.head(node).map(|head| head.addr);
        let addr = addr.or_else(|| self.mesh.member(node).map(|member| member.addr));
        effects.extend(addr.map(|to| Effect::Send { to, bytes: bytes.clone() }));
        for (link, to) in self.paths_to(node) {
            effects.push(Effect::Frame { link, to, bytes: bytes.clone() });
        }
    }

    /// Says `word` to `node` on the links that lately worked; by the mesh if there are none.
    pub(super) fn tell_briefly(
        &mut self,
        node: &NodeName,
        word: Word,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let fresh: Vec<_> =
            self.paths.fresh(node, now).filter(|(link, _)| self.has_port(*link)).collect();
        if fresh.is_empty() {
            return self.tell(node, word, effects);
        }
        let letter = self.letter_from_us(self.addressee(node), word);
        let bytes = self.mesh.seal(&letter);
        for (link, to) in fresh {
            effects.push(Effect::Frame { link, to, bytes: bytes.clone() });
        }
    }

    /// Says `word` to everybody, by the mesh and on every link.
    pub(super) fn tell_all(&mut self, word: Word, effects: &mut Vec<Effect>) {
        let letter = self.letter_from_us(None, word);
        let bytes = self.mesh.seal(&letter);
        let mut addrs: Vec<_> = self.book.heads().map(|head| head.addr).collect();
        addrs.extend(self.mesh.others().map(|member| member.addr));
        addrs.sort_unstable();
        addrs.dedup();
        effects.extend(addrs.into_iter().map(|to| Effect::Send { to, bytes: bytes.clone() }));
        for port in &self.ports {
            let (link, to) = (port.index, MacAddr::BROADCAST);
            effects.push(Effect::Frame { link, to, bytes: bytes.clone() });
        }
    }

    /// Says on each link, in a frame of its own, that this member is on it: so everybody learns which
    /// links share a segment.
    pub(super) fn hello(&mut self, effects: &mut Vec<Effect>) {
        for link in self.ports.iter().map(|port| port.index).collect::<Vec<_>>() {
            self.hello_on((link, MacAddr::BROADCAST), effects);
        }
    }

    /// Says the same on one path alone.
    pub(super) fn hello_on(&mut self, (link, to): (IfIndex, MacAddr), effects: &mut Vec<Effect>) {
        let version = self.book.mine().version;
        let letter = self.letter_from_us(None, Word::Hello { version });
        let bytes = self.mesh.seal(&letter);
        effects.push(Effect::Frame { link, to, bytes });
    }

    /// The paths to `node`: those measured, or until there is one, all its MACs on all our links.
    pub(in crate::engine) fn paths_to(&self, node: &NodeName) -> Vec<(IfIndex, MacAddr)> {
        let measured: Vec<_> =
            self.paths.of(node).filter(|(link, _)| self.has_port(*link)).collect();
        if !measured.is_empty() {
            return measured;
        }
        let links = self.book.head(node).into_iter().flat_map(|head| &head.links);
        let pairs = links.flat_map(|link| self.ports.iter().map(|port| (port.index, link.mac)));
        pairs.collect()
    }

    /// At which MAC hosts on each of our links find `node`, where that was measured or can only be
    /// one.
    pub(in crate::engine) fn macs_of(&self, node: &NodeName) -> BTreeMap<IfIndex, MacAddr> {
        let links = self.book.head(node).map_or(&[][..], |head| &head.links);
        let only = match (links, &self.ports[..]) {
            ([link], [_]) => Some(link.mac),
            _ => None,
        };
        let mac = |link| self.paths.mac_on(node, link).or(only);
        self.ports.iter().filter_map(|port| Some((port.index, mac(port.index)?))).collect()
    }

    /// Whether it is known where hosts find `node` on as many links as both have.
    pub(in crate::engine) fn knows_places_of(&self, node: &NodeName) -> bool {
        let links = self.book.head(node).map_or(0, |head| head.links.len());
        self.macs_of(node).len() >= links.min(self.ports.len())
    }

    fn has_port(&self, link: IfIndex) -> bool {
        self.ports.iter().any(|port| port.index == link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::neighbour::{Neighbour, identity};

    const LINK: IfIndex = IfIndex(1);

    fn mac(n: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, n])
    }

    fn paths(peers: &Peers, neighbour: &Neighbour) -> Vec<MacAddr> {
        peers.paths.of(neighbour.node()).map(|(_, mac)| mac).collect()
    }

    /// Whoever sends a sealed frame again may put any MAC before it, and deputies answer with the one that a
    /// member was last heard from.
    #[test]
    fn a_member_is_found_at_its_own_macs_only_and_not_any_more_at_those_it_had() {
        let (now, mut peers) = (Moment::START, Peers::new(identity(1), 1, Moment::START));
        let mut neighbour = Neighbour::new(2);
        let hello = |peers: &mut Peers, neighbour: &mut Neighbour, from| {
            let bytes = neighbour.say(Word::Hello { version: 1 });
            peers.frame(LINK, from, &bytes, now, &mut Vec::new());
        };
        let tell = |peers: &mut Peers, neighbour: &mut Neighbour, macs: &[MacAddr]| {
            neighbour.links(macs);
            for bytes in neighbour.statement() {
                peers.datagram(&bytes, now, &mut Vec::new());
            }
        };
        hello(&mut peers, &mut neighbour, mac(7));
        assert_eq!(paths(&peers, &neighbour), [mac(7)], "until it has said which are its own");
        tell(&mut peers, &mut neighbour, &[mac(1), mac(2)]);
        assert_eq!(paths(&peers, &neighbour), []);
        for from in [mac(1), mac(9), mac(2)] {
            hello(&mut peers, &mut neighbour, from);
        }
        assert_eq!(paths(&peers, &neighbour), [mac(1), mac(2)]);
        tell(&mut peers, &mut neighbour, &[mac(2), mac(3)]);
        assert_eq!(paths(&peers, &neighbour), [mac(2)]);
    }

    #[test]
    fn frames_from_everywhere_fill_nothing() {
        let (node, mut paths) = (NodeName::from("n2"), Paths::default());
        for n in 0..1_000_u64 {
            let [.., a, b] = n.to_be_bytes();
            let now = Moment::after_start(Duration::from_millis(n));
            paths.note(&node, (LINK, MacAddr([2, 0, 0, 0, a, b])), now);
        }
        assert_eq!(paths.of(&node).count(), limits::PATHS);
        assert!(paths.of(&node).any(|(_, mac)| mac == MacAddr([2, 0, 0, 0, 3, 231])), "the last");
    }
}
