//! What the log says of announcements, members and interfaces: MetalLB's keys and words, which
//! people search for.

use std::net::IpAddr;

use http::{Request, Response};
use kit::events::Recorder;
use kit::testing::Log;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock;

use super::*;
use crate::engine::Announcement;
use crate::io::clock::Clock;
use crate::link::Ineligible;
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
    let why = Ineligible::Excluded { pattern: "^dummy.*".to_owned() };
    let line = json!({
        "level": "info", "event": "interfaceUnused", "interface": "dummy0", "reason": "excluded",
        "msg": "not used: its name matches the excluded pattern ^dummy.*",
    });
    let effect = Effect::Unused { interface: "dummy0".to_owned(), why };
    assert_eq!(logged(&mut shell, &log, effect), [line]);
}
