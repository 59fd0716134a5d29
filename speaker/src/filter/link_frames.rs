//! The filter for the speakers' own frames.

use crds::model::ids::IfIndex;

use super::{
    DROP, ETHERTYPE, IF_EQUAL, IF_GREATER, INTERFACE, Instruction, LOAD_HALF, LOAD_LEN, LOAD_WORD,
    PACKET_BROADCAST, PACKET_TYPE, Program, distance, plain, require,
};
use crate::wire::ethernet::{HEADER_LEN, LINK_FRAME, LONGEST_FRAME};

impl Program {
    /// The program for the second socket of the link with `index`, bound to EtherType 0x88B5.
    ///
    /// Accepted, all else dropped: untagged frames of that type, arrived on this very link, to
    /// broadcast or to the link's own MAC, with a payload, and no longer than Ethernet allows. What
    /// is in them is sealed, so this is all there is to look at.
    pub fn link_frames(index: IfIndex) -> Self {
        let more_than = |k| Instruction { code: IF_GREATER, jt: 0, jf: 1, k };
        let mut program = vec![plain(LOAD_LEN, 0)];
        program.extend([more_than(distance(LONGEST_FRAME)), DROP]);
        require(&mut program, IF_GREATER, distance(HEADER_LEN));
        program.push(plain(LOAD_HALF, ETHERTYPE));
        require(&mut program, IF_EQUAL, u32::from(LINK_FRAME));
        program.push(plain(LOAD_WORD, INTERFACE));
        require(&mut program, IF_EQUAL, index.0);
        program.push(plain(LOAD_WORD, PACKET_TYPE));
        program.extend([more_than(PACKET_BROADCAST), DROP, super::ACCEPT]);
        Self(program)
    }
}
