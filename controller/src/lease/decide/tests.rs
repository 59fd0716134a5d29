use super::*;

const TERMS: Terms = Terms {
    duration: Duration::from_secs(5),
    renew: Duration::from_millis(1500),
    retry: Duration::from_millis(500),
};

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn election() -> Election {
    Election::new("me".to_owned(), TERMS)
}

fn record(version: &str, holder: Option<&str>) -> Record {
    Record {
        version: version.to_owned(),
        holder: holder.map(ToOwned::to_owned),
        duration: Duration::from_secs(5),
        transitions: 3,
    }
}

#[test]
fn nothing_is_done_before_the_object_was_looked_for() {
    assert_eq!(election().decide(at(9_999_999)), Step::Wait(None));
}

#[test]
fn an_absent_lease_is_made_and_one_given_back_is_taken_at_once() {
    let mut election = election();
    election.observe(None, at(0));
    assert_eq!(election.decide(at(0)), Step::Create);
    election.observe(Some(record("4", None)), at(1));
    assert_eq!(election.decide(at(1)), Step::Take("4".to_owned(), 4));
}

#[test]
fn a_lease_expires_when_we_saw_it_unchanged_for_its_duration() {
    let mut election = election();
    election.observe(Some(record("4", Some("other"))), at(1_000));
    assert_eq!(election.decide(at(5_999)), Step::Wait(Some(at(6_000))));
    election.observe(Some(record("5", Some("other"))), at(5_999));
    assert_eq!(election.decide(at(6_000)), Step::Wait(Some(at(10_999))));
    // Seeing the same state again, after a relist for instance, starts nothing anew.
    election.observe(Some(record("5", Some("other"))), at(9_000));
    assert_eq!(election.decide(at(10_999)), Step::Take("5".to_owned(), 4));
}

#[test]
fn a_held_lease_is_renewed_in_time_and_counts_from_before_it_was_sent() {
    let mut election = election();
    election.observe(None, at(0));
    election.written(record("6", Some("me")), at(100), at(900));
    assert_eq!(election.leads_until(), Some(at(4_100)));
    assert_eq!(election.decide(at(900)), Step::Wait(Some(at(1_600))));
    assert_eq!(election.decide(at(1_600)), Step::Renew("6".to_owned(), 3));
}

#[test]
fn a_renewal_that_fails_is_retried_until_it_is_too_late() {
    let mut election = election();
    election.observe(None, at(0));
    election.written(record("6", Some("me")), at(0), at(0));
    election.failed(at(1_500));
    assert_eq!(election.decide(at(1_500)), Step::Wait(Some(at(2_000))));
    election.failed(at(3_800));
    assert_eq!(election.decide(at(3_800)), Step::Wait(Some(at(4_000))));
    assert_eq!(election.leads_until(), Some(at(4_000)));
    // The term is over; the lease is still ours to take, as soon as a write may be tried again.
    assert_eq!(election.decide(at(4_000)), Step::Wait(Some(at(4_300))));
    assert_eq!(election.decide(at(4_300)), Step::Take("6".to_owned(), 4));
    assert_eq!(election.leads_until(), None);
    assert_eq!(election.held(), None);
}

#[test]
fn seeing_another_holder_ends_the_term_at_once() {
    let mut election = election();
    election.observe(None, at(0));
    election.written(record("6", Some("me")), at(0), at(0));
    election.observe(Some(record("7", Some("other"))), at(100));
    assert_eq!(election.leads_until(), None);
}

#[test]
fn a_watch_that_lags_behind_our_own_write_takes_nothing_away() {
    let mut election = election();
    election.observe(Some(record("4", None)), at(0));
    election.written(record("6", Some("me")), at(0), at(0));
    election.observe(Some(record("4", None)), at(10));
    assert!(election.leads_until().is_some());
    assert_eq!(election.held(), Some(("6", 3)));
}

#[test]
fn a_deleted_lease_ends_the_term() {
    let mut election = election();
    election.observe(None, at(0));
    election.written(record("6", Some("me")), at(0), at(0));
    election.observe(None, at(10));
    assert_eq!(election.leads_until(), None);
    assert_eq!(election.decide(at(10)), Step::Create);
}

#[test]
fn the_holder_always_stops_before_anybody_else_begins() {
    // The other sees the renewal no earlier than it was sent, whatever its clock says.
    let mut holder = election();
    holder.observe(None, at(0));
    for delay in [0, 1, 100, 2_000] {
        holder.written(record("6", Some("me")), at(1_000), at(1_000 + delay));
        let mut standby = Election::new("other".to_owned(), TERMS);
        let offset = 77_000;
        standby.observe(Some(record("6", Some("me"))), at(offset + 1_000 + delay));
        let Step::Wait(Some(takes)) = standby.decide(at(offset + 1_000 + delay)) else {
            panic!("the standby did not wait");
        };
        assert!(holder.leads_until().unwrap() + at(offset) < takes, "delay {delay}");
    }
}
