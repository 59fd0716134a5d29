use super::*;

const WALL: Wall = 1_800_000_000;
const YEAR: Wall = 365 * 24 * 60 * 60;

fn authority(name: &str) -> Authority {
    Authority { der: name.as_bytes().to_vec(), until: WALL + 10 * YEAR }
}

/// The certificate `name` of the authority that its first letter names.
fn pair(name: &str) -> Pair {
    Pair {
        certificate: name.to_owned(),
        key: name.to_owned(),
        authority: authority(&name[..1]),
        until: WALL + YEAR,
        is_renewable: true,
    }
}

/// A replica, and what it sees: one place `W` with two entries.
struct Replica {
    rotation: Rotation,
    secret: Secret,
    places: Vec<(char, Option<Vec<Vec<Authority>>>)>,
    wall: Wall,
    now: Duration,
}

impl Replica {
    fn new(secret: Secret, trusted: &str) -> Self {
        let now = Duration::from_secs(2);
        let mut new =
            Self { rotation: Rotation::default(), secret, places: Vec::new(), wall: WALL, now };
        new.trust(trusted);
        new
    }

    /// One that serves `name` and has for long.
    fn settled(name: &str) -> Self {
        let mut new = Self::new(Secret::Good(pair(name)), &name[..1]);
        assert_eq!(new.acts(), [Act::Serve(pair(name))]);
        new.rotation.served(pair(name));
        assert_eq!(new.acts(), []);
        new.after(Duration::from_hours(100));
        new
    }

    fn trust(&mut self, names: &str) {
        let all: Vec<_> = names.chars().map(|name| authority(&name.to_string())).collect();
        self.places = vec![('W', Some(vec![all.clone(), all]))];
    }

    fn after(&mut self, time: Duration) {
        self.now += time;
    }

    fn step(&mut self) -> (Vec<Act<char>>, Duration) {
        let Self { rotation, secret, places, wall, now } = self;
        rotation.step(&Sight { secret, places, wall: *wall, now: *now })
    }

    fn acts(&mut self) -> Vec<Act<char>> {
        self.step().0
    }
}

fn publish(names: &str) -> Act<char> {
    Act::Publish('W', names.chars().map(|name| authority(&name.to_string())).collect())
}

#[test]
fn nothing_is_done_before_the_secret_is_known_and_one_that_is_not_there_is_made() {
    assert_eq!(Replica::new(Secret::Unknown, "").acts(), []);
    assert_eq!(Replica::new(Secret::Useless, "").acts(), [Act::Make]);
}

#[test]
fn a_first_certificate_is_published_and_then_served_at_once() {
    let mut replica = Replica::new(Secret::Good(pair("a1")), "");
    assert_eq!(replica.acts(), [publish("a")]);
    replica.trust("a");
    assert_eq!(replica.acts(), [Act::Serve(pair("a1"))]);
}

#[test]
fn where_there_is_nothing_to_write_trust_into_it_is_served_all_the_same() {
    let mut replica = Replica::new(Secret::Good(pair("a1")), "");
    replica.places = vec![('W', Some(Vec::new()))];
    assert_eq!(replica.acts(), [Act::Serve(pair("a1"))]);
}

#[test]
fn one_that_serves_nothing_does_not_wait_for_ever_for_what_it_may_not_see() {
    let mut replica = Replica::new(Secret::Good(pair("a1")), "");
    replica.places = vec![('W', None)];
    let rest = PATIENCE.checked_sub(replica.now).unwrap();
    assert_eq!(replica.step(), (vec![], rest));
    replica.after(rest);
    assert_eq!(replica.acts(), [Act::Serve(pair("a1"))]);
}

#[test]
fn in_a_steady_state_nothing_is_done_at_all() {
    let mut replica = Replica::settled("a1");
    assert_eq!(replica.step(), (vec![], LOOK));
}

#[test]
fn a_certificate_of_the_same_authority_is_served_at_once() {
    let mut replica = Replica::settled("a1");
    replica.secret = Secret::Good(pair("a2"));
    assert_eq!(replica.acts(), [Act::Serve(pair("a2"))]);
}

#[test]
fn a_new_authority_is_trusted_everywhere_for_a_while_before_it_is_relied_on() {
    let mut replica = Replica::settled("a1");
    replica.secret = Secret::Good(pair("b1"));
    assert_eq!(replica.acts(), [publish("ba")]);
    // One of two entries is not enough.
    let (both, old) = (vec![authority("b"), authority("a")], vec![authority("a")]);
    replica.places = vec![('W', Some(vec![both, old]))];
    assert_eq!(replica.acts(), [publish("ba")]);
    replica.trust("ba");
    assert_eq!(replica.step(), (vec![], GRACE));
    replica.after(GRACE.checked_sub(Duration::from_millis(1)).unwrap());
    assert_eq!(replica.step(), (vec![], Duration::from_millis(1)));
    replica.after(Duration::from_millis(1));
    assert_eq!(replica.acts(), [Act::Serve(pair("b1"))]);
}

#[test]
fn trust_that_is_taken_away_meanwhile_begins_its_time_anew() {
    let mut replica = Replica::settled("a1");
    replica.secret = Secret::Good(pair("b1"));
    replica.trust("ba");
    replica.acts();
    replica.after(GRACE / 2);
    replica.trust("a");
    assert_eq!(replica.acts(), [publish("ba")]);
    replica.trust("ba");
    assert_eq!(replica.step().1, GRACE);
}

#[test]
fn the_old_authority_stays_trusted_for_an_hour() {
    let mut replica = Replica::settled("a1");
    replica.secret = Secret::Good(pair("b1"));
    replica.trust("ba");
    replica.acts();
    replica.after(GRACE);
    replica.acts();
    replica.rotation.served(pair("b1"));
    assert_eq!(replica.step(), (vec![], KEPT));
    replica.after(KEPT.checked_sub(Duration::from_secs(1)).unwrap());
    assert_eq!(replica.step(), (vec![], Duration::from_secs(1)));
    replica.after(Duration::from_secs(1));
    assert_eq!(replica.acts(), [publish("b")]);
    replica.trust("b");
    assert_eq!(replica.step(), (vec![], LOOK));
}

#[test]
fn a_bundle_that_somebody_resets_is_mended_at_once_also_amid_a_change() {
    let mut replica = Replica::settled("a1");
    replica.trust("");
    assert_eq!(replica.acts(), [publish("a")]);
    replica.secret = Secret::Good(pair("b1"));
    assert_eq!(replica.acts(), [publish("ba")]);
}

#[test]
fn without_the_secret_what_is_served_stays_and_stays_trusted() {
    let mut replica = Replica::settled("a1");
    replica.secret = Secret::Useless;
    assert_eq!(replica.acts(), [Act::Make]);
    replica.trust("");
    assert_eq!(replica.acts(), [publish("a")]);
}

#[test]
fn what_is_useless_again_at_once_is_made_again_after_a_while() {
    let mut replica = Replica::new(Secret::Useless, "");
    assert_eq!(replica.acts(), [Act::Make]);
    assert_eq!(replica.step(), (vec![], APART));
    replica.after(APART);
    assert_eq!(replica.acts(), [Act::Make]);
}

#[test]
fn one_that_comes_amid_a_change_takes_no_trust_from_the_others() {
    let mut replica = Replica::new(Secret::Good(pair("b1")), "a");
    assert_eq!(replica.acts(), [publish("ba")]);
}

#[test]
fn what_was_trusted_and_can_be_no_more_is_dropped_when_something_is_written() {
    let mut replica = Replica::new(Secret::Good(pair("b1")), "a");
    let old = Authority { until: WALL - 1, ..authority("o") };
    let last = Authority { until: WALL, ..authority("l") };
    replica.places = vec![('W', Some(vec![vec![old, last.clone()]]))];
    assert_eq!(replica.acts(), [Act::Publish('W', vec![authority("b"), last])]);
}

#[test]
fn a_bundle_does_not_grow_without_end() {
    let mut replica = Replica::new(Secret::Good(pair("b1")), "cdefghijklmnop");
    assert_eq!(replica.acts(), [publish("bcdefghi")]);
}

#[test]
fn a_certificate_is_renewed_ninety_days_early_to_the_second() {
    let mut replica = Replica::settled("a1");
    replica.wall = WALL + YEAR - EARLY;
    assert_eq!(replica.acts(), []);
    replica.wall += 1;
    assert_eq!(replica.acts(), [Act::Renew]);
    replica.after(APART);
    let stuck = Pair { is_renewable: false, ..pair("a1") };
    replica.rotation.served(stuck.clone());
    replica.secret = Secret::Good(stuck);
    assert_eq!(replica.acts(), [Act::Make]);
}

#[test]
fn an_authority_is_replaced_ninety_days_early_to_the_second() {
    let mut replica = Replica::settled("a1");
    let until = WALL + 10 * YEAR;
    replica.secret = Secret::Good(Pair { until, ..pair("a1") });
    replica.rotation.served(Pair { until, ..pair("a1") });
    replica.wall = until - EARLY;
    assert_eq!(replica.acts(), []);
    replica.wall += 1;
    assert_eq!(replica.acts(), [Act::Make]);
}

#[test]
fn who_serves_what_has_expired_does_not_wait_for_trust() {
    let mut replica = Replica::settled("a1");
    replica.secret = Secret::Good(Pair { until: WALL + 2 * YEAR, ..pair("b1") });
    let served =
        |replica: &mut Replica| replica.acts().iter().any(|act| matches!(act, Act::Serve(_)));
    replica.wall = WALL + YEAR;
    assert!(!served(&mut replica), "its last second");
    replica.wall += 1;
    assert!(served(&mut replica));
}

#[test]
fn two_replicas_that_see_the_same_want_the_same() {
    let mut one = Replica::settled("a1");
    let mut other = Replica::new(Secret::Good(pair("b1")), "a");
    one.secret = other.secret.clone();
    assert_eq!(one.acts(), other.acts());
    one.trust("ba");
    other.trust("ba");
    assert_eq!(one.acts(), []);
    // The one that had served nothing does so now; it adds nothing, and takes nothing away.
    assert_eq!(other.acts(), [Act::Serve(pair("b1"))]);
}
