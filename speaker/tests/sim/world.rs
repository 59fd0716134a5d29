//! The world: everything there is, and the loop that lets it happen in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;

use speaker::engine::{Change, Event, Settings};
use speaker::facts::{NodeFacts, Traffic};

use crate::api::{Truth, config};
use crate::dice::Dice;
use crate::fault::{Episode, Planned};
use crate::happening::Happening;
use crate::hosts::{Cache, Foreigner};
use crate::judge::{Dirty, Judge};
use crate::node::{Life, Names, Node, NodeId};
use crate::planner::Planner;
use crate::scenario::Scenario;
use crate::stats::Stats;
use crate::time::{At, MS, SEC};
use crate::wire::{Cut, Switches};

/// How a run broke a promise.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) at: At,
    /// Which: I1 to I9 of `ownership.md`, or what else is wrong.
    pub(crate) invariant: &'static str,
    pub(crate) text: String,
}

#[expect(clippy::struct_excessive_bools, reason = "what is out of order, one by one")]
pub(crate) struct World {
    pub(crate) now: At,
    pub(crate) queue: crate::time::Queue<Happening>,
    pub(crate) dice: Dice,
    pub(crate) nodes: Vec<Node>,
    /// One for each segment.
    pub(crate) switches: Vec<Switches>,
    /// What does not pass, with the number of its fault.
    pub(crate) cuts: Vec<(usize, Cut)>,
    /// Lost of a thousand frames everywhere, while a fault says so.
    pub(crate) burst: u64,
    /// The neighbour caches of the clients, two for each segment.
    pub(crate) caches: Vec<Cache>,
    pub(crate) foreigners: Vec<Foreigner>,
    /// Other programs, by the fault that each is: on which node, and for which address they answer.
    pub(crate) programs: BTreeMap<usize, (NodeId, IpAddr)>,
    pub(crate) truth: Truth,
    pub(crate) api_away: bool,
    /// Nodes whose watches tell nothing.
    pub(crate) deaf_watches: BTreeSet<NodeId>,
    /// Netlink keeps its order.
    pub(crate) links_from: At,
    pub(crate) planned: Vec<Planned>,
    pub(crate) episodes: BTreeMap<usize, Episode>,
    pub(crate) lives: Life,
    pub(crate) names: Names,
    /// Some Services have an address of each family.
    pub(crate) dual: bool,
    /// Clients send something all the time.
    pub(crate) chatter: bool,
    pub(crate) tune: Rc<dyn Fn(&mut Settings)>,
    pub(crate) planner: Option<Planner>,
    /// Valid orders: which address is to go to whom, and until when it may.
    pub(crate) ordered: BTreeMap<(IpAddr, NodeId), At>,
    pub(crate) judge: Judge,
    pub(crate) dirty: Dirty,
    pub(crate) stats: Stats,
    pub(crate) violation: Option<Violation>,
    pub(crate) tale: VecDeque<(At, String)>,
    /// Everything is told as it happens.
    pub(crate) verbose: bool,
    /// How often an engine was called.
    pub(crate) calls: u64,
    /// No witness can be trusted on some node: then agents' troubles may move addresses.
    pub(crate) blind_witness: bool,
}

impl World {
    pub(crate) fn new(scenario: &Scenario, verbose: bool) -> Self {
        let segments = scenario.segments;
        let mut world = Self {
            now: 0,
            queue: crate::time::Queue::new(),
            dice: Dice::new(scenario.seed),
            nodes: (0..scenario.nodes).map(|id| Node::new(id, scenario.names, segments)).collect(),
            switches: vec![scenario.switches.clone(); segments],
            cuts: Vec::new(),
            burst: 0,
            caches: vec![Cache::new(); 2 * segments],
            foreigners: Vec::new(),
            programs: BTreeMap::new(),
            truth: Truth { config: config(), filled: true, ..Truth::default() },
            api_away: false,
            deaf_watches: BTreeSet::new(),
            links_from: 0,
            planned: scenario.planned.clone(),
            episodes: BTreeMap::new(),
            lives: 0,
            names: scenario.names,
            dual: scenario.dual,
            chatter: scenario.chatter,
            tune: scenario.tune.clone(),
            planner: scenario.planner.then(|| Planner::new(scenario.seed)),
            ordered: BTreeMap::new(),
            judge: Judge::default(),
            dirty: Dirty::default(),
            stats: Stats::default(),
            violation: None,
            tale: VecDeque::new(),
            verbose,
            calls: 0,
            blind_witness: scenario.arp_ignore.is_some() || scenario.switches.suppress.is_some(),
        };
        if let Some(id) = scenario.arp_ignore {
            world.nodes[id].arp_ignore = true;
        }
        world.truth.peers = world.all_peers();
        for node in &world.nodes {
            world.truth.nodes.insert(node.name.clone(), NodeFacts::default());
        }
        for number in 1..=scenario.services {
            let local = number % 5 == 4 && scenario.local;
            world.create(number, if local { Traffic::Local } else { Traffic::Cluster });
        }
        if scenario.shared {
            let mut second = world.truth.services[&crate::services::key(2)].clone();
            second.addresses.push(crate::services::ip(1));
            world.change(&Event::Services(Change::Set(crate::services::key(2), second)));
        }
        if scenario.inherited {
            world.leave_records(scenario.services);
        }
        world.populate(if scenario.inherited { 4 * SEC } else { 400 * MS });
        world
    }

    /// Agents start within this time.
    fn populate(&mut self, time: At) {
        for id in 0..self.nodes.len() {
            let delay = self.dice.between(0, time);
            self.queue.push(delay, Happening::Start(id));
        }
        for segment in 0..self.switches.len() {
            self.queue.push(0, Happening::Chatter(segment));
        }
        self.queue.push(0, Happening::Tick);
        let planned = std::mem::take(&mut self.planned);
        for fault in planned {
            self.schedule(fault);
        }
    }

    /// One more fault.
    pub(crate) fn schedule(&mut self, planned: Planned) {
        let number = self.planned.len();
        self.queue.push(planned.at, Happening::Begin(number));
        self.queue.push(planned.at + planned.lasts, Happening::End(number));
        self.planned.push(planned);
    }

    /// Lets everything happen up to `until`, or to the first broken promise.
    pub(crate) fn run(&mut self, until: At) {
        while self.violation.is_none() && self.queue.next_at().is_some_and(|at| at <= until) {
            let Some((at, happening)) = self.queue.pop() else { break };
            self.now = at;
            self.happen(happening);
            self.look();
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Begin(number) => self.begin(number),
            Happening::End(number) => self.end(number),
            Happening::Step(number, step) => self.step(number, step),
            Happening::Start(id) => self.start_agent(id),
            Happening::GraceOver(id, life) if self.is_life(id, life) => {
                self.end_agent(id);
                self.queue.push(self.now + SEC, Happening::Start(id));
            }
            Happening::Process(id, life) if self.is_life(id, life) => self.process(id),
            Happening::Wake(id, life) if self.is_life(id, life) => self.woken(id),
            Happening::Silence(id, life) if self.is_life(id, life) => self.silence(id),
            Happening::Tell(id, life, event) if self.is_life(id, life) => self.tell(id, *event),
            Happening::Watch(id, life, event) if self.is_life(id, life) => self.watched(id, *event),
            Happening::ReadFile(id, life) if self.is_life(id, life) => self.read_file(id),
            Happening::Connect(id, life) if self.is_life(id, life) => self.connect_again(id),
            Happening::Hangup { node, life, addr, of } if self.is_life(node, life) => {
                self.hung_up(node, addr, of);
            }
            Happening::Relist(id) => self.relist(id),
            Happening::Write(id) => self.write(id),
            Happening::Frame { segment, to, frame } => self.arrived(segment, to, &frame),
            Happening::Datagram { to, bytes } => self.datagram(to, &bytes),
            Happening::Chatter(segment) => self.chatter(segment),
            Happening::Tick => {
                self.retry();
                self.settle_restarts();
                self.plan();
                self.converged();
                self.queue.push(self.now + 250 * MS, Happening::Tick);
            }
            Happening::Audit => self.audit(),
            // Of a life that is over.
            _ => {}
        }
    }
}
