use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

const IP: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 17, 255, 1));
const OTHER: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd17, 0x255, 0, 0, 0, 0, 0, 2));

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One ask every 10 ms; each letter is who answers it 1 ms later, `.` nobody, upper case two:
/// `a` and the letter itself.
fn trace(script: &str) -> Trace {
    let mut trace = Trace::empty(&[IP], ms(10));
    for (index, who) in script.bytes().enumerate() {
        let ask = ms(10 * index as u64);
        trace.asks.push(ask);
        let mut answer = |mac: Mac, after: u64| {
            trace.answers.push(Answer { at: ask + ms(after), ip: IP, mac, frame_source: mac });
        };
        match who {
            b'.' => {}
            b'A'..=b'Z' => {
                answer(mac(b'a'), 1);
                answer(mac(who.to_ascii_lowercase()), 2);
            }
            _ => answer(mac(who), 1),
        }
        trace.end = ask + ms(10);
    }
    trace
}

#[test]
fn measures_a_gap_from_the_first_unanswered_ask_to_the_next_answer() {
    let gap = trace("aa...bb").longest_gap(IP);
    assert_eq!(gap, Gap { from: ms(20), to: ms(51), asks: 3 });
    assert_eq!(gap.length(), ms(31));
}

#[test]
fn finds_the_longest_of_several_gaps() {
    let trace = trace("a.a...a..a");
    assert_eq!(trace.gaps(IP).len(), 3);
    assert_eq!(trace.longest_gap(IP).asks, 3);
}

#[test]
fn ends_an_open_gap_with_the_trace() {
    assert_eq!(trace("aa..").longest_gap(IP), Gap { from: ms(20), to: ms(40), asks: 2 });
}

#[test]
fn sees_no_gap_where_every_ask_was_answered() {
    assert_eq!(trace("aaab").longest_gap(IP), Gap::default());
}

#[test]
fn does_not_judge_an_ask_that_had_no_time_yet() {
    let mut trace = trace("aa.");
    trace.end = ms(21);
    assert_eq!(trace.gaps(IP), []);
}

#[test]
fn keeps_addresses_apart() {
    let mut trace = trace("aaa");
    trace.addresses.push(OTHER);
    assert_eq!(trace.longest_gap(OTHER).asks, 3);
    assert_eq!(trace.longest_gap(IP).asks, 0);
}

#[test]
fn counts_changes_by_who_answers_first() {
    let want = [
        Change { at: ms(31), from: mac(b'a'), to: mac(b'b') },
        Change { at: ms(41), from: mac(b'b'), to: mac(b'a') },
    ];
    // In the last round `a` answers before `b`: no change.
    assert_eq!(trace("aa.bBa").changes(IP), want);
}

#[test]
fn counts_a_move_once_however_the_two_answer_meanwhile() {
    let want = Change { at: ms(41), from: mac(b'a'), to: mac(b'b') };
    let mut trace = trace("aaBBbb");
    // In the first of the two rounds with both, `b` answers before `a`.
    trace.answers.push(Answer { at: ms(20), ip: IP, mac: mac(b'b'), frame_source: mac(b'b') });
    trace.answers.sort_by_key(|answer| answer.at);
    assert_eq!(trace.changes(IP).len(), 3);
    assert_eq!(trace.moves(IP), [want]);
}

#[test]
fn takes_a_clean_handover_for_no_rivalry() {
    assert_eq!(trace("aaabbb").rivalries(IP), []);
}

#[test]
fn joins_asks_with_two_answers_into_times() {
    let script = format!("aBBa{}B", "b".repeat(20));
    let found = trace(&script).rivalries(IP);
    assert_eq!(found.len(), 2);
    let both = BTreeSet::from([mac(b'a'), mac(b'b')]);
    assert_eq!(found[0], Rivalry { from: ms(10), to: ms(20), macs: both, asks: 2, sure: 2 });
}

#[test]
fn doubts_a_second_answer_that_may_be_late() {
    // The first of the two may answer the ask before, which went unanswered in its time.
    let found = trace("a.Bb").rivalries(IP);
    assert_eq!((found[0].asks, found[0].sure), (1, 0));
}

/// Adds one answer, 3 ms after the ask with this number.
fn late(trace: &mut Trace, ask: u64, who: u8) {
    let (at, mac) = (ms(10 * ask + 3), mac(who));
    trace.answers.push(Answer { at, ip: IP, mac, frame_source: mac });
    trace.answers.sort_by_key(|answer| answer.at);
}

#[test]
fn counts_late_answers_of_one_machine_for_the_asks_before() {
    assert_eq!(trace("aa...aa").unanswered(IP), [ms(20), ms(30), ms(40)]);
    // Two more answers beside the one to the ask itself: the ask at 20 ms went unanswered.
    let mut slow = trace("aa...aa");
    late(&mut slow, 5, b'a');
    late(&mut slow, 5, b'a');
    assert_eq!(slow.unanswered(IP), [ms(20)]);
    assert_eq!(slow.gaps(IP)[0].asks, 3, "a client waited all the same");
}

#[test]
fn finds_the_ask_of_every_answer_when_a_machine_was_slow_for_several() {
    // It wakes up 1 ms before the ask at 50 ms: the answer to the one at 20 ms comes before that,
    // three after it.
    let mut slow = trace("aa...aa");
    slow.answers.retain(|answer| answer.at != ms(51));
    for at in [49, 51, 51, 52] {
        slow.answers.push(Answer { at: ms(at), ip: IP, mac: mac(b'a'), frame_source: mac(b'a') });
    }
    slow.answers.sort_by_key(|answer| answer.at);
    assert_eq!(slow.unanswered(IP), [] as [Duration; 0]);
    // Had it lost one, that would show.
    slow.answers.retain(|answer| answer.at != ms(52));
    assert_eq!(slow.unanswered(IP), [ms(20)]);
}

#[test]
fn finds_a_lost_ask_among_late_answers() {
    // Each answer comes after the next ask, and the one to the ask at 30 ms never.
    let mut late = Trace::empty(&[IP], ms(10));
    late.asks = (0..8).map(|index| ms(10 * index)).collect();
    let answered = (0..7).filter(|index| *index != 3);
    late.answers = answered
        .map(|index| Answer {
            at: ms(10 * index + 14),
            ip: IP,
            mac: mac(b'a'),
            frame_source: mac(b'a'),
        })
        .collect();
    late.end = ms(80);
    // Which ones cannot be known from outside, as nothing says that answers are late; how many can.
    assert_eq!(late.unanswered(IP), [ms(0), ms(40)]);
}

#[test]
fn takes_no_second_machine_and_no_very_late_answer_for_an_answer_to_an_earlier_ask() {
    let mut two = trace("aa..aa");
    late(&mut two, 4, b'b');
    assert_eq!(two.unanswered(IP), [ms(20), ms(30)]);
    // Of one machine twelve in a row, at 133 ms: the earliest asks are too long ago.
    let mut hung = trace("a............a");
    for _ in 0..12 {
        late(&mut hung, 13, b'a');
    }
    assert_eq!(hung.unanswered(IP), [ms(10), ms(20), ms(30)]);
}

#[test]
fn leaves_an_ask_open_that_no_machine_can_have_meant() {
    // `b` had nothing to do with the first asks, but might have answered them.
    let mut both = trace("a.ab");
    late(&mut both, 3, b'b');
    late(&mut both, 3, b'b');
    assert_eq!(both.unanswered(IP), [] as [Duration; 0]);
    // An answer is never to an ask that comes after it.
    let mut early = trace("aa.a");
    late(&mut early, 1, b'a');
    assert_eq!(early.unanswered(IP), [ms(20)]);
}

#[test]
fn finds_the_first_answer_by_another_after_an_instant() {
    let trace = trace("ab..b");
    let first = trace.first_answer_by_other(IP, mac(b'a'), ms(15)).unwrap();
    assert_eq!((first.at, first.mac), (ms(41), mac(b'b')));
    assert_eq!(trace.first_answer_by_other(IP, mac(b'b'), ms(15)), None);
}

#[test]
fn knows_the_owner_at_a_time() {
    let trace = trace("aab");
    assert_eq!(trace.owner_at(IP, ms(0)), None);
    assert_eq!(trace.owner_at(IP, ms(15)), Some(mac(b'a')));
    assert_eq!(trace.owner_at(IP, ms(25)), Some(mac(b'b')));
}

#[test]
fn is_steady_only_with_one_answerer_and_no_gap() {
    for (script, from, steady) in [
        ("aaaa", 0, true),
        ("aabb", 0, false),
        ("aabbbb", 20, true),
        ("aa......aa", 0, false),
        ("....", 0, false),
        ("", 0, false),
    ] {
        let result = trace(script).steady_since(ms(from));
        assert_eq!(result.is_ok(), steady, "{script} since {from}: {result:?}");
    }
}

#[test]
fn prints_a_timeline() {
    let mut trace = trace("aa.aa....bbBB");
    trace.name(mac(b'a'), "n1");
    trace.name(mac(b'b'), "n2");
    let mac = mac(b'b');
    let kind = Kind::GratuitousRequest;
    trace.announcements.push(Announcement { at: ms(89), ip: IP, mac, kind });
    let text = trace.to_string();
    let want = "  172.17.255.1
        0.000 -     0.040  n1 (5 asks)
        0.050 -     0.080  nobody (4 asks)
        0.090 -     0.100  n2 (2 asks)
        0.110 -     0.120  n1 and n2 AT ONCE (2 asks)
    announced:     0.089 n2 request
";
    assert!(text.ends_with(want), "{text}");
}

#[test]
fn tells_how_close_two_machines_answered() {
    assert_eq!(trace("aaa").closest_rivals(IP), None);
    assert_eq!(trace("aa...b").closest_rivals(IP), Some(ms(40)));
    assert_eq!(trace("aa...bB").closest_rivals(IP), Some(ms(1)));
}
