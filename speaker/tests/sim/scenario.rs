//! What a run starts from, and how it is run.

use std::rc::Rc;

use speaker::engine::{Defect, Settings};

use crate::fault::{Fault, Planned};
use crate::ledger::Ledger;
use crate::node::{Names, NodeId};
use crate::services;
use crate::stats::Stats;
use crate::time::{At, SEC};
use crate::wire::Switches;
use crate::world::{Violation, World};

/// When the first fault comes at the earliest: by then all is settled.
pub(crate) const SETTLED: At = 8 * SEC;

#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "settings that do not depend on one another")]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
    pub(crate) segments: usize,
    pub(crate) services: usize,
    pub(crate) names: Names,
    /// Every fifth Service takes local traffic only.
    pub(crate) local: bool,
    /// The second Service has the first one's address, too.
    pub(crate) shared: bool,
    pub(crate) switches: Switches,
    /// Some Services have an address of each family.
    pub(crate) dual: bool,
    /// The clients of each segment send something all the time, as machines on a network do: whoever
    /// counts frames finds more of them.
    pub(crate) chatter: bool,
    /// This node's kernel answers neither ARP nor neighbour discovery.
    pub(crate) arp_ignore: Option<NodeId>,
    /// Another program announced all Services until a moment ago, by the API's records from node to
    /// node in turn; agents start up to four seconds apart.
    pub(crate) inherited: bool,
    /// The controller evens out the load.
    pub(crate) planner: bool,
    pub(crate) planned: Vec<Planned>,
    pub(crate) lasts: At,
    /// Changes what engines are told at their start.
    pub(crate) tune: Rc<dyn Fn(&mut Settings)>,
}

/// How a run ended.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) stats: Stats,
    pub(crate) ledger: Ledger,
    pub(crate) tale: Vec<(At, String)>,
    pub(crate) happenings: u64,
    pub(crate) calls: u64,
}

impl Scenario {
    /// A cluster that nothing befalls.
    pub(crate) fn calm(seed: u64, nodes: usize, services: usize) -> Self {
        Self {
            seed,
            nodes,
            segments: 1,
            services,
            names: Names::Short,
            local: false,
            shared: false,
            dual: false,
            chatter: false,
            inherited: false,
            switches: Switches { late: 5, ..Switches::default() },
            arp_ignore: None,
            planner: false,
            planned: Vec::new(),
            lasts: SETTLED,
            tune: Rc::new(|_| {}),
        }
    }

    /// With a fault; the run goes on for as long as it may show.
    pub(crate) fn with(mut self, at: At, lasts: At, fault: Fault) -> Self {
        self.planned.push(Planned { at, lasts, fault });
        self.lasts = self.lasts.max(at + lasts + SETTLED);
        self
    }

    /// Who has most when all is settled, before anything befalls the cluster.
    pub(crate) fn busiest(&self) -> NodeId {
        let calm = Self { planned: Vec::new(), lasts: SETTLED, ..self.clone() };
        let mut loads = vec![0; self.nodes];
        calm.run(false).ledger.owners(SETTLED).values().for_each(|id| loads[*id] += 1);
        (0..self.nodes).max_by_key(|id| loads[*id]).unwrap_or_default()
    }

    /// With a rule of every engine broken on purpose.
    pub(crate) fn with_defect(mut self, defect: Defect) -> Self {
        self.tune = Rc::new(move |settings| settings.defect = Some(defect));
        self
    }

    pub(crate) fn run(&self, verbose: bool) -> Outcome {
        let mut world = World::new(self, verbose);
        world.run(self.lasts);
        Outcome::of(world)
    }

    /// Runs until all is settled and then has a fault befall the node that has most; gives which
    /// that was, too. For clusters that are too large to be run twice.
    pub(crate) fn run_with(&self, lasts: At, fault: fn(NodeId) -> Fault) -> (Outcome, NodeId) {
        let mut world = World::new(self, false);
        world.run(SETTLED);
        let owners = (1..=self.services).filter_map(|number| world.owner_now(services::ip(number)));
        let mut loads = vec![0; self.nodes];
        owners.for_each(|id| loads[id] += 1);
        let owner = (0..self.nodes).max_by_key(|id| loads[*id]).unwrap_or_default();
        let at = SETTLED + SEC;
        world.schedule(Planned { at, lasts, fault: fault(owner) });
        world.run(at + lasts);
        (Outcome::of(world), owner)
    }
}

impl Outcome {
    fn of(mut world: World) -> Self {
        Self {
            ledger: world.close(),
            violation: world.violation,
            stats: world.stats,
            tale: world.tale.into(),
            happenings: world.queue.count(),
            calls: world.calls,
        }
    }
}
