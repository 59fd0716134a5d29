//! The filter for the speakers' own frames.

use crds::model::ids::IfIndex;

use super::{
    ACCEPT, ETHERTYPE, IF_EQUAL, IF_GREATER, INTERFACE, LOAD_HALF, LOAD_LEN, LOAD_WORD,
    PACKET_BROADCAST, PACKET_TYPE, Program, distance, plain, require, require_at_most,
};
use crate::wire::ethernet::{HEADER_LEN, LINK_FRAME, LONGEST_FRAME};

impl Program {
    /// The program for the second socket of the link with `index`, bound to EtherType 0x88B5.
    ///
    /// Accepted, all else dropped: untagged frames of that type, arrived on this very link, to
    /// broadcast or to the link's own MAC, with a payload, and no longer than Ethernet allows. What
    /// is in them is sealed, so this is all there is to look at.
    pub fn link_frames(index: IfIndex) -> Self {
        let mut program = vec![plain(LOAD_LEN, 0)];
        require_at_most(&mut program, distance(LONGEST_FRAME));
        require(&mut program, IF_GREATER, distance(HEADER_LEN));
        program.push(plain(LOAD_HALF, ETHERTYPE));
        require(&mut program, IF_EQUAL, u32::from(LINK_FRAME));
        program.push(plain(LOAD_WORD, INTERFACE));
        require(&mut program, IF_EQUAL, index.0);
        program.push(plain(LOAD_WORD, PACKET_TYPE));
        require_at_most(&mut program, PACKET_BROADCAST);
        program.push(ACCEPT);
        Self(program)
    }
}
