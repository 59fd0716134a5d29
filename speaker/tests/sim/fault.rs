//! What can go wrong, or be done on purpose.

use std::collections::BTreeSet;

use crate::node::{NodeId, Segment};
use crate::time::{At, SEC};

/// One kind of trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The machine dies; it boots again at the end.
    Crash(NodeId),
    /// A node is cut off from everybody, without loss of carrier.
    Cut(NodeId),
    /// One port of a node passes nothing, with carrier.
    DeadPort(NodeId, Segment),
    /// One link of a node loses carrier.
    Unplug(NodeId, Segment),
    /// A link loses carrier again and again.
    Flap(NodeId, Segment),
    /// The machine is suspended: its clock stops, too.
    Pause(NodeId),
    /// The agent's process is killed; it is started again at the end.
    Kill(NodeId),
    /// The agent's process is stopped by a signal, and continued at the end.
    Hang(NodeId),
    /// The agent is told to stop, and started again when it has.
    Restart(NodeId),
    /// All agents are restarted like that, one after the other.
    Rollout,
    /// All agents are killed at once.
    RestartAll,
    /// UDP and TCP between these nodes and the others are blocked.
    MeshCut(BTreeSet<NodeId>),
    /// UDP and TCP between all nodes are blocked.
    NoMesh,
    /// Link frames are blocked.
    NoFrames,
    /// ARP and link frames between these nodes and the others are blocked, the mesh is not.
    WireCut(BTreeSet<NodeId>),
    /// These nodes, and one client of each segment, are apart from all others.
    Halves(BTreeSet<NodeId>),
    /// Nobody hears this node, or it hears nobody.
    OneWay(NodeId, bool),
    /// A switch keeps the nodes from one another; clients hear all of them.
    Isolate,
    /// So many frames of a thousand are lost.
    Loss(u64),
    /// The API server is away.
    ApiOutage,
    /// The watches of one node tell nothing.
    StaleWatch(NodeId),
    /// The records are replaced by those of long ago, of dead and unknown nodes.
    OldRecords,
    /// The wall clock of a node jumps by milliseconds, and its agent restarts.
    ClockJump(NodeId, i64),
    /// The label that keeps a node out.
    Exclude(NodeId),
    /// Our drain mark.
    Drain(NodeId),
    /// The endpoints of a Service with local traffic move.
    Endpoints(usize),
    /// A Service is created.
    Create,
    /// A Service is deleted.
    Delete(usize),
    /// Two Services share an address from now on.
    Share(usize, usize),
    /// A node joins.
    AddNode,
    /// A foreign host has the address that a new Service gets.
    ForeignBefore,
    /// A foreign host takes an address that is served.
    ForeignAfter(usize),
    /// Another program on this node answers for the address that a new Service gets, and says so in
    /// a record of its own.
    Program(NodeId),
    /// A move order: for this Service, to this node, valid or not.
    Order(usize, NodeId, bool),
}

/// A fault of the schedule.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) at: At,
    pub(crate) lasts: At,
    pub(crate) fault: Fault,
}

/// A fault as it happened.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    pub(crate) fault: Fault,
    pub(crate) begin: At,
    pub(crate) end: Option<At>,
    /// The Service it is about, by its number; `Create` fills that in.
    pub(crate) service: Option<usize>,
}

/// For so long after its end a fault may still show.
pub(crate) const LINGER: At = 5 * SEC;

impl Episode {
    /// Whether it may be the reason for something between `from` and `to`.
    pub(crate) fn touches(&self, from: At, to: At) -> bool {
        self.begin <= to && self.end.is_none_or(|end| end + LINGER >= from)
    }
}

impl Fault {
    /// Its name in statistics.
    pub(crate) fn kind(&self) -> String {
        let text = format!("{self:?}");
        text.split(['(', ' ']).next().unwrap_or_default().to_owned()
    }

    /// It is over when the agents concerned are at work again, whenever that is.
    pub(crate) const fn brings_agents_back(&self) -> bool {
        matches!(
            self,
            Self::Restart(_)
                | Self::Rollout
                | Self::RestartAll
                | Self::AddNode
                | Self::Crash(_)
                | Self::Kill(_)
                | Self::ClockJump(..)
        )
    }

    /// Nothing about who answers may change by it, and it excuses nothing: it may come with another
    /// fault without making that less strict (I6).
    pub(crate) const fn is_background(&self) -> bool {
        match self {
            Self::ApiOutage | Self::StaleWatch(_) | Self::OldRecords | Self::NoFrames => true,
            Self::Loss(permille) => *permille <= 50,
            _ => false,
        }
    }

    /// The victim, if it is one node whose addresses others must take.
    pub(crate) const fn bereaves(&self) -> Option<NodeId> {
        match self {
            Self::Crash(id)
            | Self::Cut(id)
            | Self::DeadPort(id, _)
            | Self::Unplug(id, _)
            | Self::Flap(id, _)
            | Self::Pause(id) => Some(*id),
            _ => None,
        }
    }

    /// It is done through the API, which must know it and tell every watch: not while that cannot be.
    pub(crate) const fn is_change(&self) -> bool {
        matches!(
            self,
            Self::OldRecords
                | Self::Exclude(_)
                | Self::Drain(_)
                | Self::Endpoints(_)
                | Self::Create
                | Self::Delete(_)
                | Self::Share(..)
                | Self::AddNode
                | Self::ForeignBefore
                | Self::Program(_)
                | Self::Order(..)
        )
    }

    /// The victim, if it is one agent whose node goes on.
    pub(crate) const fn troubles(&self) -> Option<NodeId> {
        match self {
            Self::Kill(id) | Self::Hang(id) | Self::Restart(id) | Self::ClockJump(id, _) => {
                Some(*id)
            }
            _ => None,
        }
    }

    /// One agent at a time is away, whose node goes on.
    pub(crate) fn halts_agents(&self) -> bool {
        self.troubles().is_some() || *self == Self::Rollout
    }

    /// The victim, if it is one node that hands over its addresses.
    pub(crate) const fn empties(&self) -> Option<NodeId> {
        match self {
            Self::Exclude(id) | Self::Drain(id) => Some(*id),
            _ => None,
        }
    }

    /// Nodes may be unable to see one another while clients see both.
    pub(crate) const fn blinds(&self) -> bool {
        matches!(self, Self::Halves(_) | Self::OneWay(..) | Self::Isolate | Self::WireCut(_))
    }

    /// The same, or so much is lost that several questions in a row go unanswered. For two MACs that is
    /// an excuse of a second, and not for as long as it lasts (I6).
    pub(crate) const fn deafens(&self) -> bool {
        self.blinds() || matches!(self, Self::Loss(permille) if *permille > 50)
    }
}
