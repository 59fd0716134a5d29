//! Draws a cluster and a schedule of faults from a seed: faults alone, so that the strict bounds
//! hold, and faults together, with quiet phases between.

use std::collections::{BTreeMap, BTreeSet};

use crate::dice::Dice;
use crate::fault::{Fault, LINGER, Planned};
use crate::scenario::{SETTLED, Scenario};
use crate::time::{At, MS, SEC};
use crate::wire::Switches;

/// A run lasts at least this long.
const LENGTH: At = 60 * SEC;

/// The cluster and schedule of a seed.
pub(crate) fn draw(seed: u64) -> Scenario {
    let mut dice = Dice::new(seed ^ 0x5eed);
    let nodes = [3, 3, 4, 4, 5, 5, 5, 6, 7, 2, 10, 3][dice.index(12)];
    let services = 3 + dice.index(12);
    let switches = Switches {
        loss: [0, 0, 0, 5, 20, 50][dice.index(6)],
        twice: [0, 0, 2, 10][dice.index(4)],
        late: [0, 5, 30][dice.index(3)],
        suppress: dice.permille(60).then(BTreeMap::new),
        proxy: dice.permille(60),
    };
    // A switch that has learned an address from the router answers with that one for good, and
    // nobody can see a foreign host behind it.
    let switches = Switches { proxy: switches.proxy && switches.suppress.is_none(), ..switches };
    let arp_ignore = dice.permille(60).then(|| dice.index(nodes));
    let mut scenario = Scenario {
        segments: if dice.permille(200) { 2 } else { 1 },
        local: dice.permille(500),
        shared: dice.permille(400),
        dual: Dice::new(seed ^ 0xd0a1).permille(300),
        chatter: Dice::new(seed ^ 0xc4a7).permille(500),
        switches,
        arp_ignore,
        // A dice of its own: the rest of a seed is the same with and without.
        planner: Dice::new(seed ^ 0x0b_a1a5).permille(300),
        ..Scenario::calm(seed, nodes, services)
    };
    let mut at = SETTLED + dice.between(0, 2 * SEC);
    while at < LENGTH {
        let together = if dice.permille(700) { 1 } else { 2 + dice.index(2) };
        let mut end = at;
        for _ in 0..together {
            let begin = at + if together > 1 { dice.between(0, 4 * SEC) } else { 0 };
            let (lasts, fault) = fault(&mut dice, &scenario);
            let tail = match fault {
                Fault::Rollout => SEC * 6 * scenario.nodes as u64,
                Fault::Restart(_) | Fault::RestartAll => 7 * SEC,
                Fault::Crash(_) => 5 * SEC,
                _ => 0,
            };
            end = end.max(begin + lasts + tail);
            scenario.planned.push(Planned { at: begin, lasts, fault });
        }
        at = end + LINGER + dice.between(2 * SEC, 4 * SEC);
    }
    scenario.lasts = at;
    scenario
}

fn set(dice: &mut Dice, nodes: usize) -> BTreeSet<usize> {
    let many = 1 + dice.index(nodes - 1);
    let mut set = BTreeSet::new();
    while set.len() < many {
        set.insert(dice.index(nodes));
    }
    set
}

fn fault(dice: &mut Dice, scenario: &Scenario) -> (At, Fault) {
    let nodes = scenario.nodes;
    let node = dice.index(nodes);
    let segment = dice.index(scenario.segments);
    let service = 1 + dice.index(scenario.services);
    let other = 1 + dice.index(scenario.services);
    let short = dice.between(200 * MS, 4 * SEC);
    let long = dice.between(3 * SEC, 15 * SEC);
    let any = if dice.permille(300) { short } else { long };
    match dice.index(40) {
        0..=3 => (long, Fault::Crash(node)),
        4..=6 => (any, Fault::Cut(node)),
        7 => (any, Fault::DeadPort(node, segment)),
        8 | 9 => (any, Fault::Unplug(node, segment)),
        10 => (long, Fault::Flap(node, segment)),
        11 => (any, Fault::Pause(node)),
        12..=15 => (dice.between(300 * MS, 20 * SEC), Fault::Kill(node)),
        16 | 17 => (any, Fault::Hang(node)),
        18 | 19 => (0, Fault::Restart(node)),
        20 => (0, Fault::Rollout),
        21 => (0, Fault::RestartAll),
        22 => (any, Fault::MeshCut(set(dice, nodes))),
        23 => (any, Fault::NoFrames),
        24 => (any, Fault::WireCut(set(dice, nodes))),
        25 => (any, Fault::Halves(set(dice, nodes))),
        26 => (any, Fault::OneWay(node, dice.permille(500))),
        27 => (any, Fault::Isolate),
        28 => (any, Fault::Loss([10, 30, 50, 200, 500][dice.index(5)])),
        29 => (long, Fault::ApiOutage),
        30 => (long, Fault::StaleWatch(node)),
        31 => (0, Fault::OldRecords),
        32 => {
            let by = i64::try_from(dice.between(0, 7_200_000)).unwrap() - 3_600_000;
            (dice.between(300 * MS, 5 * SEC), Fault::ClockJump(node, by))
        }
        33 => (long, Fault::Exclude(node)),
        34 => (long, Fault::Drain(node)),
        35 if scenario.local => (0, Fault::Endpoints(4)),
        35 | 36 => (0, if dice.permille(500) { Fault::Create } else { Fault::Delete(service) }),
        37 if service != other => (0, Fault::Share(service, other)),
        37 => (0, Fault::AddNode),
        38 if dice.permille(500) => (long, Fault::ForeignBefore),
        38 => (long, Fault::ForeignAfter(service)),
        _ => (0, Fault::Order(service, node, dice.permille(600))),
    }
}
