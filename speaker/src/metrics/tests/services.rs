//! How Services and the speaker itself stand, each word in turn.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crds::model::ids::MacAddr;

use super::*;
use crate::mesh::seal::{self, Sealer, SecretKey};
use crate::mesh::{Identity, Member, Mesh};
use crate::moment::Moment;
use crate::ownership::Why;

fn metrics() -> Metrics {
    let table = Arc::new(ArcSwap::from_pointee(Table::default()));
    Metrics::new("n1", table, Deadline::new(Clock::new())).unwrap()
}

/// The series of `name`, by the value of their only label.
fn by_label(metrics: &Metrics, name: &str) -> BTreeMap<String, u64> {
    let text = text(metrics);
    let series = text.lines().filter_map(|line| {
        let (_, rest) = line.strip_prefix(name)?.strip_prefix('{')?.split_once("=\"")?;
        let (value, count) = rest.split_once("\"} ")?;
        Some((value.to_owned(), count.parse().unwrap()))
    });
    series.collect()
}

fn once(words: &[&str]) -> BTreeMap<String, u64> {
    words.iter().map(|word| ((*word).to_owned(), 1)).collect()
}

fn announcement() -> Announcement {
    Announcement {
        uid: String::new(),
        addresses: vec![[192, 0, 2, 1].into()],
        pool: PoolName::from("p"),
        interfaces: [].into(),
        links: [].into(),
        claim: 1,
    }
}

/// Every reason not to announce a Service.
fn reasons() -> Vec<Why> {
    let address = [192, 0, 2, 1].into();
    vec![
        Why::OtherNode("n2".into()),
        Why::NoAddress,
        Why::NotInPool,
        Why::NoAdvertisement,
        Why::NoEndpoints,
        Why::NoCandidate,
        Why::NoInterface(address),
        Why::Probing,
        Why::InUse { address, mac: MacAddr([2, 0, 0, 0, 0, 9]) },
        Why::OutOfTouch,
    ]
}

#[test]
fn each_way_that_a_service_stands_is_shown_and_each_end_counted() {
    let metrics = metrics();
    let named = |name: &str| ServiceKey::new("default", name);
    let announced = || Standing::Announced(announcement());
    let deputising = Standing::Deputising {
        owner: "n2".into(),
        macs: BTreeMap::new(),
        announcement: announcement(),
    };
    let mut standings: Vec<_> = reasons().into_iter().map(Standing::Silent).collect();
    standings.push(deputising);
    let words = [
        "notOwner",
        "noIPAllocated",
        "ipNotAllowed",
        "noMatchingAdvertisement",
        "noEndpoints",
        "noCandidate",
        "noInterface",
        "probing",
        "addressInUse",
        "outOfTouch",
        "deputising",
    ];
    for (word, standing) in words.iter().zip(&standings) {
        metrics.set_standing(named(word), Some(&announced()));
        metrics.set_standing(named(word), Some(standing));
    }
    assert_eq!(by_label(&metrics, "ferrolb_speaker_services"), once(&words));
    assert_eq!(by_label(&metrics, "ferrolb_speaker_announcements_ended_total"), once(&words));
    assert_eq!(by_label(&metrics, "ferrolb_speaker_deputised_addresses"), once(&["n2"]));
    // The one that was probed for turns out to be free, another in use.
    metrics.set_standing(named("probing"), Some(&announced()));
    metrics.set_standing(named("notOwner"), Some(&standings[7]));
    metrics.set_standing(named("notOwner"), Some(&standings[8]));
    assert_eq!(by_label(&metrics, "ferrolb_speaker_probes_total"), once(&["free", "taken"]));
    let shown = text(&metrics);
    assert!(shown.contains("ferrolb_speaker_announcements_begun_total 12\n"), "{shown}");
    for word in words {
        metrics.set_standing(named(word), None);
    }
    assert_eq!(by_label(&metrics, "ferrolb_speaker_services"), [].into());
    assert_eq!(by_label(&metrics, "ferrolb_speaker_deputised_addresses"), [].into());
    let ended = by_label(&metrics, "ferrolb_speaker_announcements_ended_total");
    assert_eq!(ended["serviceDeleted"], 1);
}

#[test]
fn each_state_of_a_speaker_and_each_outcome_of_a_look_is_shown() {
    let metrics = metrics();
    for (state, word) in [
        (engine::State::Active, "active"),
        (engine::State::Draining, "draining"),
        (engine::State::Drained, "drained"),
        (engine::State::Excluded, "excluded"),
    ] {
        metrics.set_description(&Description { state, ..Description::default() });
        let mut shown = by_label(&metrics, "ferrolb_speaker_state");
        assert_eq!(shown.len(), 4);
        shown.retain(|_, is_so| *is_so == 1);
        assert_eq!(shown, once(&[word]));
    }
    for answers in [0, 1, 2, 3] {
        metrics.count_check(answers);
    }
    let checks = [("none", 1), ("one", 1), ("several", 2)];
    let checks = checks.map(|(word, count)| (word.to_owned(), count)).into();
    assert_eq!(by_label(&metrics, "ferrolb_speaker_checks_total"), checks);
    metrics.count_knock();
    assert!(text(&metrics).contains("ferrolb_speaker_knocks_total 1\n"));
}

#[test]
fn each_outcome_of_a_frame_from_another_speaker_is_counted() {
    let address = |number: u8| SocketAddr::from(([192, 0, 2, number], 7946));
    let member = |number: u8| {
        let node = format!("n{number}").into();
        let member = Member { node, addr: address(number), started: 0, renewals: 0 };
        let keys = SecretKey::derive(b"secret").into();
        let seed = number.into();
        Mesh::new(Identity { member, instance: [number; 16], keys, seed }, Moment::START)
    };
    let (mut other, mut mesh) = (member(1), member(2));
    other.set_peers(BTreeSet::from([address(2)]));
    let (_, frame) = other.tick(Moment::START).datagrams.remove(0);
    let unknown_kind = Sealer::new(&SecretKey::derive(b"secret").into(), [99; 16]).seal(&[77]);
    let version = [9; 60];
    for received in [&frame[..], &frame, &[], &version, &[seal::VERSION; 60], &unknown_kind] {
        mesh.receive(received, Moment::START);
    }
    let metrics = metrics();
    metrics.set_mesh(mesh.counts());
    let outcomes = ["handled", "malformed", "version", "unsealed", "replayed", "refused"];
    assert_eq!(by_label(&metrics, "ferrolb_speaker_mesh_frames_total"), once(&outcomes));
}
