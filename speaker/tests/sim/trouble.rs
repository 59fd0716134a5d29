//! Has faults happen to the world, and end.

use std::collections::BTreeSet;

use speaker::engine::Event;

use crate::fault::{Episode, Fault};
use crate::happening::Happening;
use crate::node::{Node, NodeId, Segment};
use crate::time::{MS, SEC};
use crate::wire::{Cut, Station};
use crate::world::World;

impl World {
    pub(crate) fn begin(&mut self, number: usize) {
        let fault = self.planned[number].fault.clone();
        if fault.is_change() && (self.api_away || !self.deaf_watches.is_empty()) {
            return;
        }
        self.say(|| format!("FAULT {number} begins: {fault:?}"));
        let episode = Episode { fault: fault.clone(), begin: self.now, end: None, service: None };
        self.episodes.insert(number, episode);
        let cut = |set: &BTreeSet<NodeId>| {
            let nodes = set.iter().map(|id| Station::Node(*id));
            let clients = (0..self.caches.len()).filter(|client| client % 2 == 1);
            nodes.chain(clients.map(Station::Client)).collect::<BTreeSet<_>>()
        };
        match fault {
            Fault::Crash(id) => self.crash(id),
            Fault::Cut(id) => self.cut(number, Cut::Apart([Station::Node(id)].into())),
            Fault::DeadPort(id, segment) => self.cut(number, Cut::Port(id, segment)),
            Fault::Unplug(id, segment) => self.plug(id, segment, false),
            Fault::Flap(..) | Fault::Rollout => {
                self.queue.push(self.now, Happening::Step(number, 0));
            }
            Fault::Pause(id) => self.nodes[id].paused = Some(self.now),
            Fault::Kill(id) => self.end_agent(id),
            Fault::Hang(id) => self.with_agent(id, |agent| agent.hung = Some(Vec::new())),
            Fault::Restart(id) => self.stop_agent(id),
            Fault::RestartAll => (0..self.nodes.len()).for_each(|id| {
                self.end_agent(id);
                let delay = self.dice.between(SEC / 5, 3 * SEC);
                self.queue.push(self.now + delay, Happening::Start(id));
            }),
            Fault::MeshCut(set) => self.cut(number, Cut::Mesh(set)),
            Fault::NoFrames => self.cut(number, Cut::Frames),
            Fault::NoMesh => self.cut(number, Cut::AllMesh),
            Fault::WireCut(set) => self.cut(number, Cut::Layer2(set)),
            Fault::Halves(set) => {
                let apart = Cut::Apart(cut(&set));
                self.cut(number, apart);
            }
            Fault::OneWay(id, deaf) => {
                let one = BTreeSet::from([Station::Node(id)]);
                let rest = (0..self.nodes.len()).filter(|other| *other != id);
                let rest: BTreeSet<Station> = rest.map(Station::Node).collect();
                let (from, to) = if deaf { (rest, one) } else { (one, rest) };
                self.cut(number, Cut::Mute { from, to });
            }
            Fault::Isolate => self.cut(number, Cut::Isolated),
            Fault::Loss(permille) => self.burst = permille,
            Fault::ApiOutage => self.api_away = true,
            Fault::StaleWatch(id) => {
                self.deaf_watches.insert(id);
            }
            Fault::ClockJump(id, by) => {
                self.nodes[id].wall_offset += by;
                self.end_agent(id);
            }
            Fault::Exclude(id) | Fault::Drain(id) => self.mark(id, &fault, true),
            Fault::OldRecords => self.restore_records(),
            Fault::Order(service, to, valid) => self.order(service, to, valid),
            Fault::AddNode => self.add_node(),
            Fault::Endpoints(_)
            | Fault::Create
            | Fault::Delete(_)
            | Fault::Share(..)
            | Fault::ForeignBefore
            | Fault::ForeignAfter(_)
            | Fault::Program(_) => self.change_services(number, &fault),
        }
        self.dirty.everything();
    }

    pub(crate) fn end(&mut self, number: usize) {
        if !self.episodes.contains_key(&number) {
            return;
        }
        let fault = self.planned[number].fault.clone();
        self.cuts.retain(|(of, _)| *of != number);
        // Those end when the agents are back, see `settle_restarts`.
        let over = !fault.brings_agents_back();
        match fault {
            Fault::Crash(id) => self.boot(id),
            Fault::Unplug(id, segment) | Fault::Flap(id, segment) => self.plug(id, segment, true),
            Fault::Pause(id) => self.resume(id),
            Fault::Kill(id) | Fault::ClockJump(id, _) => self.start_agent(id),
            Fault::Hang(id) => self.go_on(id),
            Fault::Loss(_) => self.burst = 0,
            Fault::ApiOutage => self.api_away = false,
            Fault::StaleWatch(id) => {
                self.deaf_watches.remove(&id);
            }
            Fault::Exclude(id) | Fault::Drain(id) => self.mark(id, &fault, false),
            Fault::ForeignBefore | Fault::ForeignAfter(_) => {
                self.foreigner_leaves(number);
            }
            Fault::Program(_) => self.program_stops(number),
            _ => {}
        }
        if over {
            self.over(number);
        }
        self.dirty.everything();
    }

    fn over(&mut self, number: usize) {
        let now = self.now;
        if let Some(episode) = self.episodes.get_mut(&number).filter(|e| e.end.is_none()) {
            episode.end = Some(now);
            let fault = episode.fault.clone();
            self.say(|| format!("FAULT {number} ends: {fault:?}"));
        }
    }

    /// The restarts that are done: their agents are back and at work.
    pub(crate) fn settle_restarts(&mut self) {
        let active = |node: &Node| {
            let agent = node.agent.as_ref();
            !node.power || agent.is_some_and(|agent| agent.engine.is_active() && !agent.leaving)
        };
        let done = self.episodes.iter().filter(|(_, episode)| {
            let begun = episode.end.is_none() && episode.begin + SEC / 4 < self.now;
            begun
                && match &episode.fault {
                    Fault::Restart(id) => active(&self.nodes[*id]),
                    Fault::Crash(id) | Fault::Kill(id) | Fault::ClockJump(id, _) => {
                        self.nodes[*id].power && active(&self.nodes[*id])
                    }
                    Fault::RestartAll | Fault::AddNode => self.nodes.iter().all(active),
                    _ => false,
                }
        });
        let done: Vec<usize> = done.map(|(number, _)| *number).collect();
        for number in done {
            self.over(number);
        }
    }

    pub(crate) fn step(&mut self, number: usize, step: u32) {
        let Some(episode) = self.episodes.get(&number).filter(|e| e.end.is_none()) else { return };
        match episode.fault.clone() {
            Fault::Flap(id, segment) if self.now < episode.begin + self.planned[number].lasts => {
                self.plug(id, segment, step % 2 == 1);
                let next = self.dice.between(50 * MS, 1_500 * MS);
                self.queue.push(self.now + next, Happening::Step(number, step + 1));
            }
            Fault::Rollout => self.roll(number, step as usize),
            Fault::ForeignAfter(_) => self.insist(number, step),
            _ => {}
        }
    }

    /// Restarts node `id` of a rollout once the one before is back.
    fn roll(&mut self, number: usize, id: NodeId) {
        let ready = |id: NodeId| {
            let node = &self.nodes[id];
            let agent = node.agent.as_ref();
            !node.power || agent.is_some_and(|a| a.engine.is_active() && !a.leaving)
        };
        let again = self.now + 300 * MS;
        let at = u32::try_from(id).unwrap();
        if id > 0 && !ready(id - 1) {
            self.queue.push(again, Happening::Step(number, at));
        } else if id == self.nodes.len() {
            self.over(number);
        } else {
            self.stop_agent(id);
            self.queue.push(again, Happening::Step(number, at + 1));
        }
    }

    fn cut(&mut self, number: usize, cut: Cut) {
        self.cuts.push((number, cut));
    }

    fn crash(&mut self, id: NodeId) {
        let node = &mut self.nodes[id];
        (node.power, node.agent, node.writing) = (false, None, false);
        node.writes.clear();
    }

    fn boot(&mut self, id: NodeId) {
        self.nodes[id].power = true;
        let delay = self.dice.between(SEC / 2, 4 * SEC);
        self.queue.push(self.now + delay, Happening::Start(id));
    }

    /// The kernel tells the agent of a carrier that came or went.
    fn plug(&mut self, id: NodeId, segment: Segment, carrier: bool) {
        if self.nodes[id].cables[segment] == carrier {
            return;
        }
        self.nodes[id].cables[segment] = carrier;
        self.say_loud(|| format!("n{id}: eth{segment} carrier {carrier}"));
        self.dirty.everything();
        let links = Box::new(Event::Links(self.nodes[id].links()));
        if let Some(agent) = &self.nodes[id].agent {
            let life = agent.life;
            let delay = self.dice.between(MS, 20 * MS);
            let at = (self.now + delay).max(self.links_from) + 1;
            self.links_from = at;
            self.queue.push(at, Happening::Tell(id, life, links));
        }
    }

    fn resume(&mut self, id: NodeId) {
        let now = self.now;
        self.nodes[id].resume(now);
        let moment = self.nodes[id].moment(now);
        if let Some(agent) = &mut self.nodes[id].agent {
            agent.wake = None;
            if agent.silence.is_none() && agent.deadline.is_some() {
                self.watch_silence(id, moment);
            }
        }
        self.process(id);
        self.set_wake(id);
    }

    /// A process goes on: its ports find what has queued up, then the engine does.
    fn go_on(&mut self, id: NodeId) {
        let Some(agent) = &mut self.nodes[id].agent else { return };
        let waiting = agent.hung.take().unwrap_or_default();
        agent.wake = None;
        for (segment, frame) in waiting {
            self.port(id, segment, &frame);
        }
        self.process(id);
        self.set_wake(id);
    }

    /// Tells an agent to stop, and ends it when its time is over.
    fn stop_agent(&mut self, id: NodeId) {
        let Some(agent) = &mut self.nodes[id].agent else { return };
        agent.leaving = true;
        let life = agent.life;
        self.tell(id, Event::Shutdown);
        self.queue.push(self.now + 5 * SEC, Happening::GraceOver(id, life));
    }
}
