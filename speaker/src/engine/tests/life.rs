//! From the first event to the last: waiting, being told what is known, leaving.

use super::*;
use crate::respond::{Heard, HeardKind};

#[test]
fn nothing_is_announced_before_everything_was_delivered_once() {
    let events = World::with(&["a"], &["n1"]).events();
    for missing in 0..events.len() {
        let mut engine = engine();
        let mut rest = events.clone();
        let last = rest.remove(missing);
        let early = engine.on(rest, at(0));
        assert_eq!((published(&early), engine.is_active()), (None, false), "without {last:?}");
        assert_eq!(engine.waits_for().len(), 1, "without {last:?}");
        let complete = engine.on([last], at(1));
        assert_eq!(published(&complete), Some(vec![ip(1)]));
        assert!(engine.is_active());
    }
}

#[test]
fn records_that_cannot_be_read_are_waited_for_a_while_only() {
    let mut events = World::with(&["a"], &["n1"]).events();
    events.retain(|event| !matches!(event, Event::Recorded(_)));
    let mut engine = engine();
    engine.on(events, at(0));
    assert_eq!((engine.is_active(), engine.next_deadline()), (false, Some(at(2_000))));
    assert_eq!(published(&engine.on([], at(2_000))), Some(vec![ip(1)]));
}

#[test]
fn repeating_what_is_known_has_no_effect() {
    let (mut engine, _) = World::with(&["a", "b"], &["n1", "n2"]).deliver();
    let rest = at(60_000);
    while engine.next_deadline().is_some() {
        engine.on([], rest);
    }
    assert_eq!(engine.on(World::with(&["a", "b"], &["n1", "n2"]).events(), rest), []);
    let again = [
        Event::Services(Change::Set(key("a"), service(&[1]))),
        Event::Slices(Change::Set(key("a-1"), slice("a", &["n1"]))),
        Event::Nodes(Change::Set("n2".into(), NodeFacts::default())),
        Event::Services(Change::Remove(key("unknown"))),
    ];
    assert_eq!(engine.on(again, rest), []);
}

/// With a mesh, in which nobody else is.
fn meshed() -> Engine {
    let mesh = Some(neighbour::identity(1));
    Engine::new(Settings { mesh, ..engine().settings }, Moment::START)
}

/// Wakes the engine whenever it wants that, until `end`; that must not be too often.
fn live(engine: &mut Engine, mut now: Moment, end: Moment) {
    let (begun, mut calls) = (now, 0);
    while let Some(due) = engine.next_deadline().filter(|due| *due <= end) {
        now = now.max(due);
        engine.on([], now);
        calls += 1;
        assert!(calls < 1_000 + 20 * now.since(begun).as_secs(), "still at {now:?}");
    }
}

/// A speaker that starts while the API server is away waits for it; it must not spin meanwhile.
#[test]
fn waiting_for_what_does_not_come_costs_few_calls() {
    let mut engine = meshed();
    live(&mut engine, Moment::START, at(60_000));
    assert!(!engine.is_active());
}

/// A conflict is remembered for some minutes; who does not decide does not forget it either.
#[test]
fn one_without_links_is_not_woken_for_a_conflict_that_is_over() {
    let mut engine = meshed();
    engine.on(World::with(&["a"], &["n1"]).events(), at(0));
    live(&mut engine, at(0), at(5_000));
    assert!(engine.desired.contains_key(&ip(1)), "{:?}", engine.standings);
    let mac = MacAddr([2, 0, 0, 0, 0, 99]);
    let kind = HeardKind::Conflict;
    let heard = Heard { link: IfIndex(1), address: ip(1), mac, source: mac, kind };
    let asked = engine.on([Event::Heard(heard)], at(5_000));
    assert!(asked.iter().any(|effect| matches!(effect, Effect::Question { .. })), "{asked:?}");
    assert_eq!(engine.conflicts.all().len(), 0, "one frame may be anybody's");
    engine.on([Event::Heard(heard)], at(5_002));
    assert_eq!(engine.conflicts.all().len(), 1);
    engine.on([Event::Links(vec![])], at(5_003));
    live(&mut engine, at(5_003), at(600_000));
    engine.on([Event::Links(vec![link(1)])], at(600_000));
    live(&mut engine, at(600_000), at(610_000));
    assert_eq!((engine.is_active(), engine.conflicts.all().len()), (true, 0));
}

#[test]
fn one_told_to_stop_answers_for_a_while_and_then_halts() {
    let (mut engine, _) = World::with(&["a"], &["n1"]).deliver();
    let told = engine.on([Event::Shutdown], at(1_000));
    assert_eq!(published(&told), None, "it still answers");
    engine.on([Event::Shutdown], at(1_200));
    assert_eq!(engine.next_deadline().map(|due| due.max(at(1_300))), Some(at(1_300)));
    let silent = engine.on([], at(1_300));
    assert_eq!(silent[silent.len() - 2..], [Effect::Publish(Desired::new()), Effect::Halt]);
    assert_eq!(engine.on([], at(9_000)), []);
}

#[test]
fn events_and_effects_can_be_recorded_and_replayed() {
    let events = World::with(&["a", "b"], &["n1", "n2"]).events();
    let recorded = serde_json::to_string(&events).unwrap();
    let replayed: Vec<Event> = serde_json::from_str(&recorded).unwrap();
    assert_eq!(events, replayed);
    let effects = engine().on(events, at(0));
    assert_eq!(engine().on(replayed, at(0)), effects);
    let recorded = serde_json::to_string(&effects).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Effect>>(&recorded).unwrap(), effects);
}

/// Services and all else come by watches of their own, so one batch may bring news of both: as when a
/// pool is deleted and then the Services that had its addresses.
#[test]
fn a_service_that_goes_while_all_is_decided_anew_is_not_answered_any_more() {
    let labels = Labels::from([("rack".to_owned(), "1".to_owned())]);
    let labelled = NodeFacts { labels, ..NodeFacts::default() };
    let everything = [
        Event::Config(config(&[advertisement("another")])),
        Event::Nodes(Change::Set("n1".into(), labelled)),
        Event::Links(vec![link(1), link(2)]),
    ];
    let rest = World::with(&["a"], &["n1"]).services;
    let removals =
        [Event::Services(Change::Remove(key("b"))), Event::Services(Change::Replace(rest))];
    let told = Effect::Report { service: key("b"), uid: String::new(), standing: None };
    for all in &everything {
        for gone in &removals {
            for batch in [[all.clone(), gone.clone()], [gone.clone(), all.clone()]] {
                let (mut engine, _) = World::with(&["a", "b"], &["n1"]).deliver();
                let effects = engine.on(batch.clone(), at(9));
                assert_eq!(published(&effects), Some(vec![ip(1)]), "{batch:?}");
                assert!(effects.contains(&told), "{batch:?}: {effects:?}");
            }
        }
    }
}

/// Each pod has a link on its node, and pods come and go.
#[test]
fn a_link_that_is_not_used_is_nothing_to_tell_the_others() {
    let mut engine = meshed();
    engine.on(World::with(&["a"], &["n1"]).events(), at(0));
    live(&mut engine, at(0), at(5_000));
    let lo = LinkFacts { name: "lo".to_owned(), ..link(9) };
    let effects = engine.on([Event::Links(vec![link(1), lo])], at(5_000));
    assert_eq!(effects, []);
    let effects = engine.on([Event::Links(vec![link(1), link(2)])], at(5_001));
    assert!(effects.iter().any(|it| matches!(it, Effect::Frame { .. })), "{effects:?}");
}

/// Nobody reads that a node announces what it has no interface for; and what is deleted meanwhile is told of
/// when it can be.
#[test]
fn one_without_links_says_that_it_announces_nothing_and_then_what_is_gone() {
    let mut engine = meshed();
    engine.on(World::with(&["a", "b"], &["n1"]).events(), at(0));
    live(&mut engine, at(0), at(5_000));
    let silent = |name| Effect::Report {
        service: key(name),
        uid: "0f5a".to_owned(),
        standing: Some(Standing::Silent(Why::OutOfTouch)),
    };
    let effects = engine.on([Event::Links(vec![])], at(5_000));
    assert!([silent("a"), silent("b")].iter().all(|told| effects.contains(told)), "{effects:?}");
    engine.on([Event::Services(Change::Remove(key("b")))], at(5_001));
    let mut effects = engine.on([Event::Links(vec![link(1)])], at(6_000));
    while let Some(due) = engine.next_deadline().filter(|due| *due <= at(8_000)) {
        effects.extend(engine.on([], due));
    }
    let gone = Effect::Report { service: key("b"), uid: String::new(), standing: None };
    assert!(effects.contains(&gone), "{effects:?}");
    let announced = reported(&effects, "a").is_some_and(|it| it.announcement().is_some());
    assert!(announced && engine.desired.contains_key(&ip(1)), "{effects:?}");
}

/// As it was seen in the lab: the address is given to another Service later, and withdrawn again.
#[test]
fn an_address_is_not_answered_for_a_service_that_went_with_its_pool() {
    let (mut engine, _) = World::with(&["a"], &["n1"]).deliver();
    let both = [Event::Config(Config::default()), Event::Services(Change::Remove(key("a")))];
    assert_eq!(published(&engine.on(both, at(9))), Some(vec![]));
    let next = [
        Event::Config(config(&[advertisement("ad")])),
        Event::Services(Change::Set(key("b"), service(&[1]))),
        Event::Slices(Change::Set(key("b-1"), slice("b", &["n1"]))),
    ];
    assert_eq!(published(&engine.on(next, at(20))), Some(vec![ip(1)]));
    let idle = Event::Slices(Change::Set(key("b-1"), slice("b", &[])));
    assert_eq!(published(&engine.on([idle], at(30))), Some(vec![]));
}
