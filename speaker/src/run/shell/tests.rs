//! What the log says of announcements, members and interfaces: MetalLB's keys and words, which
//! people search for.

use std::net::IpAddr;

use crds::model::advertisement::Advertisement;
use crds::model::compile::Config;
use crds::model::ids::{IfIndex, MacAddr};
use http::{Request, Response};
use kit::events::Recorder;
use kit::testing::Log;
use kube::Client;
use kube::client::Body;
use prometheus::TextEncoder;
use serde_json::{Value, json};
use tower_test::mock;

use super::*;
use crate::engine::{Announcement, Engine, Event, Settings};
use crate::io::clock::Clock;
use crate::link::{Exclusions, LinkFacts};
use crate::moment::Moment;
use crate::ownership::Why;

/// A shell without mesh and API server; what it reports goes nowhere.
fn shell() -> Shell {
    let table = Arc::new(ArcSwap::from_pointee(Table::default()));
    let deadline = Deadline::new(Clock::new());
    let metrics = Metrics::new("n1", Arc::clone(&table), deadline.clone()).unwrap();
    let (events, _) = mpsc::channel(1);
    let (counts, _) = Counts::new(events.clone()).unwrap();
    let (service, _) = mock::pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    let dropped = metrics.events_dropped.clone();
    let (recorder, _) = Recorder::new(client, "metallb-speaker", "p", dropped);
    Shell {
        ports: Ports::new(Arc::clone(&table), deadline.clone(), events),
        table,
        deadline,
        mesh: None,
        attendance: None,
        counts,
        conflicts: Conflicts::new("n1".to_owned(), recorder, metrics.clone()),
        metrics,
        reports: mpsc::unbounded_channel().0,
        said: mpsc::unbounded_channel().0,
        journal: Journal::default(),
        unused: BTreeMap::new(),
        standing: State::default(),
        knocked: BTreeSet::new(),
    }
}

fn announced(addresses: &[[u8; 4]]) -> Standing {
    Standing::Announced(Announcement {
        uid: "u".to_owned(),
        addresses: addresses.iter().copied().map(IpAddr::from).collect(),
        pool: "p".into(),
        interfaces: [].into(),
        links: [].into(),
        claim: 1,
    })
}

/// The lines that `effect` causes, those for debugging apart.
fn logged(shell: &mut Shell, log: &Log, effect: Effect) -> Vec<Value> {
    shell.carry_out(effect);
    log.take().into_iter().filter(|line| line["level"] != "debug").collect()
}

#[tokio::test]
async fn announcements_are_logged_when_they_begin_and_when_they_end() {
    let (mut shell, log) = (shell(), Log::collect());
    let mut report = |standing| {
        let (service, uid) = (ServiceKey::new("default", "web"), "u".to_owned());
        logged(&mut shell, &log, Effect::Report { service, uid, standing })
    };
    let begun = |ips: &[&str]| {
        json!({
            "level": "info", "event": "serviceAnnounced", "ips": ips, "pool": "p",
            "protocol": "layer2", "service": "default/web", "msg": "service has IP, announcing",
        })
    };
    let ended = |ip: &str, reason: &str| {
        json!({
            "level": "info", "event": "serviceWithdrawn", "ip": [ip], "reason": reason,
            "protocol": "layer2", "service": "default/web",
            "msg": "withdrawing service announcement",
        })
    };
    assert_eq!(report(Some(Standing::Silent(Why::NoEndpoints))), [Value::Null; 0]);
    assert_eq!(report(Some(announced(&[[192, 0, 2, 1]]))), [begun(&["192.0.2.1"])]);
    let changed = [begun(&["192.0.2.2"]), ended("192.0.2.1", "loadBalancerIPChanged")];
    assert_eq!(report(Some(announced(&[[192, 0, 2, 2]]))), changed);
    let other = Standing::Silent(Why::OtherNode("n2".into()));
    assert_eq!(report(Some(other)), [ended("192.0.2.2", "notOwner")]);
    assert_eq!(report(Some(announced(&[[192, 0, 2, 3]]))).len(), 1);
    assert_eq!(report(None), [ended("192.0.2.3", "serviceDeleted")]);
}

#[tokio::test]
async fn the_speakers_alive_are_logged_by_name() {
    let (mut shell, log) = (shell(), Log::collect());
    let alive = [NodeName::from("n2"), "n1".into()].into();
    let line = json!({
        "level": "info", "event": "members", "members": ["n1", "n2"],
        "msg": "the speakers alive changed",
    });
    assert_eq!(logged(&mut shell, &log, Effect::Members { alive, certain: true }), [line]);
}

#[tokio::test]
async fn an_interface_that_is_not_used_is_logged_with_the_reason() {
    let (mut shell, log) = (shell(), Log::collect());
    let excluded = Ineligible::Excluded { pattern: "^dummy.*".to_owned() };
    let line = json!({
        "level": "info", "event": "interfaceUnused", "interface": "dummy0", "reason": "excluded",
        "msg": "not used: its name matches the excluded pattern ^dummy.*",
    });
    let dummy = ("dummy0".to_owned(), excluded);
    assert_eq!(logged(&mut shell, &log, Effect::Unused([dummy.clone()].into())), [line]);
    let both = [dummy, ("eth1".to_owned(), Ineligible::Down)].into();
    let lines = logged(&mut shell, &log, Effect::Unused(both));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["interface"], "eth1");
}

fn link(number: u8) -> LinkFacts {
    let mac = MacAddr([2, 0, 0, 0, 0, number]);
    LinkFacts::ethernet(IfIndex(number.into()), &format!("eth{number}"), mac)
}

/// What makes a link unfit, and what that is called.
fn unfit() -> Vec<(&'static str, LinkFacts)> {
    vec![
        ("excluded", LinkFacts { name: "lo".to_owned(), ..link(2) }),
        ("enslaved", LinkFacts { master: Some(IfIndex(1)), ..link(3) }),
        ("no_arp", LinkFacts { no_arp: true, ..link(4) }),
        ("not_broadcast", LinkFacts { broadcast: false, ..link(5) }),
        ("no_mac", LinkFacts { mac: None, ..link(6) }),
        ("down", LinkFacts { up: false, ..link(7) }),
        ("no_carrier", LinkFacts { carrier: false, ..link(8) }),
    ]
}

#[tokio::test]
async fn each_reason_not_to_use_an_interface_is_shown_for_as_long_as_it_lasts() {
    let mut shell = shell();
    let settings = Settings {
        node: "n1".into(),
        exclusions: Exclusions::new(["^lo$"]).unwrap(),
        ignore_exclude_label: false,
        announcements_per_second: 1,
        deputies: true,
        seed: 1,
        #[cfg(feature = "defects")]
        defect: None,
        mesh: None,
    };
    let mut engine = Engine::new(settings, Moment::START);
    let mut shown = |events: Vec<Event>| {
        let effects = engine.on(events, Moment::START);
        let unused = effects.into_iter().filter(|effect| matches!(effect, Effect::Unused(_)));
        unused.for_each(|effect| shell.carry_out(effect));
        let text = TextEncoder::new().encode_to_string(&shell.metrics.registry.gather()).unwrap();
        let name = "ferrolb_speaker_unused_interfaces{reason=\"";
        let series = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_suffix("\"} 1"));
        series.map(ToOwned::to_owned).collect::<BTreeSet<_>>()
    };
    let advertisement = Advertisement {
        name: "ad".to_owned(),
        pools: BTreeSet::new(),
        node_selectors: Vec::new(),
        interfaces: ["lo".to_owned(), "eth9".to_owned()].into(),
        service_selectors: Vec::new(),
        preferences: Vec::new(),
    };
    let advertisements = [("ad".to_owned(), advertisement)].into();
    let config = Event::Config(Config { advertisements, ..Config::default() });
    let links = |links: &[(&str, LinkFacts)]| {
        Event::Links(
            [link(1)].into_iter().chain(links.iter().map(|(_, one)| one.clone())).collect(),
        )
    };
    let unfit = unfit();
    let reasons = unfit.iter().map(|(reason, _)| *reason).chain(["missing"]);
    let expected: BTreeSet<String> = reasons.map(ToOwned::to_owned).collect();
    assert_eq!(shown(vec![config, links(&unfit)]), expected);
    // Those that are there are removed, and nothing is asked for any more.
    let nothing = vec![links(&[]), Event::Config(Config::default())];
    assert_eq!(shown(nothing), BTreeSet::new());
}
