use crds::model::ids::MacAddr;

use super::*;

fn at(ms: u64) -> Moment {
    Moment::after_start(Duration::from_millis(ms))
}

fn address(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

fn group(addresses: impl IntoIterator<Item = u8>) -> Group {
    let addresses = addresses.into_iter().map(address).collect();
    Group { addresses, services: BTreeSet::new(), hash: 1 }
}

/// When questions are sent until `end`.
fn probed(pending: &mut Pending, end: u64) -> Vec<u64> {
    (0..=end).filter(|ms| !pending.probes_due(at(*ms)).is_empty()).collect()
}

const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

#[test]
fn five_questions_without_an_answer_make_an_address_free() {
    let (mut pending, group) = (Pending::default(), group([1, 2]));
    assert_eq!(pending.probe(&group, at(0)), Probed::Asking);
    assert_eq!(pending.next_deadline(), Some(at(0)));
    assert_eq!(probed(&mut pending, 129), [0, 25, 50, 75, 100]);
    assert_eq!(pending.probe(&group, at(129)), Probed::Asking);
    assert_eq!(pending.next_deadline(), Some(at(130)));
    assert_eq!(pending.probe(&group, at(130)), Probed::Free);
    assert_eq!(pending.take_freed(), [address(1), address(2)]);
}

#[test]
fn an_answer_is_believed_for_ten_seconds() {
    let (mut pending, group) = (Pending::default(), group([1, 2]));
    pending.probe(&group, at(0));
    pending.found(address(3), HOST, PROBE_AGAIN, at(10));
    assert_eq!(pending.probe(&group, at(10)), Probed::Asking, "that is another address");
    pending.found(address(2), HOST, PROBE_AGAIN, at(20));
    assert_eq!(pending.due(at(20)), [address(1)], "there is news of the group");
    for now in [20, 130, 9_999] {
        assert_eq!(pending.probe(&group, at(now)), Probed::Taken(address(2), HOST), "{now}");
    }
    assert_eq!(pending.probe(&group, at(10_000)), Probed::Asking);
    assert_eq!(pending.probe(&group, at(10_130)), Probed::Free);
}

#[test]
fn one_that_is_expected_to_fall_silent_is_asked_again_soon_and_gently() {
    let (mut pending, group) = (Pending::default(), group([1]));
    pending.probe(&group, at(0));
    assert_eq!(probed(&mut pending, 1), [0]);
    pending.found(address(1), HOST, PROBE_SOON, at(2));
    assert_eq!(pending.probe(&group, at(2)), Probed::Taken(address(1), HOST));
    assert_eq!(probed(&mut pending, 999), [] as [u64; 0], "it has answered");
    pending.due(at(999));
    assert_eq!(pending.due(at(1_000)), [address(1)]);
    assert_eq!(pending.probe(&group, at(1_000)), Probed::Asking);
    assert_eq!(pending.probe(&group, at(1_130)), Probed::Free);
}

#[test]
fn one_that_answers_for_everything_says_nothing() {
    let (mut pending, group) = (Pending::default(), group([1]));
    pending.probe(&group, at(0));
    pending.found(address(1), HOST, PROBE_AGAIN, at(1));
    assert_eq!(pending.probe(&group, at(1)), Probed::Taken(address(1), HOST));
    pending.is_proxy(HOST);
    assert_eq!(pending.probe(&group, at(130)), Probed::Free);
}

#[test]
fn another_address_in_the_group_makes_it_all_unknown_again() {
    let mut pending = Pending::default();
    pending.probe(&group([1]), at(0));
    assert_eq!(pending.probe(&group([1, 2]), at(130)), Probed::Asking);
    assert_eq!(pending.probe(&group([1, 2]), at(260)), Probed::Free);
}

#[test]
fn another_member_that_probes_is_left_alone_for_a_while() {
    let (mut pending, group) = (Pending::default(), group([1]));
    pending.probe(&group, at(0));
    assert_eq!(probed(&mut pending, 30), [0, 25]);
    pending.defer(&address(1), at(40));
    assert_eq!(probed(&mut pending, 600), [440, 465, 490, 515, 540]);
    assert_eq!(pending.probe(&group, at(569)), Probed::Asking);
    assert_eq!(pending.probe(&group, at(570)), Probed::Free);
}

#[test]
fn an_offer_that_is_not_taken_goes_to_the_next() {
    let (mut pending, group) = (Pending::default(), group([1]));
    let [first, next] = ["n2", "n3"].map(NodeName::from);
    assert_eq!(pending.offer(&group, first.clone(), at(0)), first);
    assert_eq!(pending.offer(&group, next.clone(), at(149)), first, "it has its time");
    assert_eq!(pending.spurned(&group, at(149)), BTreeSet::new());
    assert_eq!(pending.due(at(150)), [address(1)]);
    assert_eq!(pending.spurned(&group, at(150)), [first.clone()].into());
    assert_eq!(pending.offer(&group, next.clone(), at(150)), next);
    assert_eq!(pending.spurned(&group, at(1_149)), [first, next.clone()].into());
    assert_eq!(pending.spurned(&group, at(1_151)), [next].into(), "for a second");
}

#[test]
fn what_was_given_up_is_left_to_its_successor_for_a_moment() {
    let (mut pending, group) = (Pending::default(), group([1, 2]));
    assert_eq!(pending.is_vacated(&group, at(0)), None);
    pending.vacate(address(2), at(1_000));
    assert_eq!(pending.is_vacated(&group, at(1_100)), Some(Duration::from_millis(200)));
    assert_eq!(pending.is_vacated(&group, at(1_300)), None);
}

#[test]
fn the_time_without_an_owner_counts_from_the_last_one() {
    let (mut pending, key) = (Pending::default(), address(1));
    assert_eq!(pending.ownerless_since(&key, at(5)), at(5));
    assert_eq!(pending.ownerless_since(&key, at(9)), at(5));
    assert_eq!(pending.restless(), [key]);
    pending.has_owner(&key);
    assert_eq!(pending.restless(), [] as [IpAddr; 0]);
    assert_eq!(pending.ownerless_since(&key, at(20)), at(20));
}

#[test]
fn what_was_claimed_blindly_is_told_until_all_are_back() {
    let mut pending = Pending::default();
    pending.take_blindly(address(1));
    for (all_are_there, told) in
        [(false, vec![address(1)]), (true, vec![address(1)]), (true, vec![])]
    {
        assert_eq!(pending.claimed_blindly(all_are_there), told);
    }
}
