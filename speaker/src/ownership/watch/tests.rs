//! One member in charge, in front of a machine of which a test says what still works.

use std::time::Duration;

use super::*;

fn at(ms: u64) -> Moment {
    Moment::after_start(Duration::from_millis(ms))
}

/// What can be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// Its agent answers the watch.
    Agent,
    /// Its kernel answers for the node's own address.
    Kernel,
    /// Its agent answers clients on the wire.
    Wire,
    /// It has spoken by frames of ours before.
    Frames,
    /// Other hosts are heard.
    Company,
}

use Sign::{Agent, Company, Frames, Kernel, Wire};

type Signs = &'static [Sign];

const WELL: Signs = &[Agent, Kernel, Wire, Frames, Company];
const DEAD: Signs = &[Frames, Company];
const AGENTLESS: Signs = &[Kernel, Frames, Company];
/// No kernel answers ARP for its own address, as on some links.
const WITNESSLESS: Signs = &[Agent, Wire, Frames, Company];

struct Scene {
    watch: Watch,
    lives: Lives,
    node: NodeName,
    signs: Signs,
    now: u64,
    nonces: u64,
}

impl Scene {
    /// A member that was well for a second, at the end of which it is like this.
    fn then(signs: Signs) -> Self {
        let mut scene = Self::new(WELL);
        scene.run(1_000);
        scene.signs = signs;
        scene
    }

    fn new(signs: Signs) -> Self {
        let node = NodeName::from("n2");
        let (mut watch, mut lives) = (Watch::default(), Lives::default());
        watch.set_charges(&BTreeSet::from([node.clone()]), at(0));
        lives.set(&node, Life::Present, at(0));
        Self { watch, lives, node, signs, now: 0, nonces: 0 }
    }

    /// Lets time pass until `end`; gives what was wanted, and when.
    fn run(&mut self, end: u64) -> Vec<(u64, Act)> {
        let mut acts = Vec::new();
        while self.now < end {
            if self.watch.next_deadline().is_some_and(|due| due <= at(self.now)) {
                let wanted = self.tick();
                for act in &wanted {
                    self.carry_out(act);
                }
                acts.extend(wanted.into_iter().map(|act| (self.now, act)));
                self.idle_ticks(at(self.now));
            }
            self.now += 1;
        }
        acts
    }

    /// Whoever is woken has something to do, or the process would turn in circles: at the latest the
    /// second time in a moment nothing more is due.
    fn idle_ticks(&mut self, now: Moment) {
        for _ in 0..2 {
            if self.watch.next_deadline().is_none_or(|due| due > now) {
                return;
            }
            for act in self.tick() {
                self.carry_out(&act);
            }
        }
        let due = self.watch.next_deadline();
        assert!(due.is_none_or(|due| due > now), "due {due:?} at {now:?}, again and again");
    }

    fn tick(&mut self) -> Vec<Act> {
        let is_heard = |sign| self.signs.contains(&sign);
        let mut around = Surroundings {
            lives: &self.lives,
            proof: None,
            frames: is_heard(Company).then_some(at(self.now)),
            spoke_by_frame: &|_| is_heard(Frames),
            mesh_lost: &|_| !is_heard(Agent),
            nonce: &mut || {
                self.nonces += 1;
                self.nonces
            },
        };
        self.watch.tick(&mut around, at(self.now))
    }

    /// The network is as fast as can be.
    fn carry_out(&mut self, act: &Act) {
        let now = at(self.now);
        match act {
            Act::Ask { node, nonce, .. } => {
                if self.signs.contains(&Agent) && self.watch.answered(node, *nonce).is_some() {
                    self.watch.settle(node);
                }
            }
            Act::Question(node) => {
                if self.signs.contains(&Kernel) {
                    self.watch.testify(node, now);
                }
                if self.signs.contains(&Wire) {
                    self.watch.seen_answering(node, now);
                }
            }
            Act::Suspect { node, .. } => {
                self.lives.set(node, Life::Suspected, now);
            }
            Act::Hears { node, .. } => {
                self.lives.set(node, Life::Present, now);
            }
            Act::Verdict { node, gone } => {
                self.lives.set(node, if *gone { Life::Gone } else { Life::Away }, now);
            }
            Act::Count => {}
        }
    }
}

/// When a doubt first began.
fn doubted(acts: &[(u64, Act)]) -> Option<u64> {
    acts.iter().find(|(_, act)| matches!(act, Act::Suspect { .. })).map(|(when, _)| *when)
}

/// What came of a doubt first, and how long after its begin.
fn verdict(acts: &[(u64, Act)]) -> Option<(u64, Act)> {
    let began = doubted(acts)?;
    let ends = |act: &Act| matches!(act, Act::Verdict { .. } | Act::Hears { .. });
    let (when, act) = acts.iter().find(|(_, act)| ends(act))?;
    Some((when - began, act.clone()))
}

fn verdict_on(node: &NodeName, gone: bool) -> Act {
    Act::Verdict { node: node.clone(), gone }
}

#[test]
fn one_that_answers_is_asked_eight_times_a_second_and_not_doubted() {
    let acts = Scene::new(WELL).run(1_000);
    let asks = acts.iter().filter(|(_, act)| matches!(act, Act::Ask { .. }));
    let times: Vec<u64> = asks.map(|(when, _)| *when).collect();
    assert_eq!(times, [0, 125, 250, 375, 500, 625, 750, 875]);
    assert_eq!(doubted(&acts), None);
}

#[test]
fn the_second_miss_begins_a_doubt() {
    let mut scene = Scene::then(DEAD);
    let acts = scene.run(2_000);
    let asks = acts.iter().filter_map(|(when, act)| match act {
        Act::Ask { everywhere, .. } => Some((*when, *everywhere)),
        _ => None,
    });
    let first: Vec<(u64, bool)> = asks.take(2).collect();
    assert_eq!(first, [(1_000, false), (1_080, true)], "after a miss it is asked everywhere");
    assert_eq!(doubted(&acts), Some(1_160));
}

#[test]
fn what_still_answers_decides_what_it_is() {
    let (gone, away) = (true, false);
    let cases: [(&str, Signs, Option<bool>); 6] = [
        ("nothing", DEAD, Some(gone)),
        ("nothing, as nobody else does", &[Frames], None),
        ("its kernel", AGENTLESS, Some(away)),
        ("its kernel alone", &[Kernel, Frames], Some(away)),
        ("the wire, for one that spoke by frames", &[Wire, Frames, Company], Some(gone)),
        ("both, for one that spoke by frames", &[Kernel, Wire, Frames, Company], Some(away)),
    ];
    for (what, signs, expected) in cases {
        let mut scene = Scene::then(signs);
        let verdict = verdict(&scene.run(3_000));
        let expected = expected.map(|gone| (150, verdict_on(&scene.node, gone)));
        assert_eq!(verdict, expected, "{what} answers");
    }
    // Of one that never spoke by frames the wire's word is enough: only our questions get lost.
    let mut scene = Scene::then(&[Kernel, Wire, Company]);
    let acquitted = verdict(&scene.run(1_400));
    let nonce = scene.nonces;
    assert!(
        matches!(&acquitted, Some((150, Act::Hears { nonce: n, .. })) if *n <= nonce),
        "{acquitted:?}"
    );
}

#[test]
fn the_wire_alone_acquits_for_a_few_seconds_only() {
    let mut scene = Scene::then(&[Wire, Company]);
    let acts = scene.run(10_000);
    let gone = acts.iter().find(|(_, act)| *act == verdict_on(&scene.node, true));
    let acquitted = acts.iter().find(|(_, act)| matches!(act, Act::Hears { .. }));
    let (gone, acquitted) = (gone.unwrap().0, acquitted.unwrap().0);
    assert!((acquitted + 5_000..acquitted + 6_000).contains(&gone), "{acquitted}, {gone}");
}

#[test]
fn after_a_hang_up_there_is_no_waiting_for_misses_and_more_time_for_the_kernel() {
    for (signs, gone) in [(AGENTLESS, false), (DEAD, true)] {
        let mut scene = Scene::then(signs);
        scene.run(1_010);
        scene.lives.hang_up(&scene.node);
        scene.watch.doubt(&scene.node, at(1_010));
        let acts = scene.run(2_000);
        assert_eq!(doubted(&acts), Some(1_010));
        let (after, act) = verdict(&acts).unwrap();
        assert_eq!(act, verdict_on(&scene.node, gone), "{signs:?}");
        assert!((300..=330).contains(&after), "{signs:?}: {after}");
    }
}

#[test]
fn a_hang_up_is_enough_where_no_kernel_ever_answered() {
    let mut scene = Scene::new(WITNESSLESS);
    scene.run(1_000);
    scene.signs = DEAD;
    scene.lives.hang_up(&scene.node);
    scene.watch.doubt(&scene.node, at(1_000));
    let act = verdict(&scene.run(2_000)).map(|(_, act)| act);
    assert_eq!(act, Some(verdict_on(&scene.node, false)));
}

#[test]
fn without_a_witness_only_the_mesh_can_tell_and_takes_its_time() {
    let mut scene = Scene::new(WITNESSLESS);
    scene.run(1_000);
    scene.signs = DEAD;
    let (after, act) = verdict(&scene.run(5_000)).unwrap();
    assert_eq!(act, verdict_on(&scene.node, true));
    assert!((2_000..2_500).contains(&after), "{after}");
}

#[test]
fn another_watcher_that_hears_it_ends_the_doubt_for_a_second() {
    let mut scene = Scene::then(DEAD);
    let nonce = scene.run(1_200).into_iter().find_map(|(_, act)| match act {
        Act::Suspect { nonce, .. } => Some(nonce),
        _ => None,
    });
    let node = scene.node.clone();
    scene.watch.veto(&node, nonce.unwrap() + 1);
    let other = scene.run(1_230);
    assert!(other.iter().any(|(_, act)| matches!(act, Act::Suspect { .. })), "not this doubt");
    scene.watch.veto(&node, nonce.unwrap());
    let hushed = scene.run(2_229);
    assert_eq!(doubted(&hushed), None);
    assert!(doubted(&scene.run(2_400)).is_some(), "nobody has heard it since");
}

#[test]
fn one_that_was_cut_off_itself_doubts_anew_once_it_hears_others() {
    let mut scene = Scene::then(&[Frames]);
    assert_eq!(verdict(&scene.run(1_500)), None);
    scene.signs = DEAD;
    let (node, acts) = (scene.node.clone(), scene.run(3_000));
    let gone = acts.iter().find(|(_, act)| *act == verdict_on(&node, true)).unwrap().0;
    assert!(gone >= 1_500 + 150, "{gone}");
}

#[test]
fn a_node_whose_agent_is_away_is_gone_once_its_kernel_falls_silent() {
    let mut scene = Scene::then(AGENTLESS);
    scene.run(5_000);
    assert_eq!(scene.lives.of(&scene.node), Life::Away, "its kernel goes on answering");
    scene.signs = DEAD;
    let acts = scene.run(6_000);
    let gone = acts.iter().find(|(_, act)| *act == verdict_on(&scene.node, true)).unwrap().0;
    assert!((5_150..5_400).contains(&gone), "{gone}");
}

#[test]
fn one_that_is_gone_is_asked_rarely_and_for_ever() {
    let mut scene = Scene::then(DEAD);
    scene.run(5_000);
    let acts = scene.run(9_000);
    let asks = acts.iter().filter(|(_, act)| matches!(act, Act::Ask { everywhere: true, .. }));
    assert_eq!((asks.count(), doubted(&acts)), (10, None));
}
