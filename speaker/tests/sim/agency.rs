//! The agents: how a real engine is started, fed and obeyed. This is `run` and `run::shell` with
//! virtual time.

use std::collections::{BTreeMap, BTreeSet};

use speaker::announce::desired::Desired;
use speaker::announce::table::Table;
use speaker::engine::{Effect, Engine, Event, Settings, Standing};
use speaker::link::Exclusions;
use speaker::mesh::seal::SecretKey;
use speaker::mesh::{Identity, Member};

use crate::happening::Happening;
use crate::node::{self, Agent, Life, NodeId};
use crate::reporter::Write;
use crate::time::{At, MS, SEC};
use crate::wire::{LINK_FRAME, Station};
use crate::world::World;

/// 2025, for wall clocks.
const EPOCH_MS: u64 = 1_750_000_000_000;

/// Woken for nothing so often in a row, an agent burns its processor.
const IDLE: u32 = 4;

impl World {
    /// Starts the agent of a node that runs and has none.
    pub(crate) fn start_agent(&mut self, id: NodeId) {
        let node = &self.nodes[id];
        if !node.power || node.agent.is_some() {
            return;
        }
        if node.paused.is_some() {
            self.queue.push(self.now + SEC, Happening::Start(id));
            return;
        }
        self.lives += 1;
        let life = self.lives;
        let born = node.clock(self.now);
        let mut instance = [0; 16];
        instance[..8].copy_from_slice(&self.dice.next().to_be_bytes());
        instance[8..].copy_from_slice(&self.dice.next().to_be_bytes());
        let wall = (EPOCH_MS + self.now / MS).saturating_add_signed(node.wall_offset);
        let member = Member {
            node: node.name.clone(),
            addr: node::mesh_address(id),
            started: wall,
            renewals: 0,
        };
        let keys = SecretKey::derive(b"a secret of all speakers").into();
        let identity = Identity { member, instance, keys, seed: self.dice.next() };
        let mut settings = Settings {
            node: node.name.clone(),
            exclusions: Exclusions::new(["^lo$"]).unwrap(),
            ignore_exclude_label: false,
            announcements_per_second: 10_000,
            deputies: true,
            seed: self.dice.next(),
            mesh: Some(identity),
            defect: None,
        };
        (self.tune)(&mut settings);
        let engine = Engine::new(settings, speaker::moment::Moment::START);
        let since = self.now;
        self.nodes[id].agent = Some(Agent {
            life,
            engine,
            born,
            since,
            inbox: Vec::new(),
            idle: 0,
            processing: false,
            wake: None,
            desired: Desired::new(),
            table: Table::default(),
            ports: Vec::new(),
            ranges: Vec::new(),
            deadline: None,
            silence: None,
            hung: None,
            attended: BTreeMap::new(),
            acquainted: BTreeSet::new(),
            members: BTreeSet::new(),
            leaving: false,
            reported: BTreeMap::new(),
            listed: false,
        });
        self.say(|| format!("n{id}: agent starts"));
        let links = Box::new(Event::Links(self.nodes[id].links()));
        let soon = self.dice.between(2 * MS, 15 * MS);
        self.queue.push(self.now + soon, Happening::Tell(id, life, links));
        let listed = self.dice.between(20 * MS, 300 * MS);
        self.list_after(id, listed);
        self.queue.push(self.now + SEC, Happening::ReadFile(id, life));
        self.process_soon(id);
    }

    pub(crate) fn is_life(&self, id: NodeId, life: Life) -> bool {
        self.nodes[id].agent.as_ref().is_some_and(|agent| agent.life == life)
    }

    /// Puts an event into the agent's inbox.
    pub(crate) fn tell(&mut self, id: NodeId, event: Event) {
        let Some(agent) = &mut self.nodes[id].agent else { return };
        // What a socket holds for a process that does not read.
        if agent.hung.is_some() && agent.inbox.len() > 400 && matches!(event, Event::Datagram(_)) {
            return;
        }
        agent.inbox.push(event);
        self.process_soon(id);
    }

    fn process_soon(&mut self, id: NodeId) {
        let delay = self.dice.between(10, 120);
        let Some(agent) = &mut self.nodes[id].agent else { return };
        if !agent.processing {
            agent.processing = true;
            let process = Happening::Process(id, agent.life);
            self.queue.push(self.now + delay, process);
        }
    }

    /// The agent takes what waits, and its effects are carried out.
    pub(crate) fn process(&mut self, id: NodeId) {
        let moment = self.nodes[id].moment(self.now);
        let node = &mut self.nodes[id];
        let awake = node.is_awake();
        let Some(agent) = &mut node.agent else { return };
        agent.processing = false;
        if !awake || agent.hung.is_some() {
            return;
        }
        self.calls += 1;
        let has_news = !agent.inbox.is_empty();
        let effects = agent.engine.on(agent.inbox.drain(..), moment);
        let is_due = agent.engine.next_deadline().is_some_and(|due| due <= moment);
        agent.idle = if is_due && !has_news && effects.is_empty() { agent.idle + 1 } else { 0 };
        if agent.idle > IDLE {
            self.broken("no busy loop", format!("n{id} is woken for nothing, again and again"));
        }
        for effect in effects {
            self.carry_out(id, effect);
        }
        self.set_wake(id);
    }

    /// Has the agent wake at its deadline, a little late as timers are.
    pub(crate) fn set_wake(&mut self, id: NodeId) {
        let moment = self.nodes[id].moment(self.now);
        let slack = self.dice.between(50, 1_100);
        let Some(agent) = &mut self.nodes[id].agent else { return };
        let Some(deadline) = agent.engine.next_deadline() else { return };
        let wait = At::try_from(deadline.since(moment).as_micros()).unwrap_or(At::MAX / 4);
        let at = self.now + wait + slack;
        if agent.wake.is_none_or(|wake| wake > at || wake <= self.now) {
            agent.wake = Some(at);
            self.queue.push(at, Happening::Wake(id, agent.life));
        }
    }

    pub(crate) fn woken(&mut self, id: NodeId) {
        let moment = self.nodes[id].moment(self.now);
        let Some(agent) = &mut self.nodes[id].agent else { return };
        if agent.wake.is_none_or(|wake| wake > self.now) {
            return;
        }
        agent.wake = None;
        if agent.engine.next_deadline().is_some_and(|due| due <= moment) {
            self.process(id);
        } else {
            self.set_wake(id);
        }
    }

    fn carry_out(&mut self, id: NodeId, effect: Effect) {
        if self.verbose {
            self.say_effect(id, &effect);
        }
        match effect {
            Effect::Ports(ports) => {
                self.with_agent(id, |agent| agent.ports = ports);
                self.dirty.everything();
            }
            Effect::Ranges(ranges) => self.with_agent(id, |agent| agent.ranges = ranges),
            Effect::Publish(desired) => self.publish(id, desired),
            Effect::Transmit { link, address, frame } => {
                self.judge.ledger.sent.push((self.now, id, address));
                self.judge_taken(address, "announced", &[id]);
                self.send_frame(id, node::segment_of(link), frame);
            }
            Effect::Question { link, frame } => {
                self.send_frame(id, node::segment_of(link), frame);
            }
            Effect::Frame { link, to, bytes } => {
                let segment = node::segment_of(link);
                let mut frame = Vec::with_capacity(14 + bytes.len().max(46));
                frame.extend(to.0);
                frame.extend(node::mac(id, segment).0);
                frame.extend(LINK_FRAME.to_be_bytes());
                frame.extend(&bytes);
                frame.resize(frame.len().max(60), 0);
                self.send_frame(id, segment, frame);
            }
            Effect::Renew(deadline) => self.renew(id, deadline),
            Effect::Attend(addresses) => self.attend(id, &addresses),
            Effect::Count => {
                let life = self.nodes[id].agent.as_ref().map_or(0, |agent| agent.life);
                self.hear_chatter(id);
                let counts = self.nodes[id].received.iter().enumerate();
                let counts = counts.map(|(at, count)| (node::link_on(at), *count)).collect();
                let counted = Happening::Tell(id, life, Box::new(Event::Counted(counts)));
                self.queue.push(self.now + 60, counted);
            }
            Effect::Knock { node, nonce } => self.want_write(id, Write::Knock(node, nonce)),
            Effect::Describe(description) => {
                self.want_write(id, Write::Echo(description.knock.clone()));
                let ledger = &mut self.judge.ledger;
                ledger.ever_unanswered.extend(description.unanswered.clone());
                ledger.unanswered.insert(id, description.unanswered);
            }
            Effect::Send { to, bytes } => self.send_datagram(id, to, bytes),
            Effect::Members { alive: members, .. } => {
                self.say_members(id, &members);
                self.with_agent(id, |agent| agent.members = members);
            }
            Effect::Report { service, standing, .. } => {
                let announcement = standing.as_ref().and_then(Standing::announcement);
                let claim = announcement.map(|announcement| announcement.claim);
                if let Some(Standing::Silent(why)) = &standing {
                    self.judge.ledger.silences.insert((id, service.clone(), why.reason()));
                }
                self.with_agent(id, |agent| {
                    agent.reported.remove(&service);
                    agent.reported.extend(claim.map(|claim| (service.clone(), claim)));
                });
                self.want_write(id, Write::Record(service, claim));
            }
            Effect::Conflict(conflict) => {
                self.say_loud(|| format!("n{id}: conflict {conflict:?}"));
                self.judge.ledger.conflicts.push((self.now, id, conflict));
            }
            Effect::Checked { .. } | Effect::Unused(_) => {}
            Effect::Halt => self.halted(id),
        }
    }

    pub(crate) fn with_agent(&mut self, id: NodeId, act: impl FnOnce(&mut Agent)) {
        if let Some(agent) = &mut self.nodes[id].agent {
            act(agent);
        }
    }

    fn publish(&mut self, id: NodeId, desired: Desired) {
        let Some(agent) = &mut self.nodes[id].agent else { return };
        let before = std::mem::take(&mut agent.desired);
        let changed: Vec<_> = before
            .keys()
            .chain(desired.keys())
            .copied()
            .filter(|address| before.get(address) != desired.get(address))
            .collect();
        self.dirty.some(&changed);
        agent.table = Table::following(&agent.table, desired.clone());
        agent.desired = desired;
        if !changed.is_empty() {
            self.say_table(id, &before, &changed);
        }
    }

    fn send_frame(&mut self, id: NodeId, segment: usize, frame: Vec<u8>) {
        if frame.len() >= 14 {
            self.transmit(segment, Station::Node(id), frame);
        }
    }

    /// An agent that was asked to stop is done.
    fn halted(&mut self, id: NodeId) {
        self.say(|| format!("n{id}: agent halts"));
        self.end_agent(id);
        let delay = self.dice.between(SEC / 2, 3 * SEC);
        self.queue.push(self.now + delay, Happening::Start(id));
    }

    /// The agent's process is gone; its node's kernel tells those who are connected to it.
    pub(crate) fn end_agent(&mut self, id: NodeId) {
        let Some(agent) = self.nodes[id].agent.take() else { return };
        self.nodes[id].writing = false;
        self.dirty.everything();
        self.hang_up(id, agent.life);
    }
}
