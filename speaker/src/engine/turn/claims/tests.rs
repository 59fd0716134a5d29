//! `n1` among neighbours of which a test says what they hold and whether they are there.

use std::collections::BTreeMap;

use crds::model::compile::Config;
use crds::model::electorate::Electorate;
use crds::model::ids::ServiceKey;

use super::*;
use crate::engine::cluster::Cluster;
use crate::engine::heirs::Heirs;
use crate::engine::neighbour::{Neighbour, identity};
use crate::engine::peers::Peers;
use crate::engine::pending::Pending;
use crate::engine::{Exclusions, Settings};
use crate::facts::Recorded;
use crate::moment::Moment;
use crate::ownership::word::{Whom, Word};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn held(rank: Rank, counter: u64) -> Held {
    Held { rank, counter, offer: None }
}

struct Scene {
    peers: Peers,
    pending: Pending,
    recorded: BTreeMap<ServiceKey, Recorded>,
    group: Group,
}

impl Scene {
    fn new() -> Self {
        let service = ServiceKey::new("default", "a");
        let group = Group { addresses: [ADDRESS].into(), services: [service].into(), hash: 1 };
        let peers = Peers::new(identity(1), 1, Moment::START);
        Self { peers, pending: Pending::default(), recorded: BTreeMap::new(), group }
    }

    /// Neighbour `n` says that it holds this, and is there or not.
    fn with(mut self, n: u8, holds: Option<Held>, is_there: bool) -> Self {
        let mut neighbour = Neighbour::new(n);
        neighbour.holds(holds.map(|held| (ADDRESS, held)));
        let node = neighbour.node().clone();
        let mut said = neighbour.statement();
        if !is_there {
            let whom = Whom { node: node.clone(), started: 1 };
            said.push(neighbour.say(Word::Verdict { whom, gone: true, hung_up: false }));
        }
        for bytes in said {
            self.peers.datagram(&bytes, Moment::START, &mut Vec::new());
        }
        assert_eq!(self.peers.lives().is_present(&node), is_there);
        self
    }

    /// This member holds it like this.
    fn holding(mut self, mine: Held) -> Self {
        self.peers.book_mut().hold(ADDRESS, Some(mine));
        self
    }

    fn turn<T>(&mut self, act: impl FnOnce(&mut Turn<'_>, &Group) -> T) -> T {
        let settings = Settings {
            node: "n1".into(),
            exclusions: Exclusions::new(["^lo$"]).unwrap(),
            ignore_exclude_label: false,
            announcements_per_second: 100,
            deputies: true,
            seed: 1,
            mesh: None,
            #[cfg(feature = "defects")]
            defect: None,
        };
        let mut turn = Turn {
            settings: &settings,
            cluster: &Cluster::new(false),
            config: &Config::default(),
            electorate: &Electorate::new([]),
            ports: &[],
            peers: &mut self.peers,
            pending: &mut self.pending,
            heirs: &mut Heirs::default(),
            recorded: &self.recorded,
            served: &BTreeMap::new(),
            orders: &[],
            now: Moment::START,
        };
        act(&mut turn, &self.group)
    }

    /// What this member holds after it has claimed the group.
    fn claim(mut self, from: Option<&NodeName>) -> Held {
        self.turn(|turn, group| turn.claim(group, from));
        self.peers.book().held(&ADDRESS).cloned().unwrap()
    }
}

#[test]
fn a_claim_is_above_every_other_that_is_known() {
    let firm = |counter| held(Rank::Firm, counter);
    let alone = || Scene::new().with(2, None, true).with(3, None, true);
    let near = |theirs| Scene::new().with(2, Some(firm(theirs)), true).with(3, None, true);
    let dead = |theirs| Scene::new().with(2, Some(firm(theirs)), false).with(3, None, true);
    let recorded = |mut scene: Scene, claim| {
        let service = scene.group.services.first().unwrap().clone();
        let record = Recorded { service: service.clone(), node: "n2".into(), claim, is_ours: true };
        scene.recorded.insert(service, record);
        scene
    };
    let cases = vec![
        ("the first ever", alone(), 1),
        ("after one that is gone", dead(7), 8),
        ("after one that only the record knows", recorded(alone(), 9), 10),
        ("after both, the record being older", recorded(dead(7), 5), 8),
        ("beside one that lives", near(7), 8),
        ("after a record of the highest number there is", recorded(alone(), u64::MAX), u64::MAX),
        ("beside one of the highest number there is", near(u64::MAX), u64::MAX),
        ("held, beside one of that", near(u64::MAX).holding(firm(u64::MAX)), u64::MAX),
        ("held, and lower than one that lives", near(7).holding(firm(3)), 8),
        ("held, and the highest", near(7).holding(firm(9)), 9),
        ("held, and nobody else lives", dead(7).holding(firm(3)), 3),
        ("lapsed, and nobody else lives", dead(7).holding(held(Rank::Lapsed, 3)), 7),
        ("lapsed, and another lives", near(7).holding(held(Rank::Lapsed, 9)), 10),
    ];
    for (case, scene, counter) in cases {
        assert_eq!(scene.claim(None), firm(counter), "{case}");
    }
}

#[test]
fn a_claim_is_provisional_with_at_most_half_in_sight() {
    for (others, there, rank) in [
        (1, 1, Rank::Firm),
        (1, 0, Rank::Provisional),
        (2, 1, Rank::Firm),
        (3, 1, Rank::Provisional),
        (3, 2, Rank::Firm),
        (4, 2, Rank::Firm),
        (4, 1, Rank::Provisional),
    ] {
        let scene = (0..others).fold(Scene::new(), |it, n| it.with(n + 2, None, n < there));
        assert_eq!(scene.claim(None).rank, rank, "{there} of {others} others");
    }
}

#[test]
fn a_provisional_claim_becomes_firm_and_no_firm_one_provisional() {
    let few = || Scene::new().with(2, None, false);
    let many = || Scene::new().with(2, None, true);
    assert_eq!(many().holding(held(Rank::Provisional, 4)).claim(None), held(Rank::Firm, 4));
    assert_eq!(few().holding(held(Rank::Firm, 4)).claim(None), held(Rank::Firm, 4));
}

#[test]
fn what_is_handed_over_stays_as_certain_as_it_was() {
    let me = NodeName::from("n1");
    let offered = |to: &NodeName| Held { offer: Some(to.clone()), ..held(Rank::Firm, 7) };
    // With two of four out of sight a claim of one's own would be provisional.
    let scene =
        |theirs| Scene::new().with(2, Some(theirs), true).with(3, None, false).with(4, None, false);
    assert_eq!(scene(offered(&me)).claim(None), held(Rank::Firm, 8));
    assert_eq!(scene(offered(&"n3".into())).claim(None), held(Rank::Provisional, 8));
    let from = NodeName::from("n2");
    assert_eq!(scene(held(Rank::Firm, 7)).claim(Some(&from)), held(Rank::Firm, 8), "succeeded");
}

#[test]
fn the_lower_claim_yields_to_the_higher_of_one_that_lives() {
    let mine = held(Rank::Firm, 5);
    let cases = [
        (held(Rank::Firm, 6), true, true),
        (held(Rank::Firm, 4), true, false),
        (held(Rank::Firm, 5), true, false),
        (held(Rank::Provisional, 9), true, false),
        (held(Rank::Firm, 6), false, false),
    ];
    for (theirs, is_there, yields) in cases {
        let name = format!("{theirs:?}, there: {is_there}");
        let mut scene = Scene::new().with(2, Some(theirs), is_there).holding(mine.clone());
        scene.turn(|turn, group| {
            turn.yield_to_higher(group);
        });
        assert_eq!(scene.peers.book().held(&ADDRESS).is_none(), yields, "{name}");
        let parted = scene.pending.take_parted(Moment::START, |_| (BTreeMap::new(), true));
        assert_eq!(parted.len(), usize::from(yields), "{name}");
    }
}

#[test]
fn an_offer_is_still_held() {
    let mut scene = Scene::new().with(2, None, true);
    scene.turn(|turn, group| turn.offer(group, "n2".into()));
    let offered = Held { offer: Some("n2".into()), ..held(Rank::Firm, 1) };
    assert_eq!(scene.peers.book().held(&ADDRESS), Some(&offered));
    // Taken back, it is as it was before.
    assert_eq!(scene.claim(None), held(Rank::Firm, 1));
}

#[test]
fn what_is_claimed_while_one_is_missing_is_remembered() {
    for (is_there, blind) in [(true, vec![]), (false, vec![ADDRESS])] {
        let mut scene = Scene::new().with(2, None, is_there).with(3, None, true);
        scene.turn(|turn, group| turn.claim(group, None));
        assert_eq!(scene.pending.claimed_blindly(true), blind);
    }
}
