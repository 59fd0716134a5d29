//! What can be in the queue.

use std::net::SocketAddr;
use std::rc::Rc;

use speaker::engine::Event;

use crate::node::{Life, NodeId, Segment};
use crate::wire::Station;

#[derive(Debug)]
pub(crate) enum Happening {
    /// A fault of the schedule begins.
    Begin(usize),
    /// It ends.
    End(usize),
    /// A step of a fault that has several.
    Step(usize, u32),
    /// An agent starts.
    Start(NodeId),
    /// An agent that was asked to stop has had its time.
    GraceOver(NodeId, Life),
    /// The agent takes what waits for it.
    Process(NodeId, Life),
    /// The agent's timer.
    Wake(NodeId, Life),
    /// The deadline of a node's ports may have passed.
    Silence(NodeId, Life),
    /// Something the node itself tells its agent.
    Tell(NodeId, Life, Box<Event>),
    /// Something the API tells.
    Watch(NodeId, Life, Box<Event>),
    /// All of it anew.
    Relist(NodeId),
    /// The API has not answered yet: the agent takes what its file says.
    ReadFile(NodeId, Life),
    /// A node's reporter writes.
    Write(NodeId),
    Frame {
        segment: Segment,
        to: Station,
        frame: Rc<[u8]>,
    },
    Datagram {
        to: NodeId,
        bytes: Rc<[u8]>,
    },
    Hangup {
        node: NodeId,
        life: Life,
        addr: SocketAddr,
        of: Life,
    },
    /// An agent looks after the connections it was told to keep.
    Connect(NodeId, Life),
    /// Other hosts on the segment are heard.
    Chatter(Segment),
    /// Now and then: API retries, convergence.
    Tick,
    /// While something is not as it should be.
    Audit,
}
