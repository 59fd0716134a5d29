//! Every bound of what speakers say to one another, in one place, each with what happens there.

use crate::mesh::seal;

/// Bytes of a sealed message, without the headers of Ethernet, IP and UDP. It travels in datagrams and in
/// link frames, and must pass where a tunnel takes some of the 1,500 bytes of an Ethernet frame: the least
/// MTU of IPv6 is 1,280 (RFC 8200, section 5), of which IPv6 and UDP take 48. What would be longer is split
/// before it is sealed, so no message is.
pub const MESSAGE: usize = 1_200;

/// Letters of a node's name: a DNS subdomain, as the API server checks it (RFC 1123; Kubernetes'
/// `IsDNS1123Subdomain`). The room for one is kept free in each message.
pub const NODE_NAME: usize = 253;

/// Addresses of each family that a node tells of a link: enough to ask its kernel. Of more, the first.
pub const ADDRESSES_PER_LINK: usize = 4;

/// Keys that were in the key file and still open. Of more, the oldest go.
pub const FORMER_KEYS: usize = 16;

/// Paths to one member that are remembered, each a link of ours and a MAC of its. Of more, those go that were
/// heard over longest ago.
pub const PATHS: usize = 64;

/// Numbers under which one member is missed: each of its watchers has one. Of more, the highest count.
pub const SUSPICIONS: usize = 8;

/// Other hosts that are known to answer for one address of ours: whoever sends frames can make up as many MACs
/// as there are. Of more, those that were heard first are told of.
pub const CONFLICTS_PER_ADDRESS: usize = 8;
/// The same for all addresses together: what a Speaker object's status can hold.
pub const CONFLICTS: usize = 256;

/// The counter of a claim that an annotation may name: anybody who may edit one can write there what they
/// like, and what it says is counted on from. A claim that changes hands a thousand times a second comes to it
/// in 285,000 years. A higher one counts as none.
pub const CLAIM: u64 = 1 << 53;

/// Bytes that the longest name takes in a message: its letters after their number.
const LONGEST_NAME: usize = NODE_NAME + 2;
/// Bytes of the longest number.
const LONGEST_NUMBER: usize = 10;

/// What is left of a message for what is said, whoever says it to whom: without the seal, the kind, the names
/// and lives of both, whether it is for anybody at all, and which word it is.
pub const WORD: usize = MESSAGE - seal::OVERHEAD - 1 - 2 * (LONGEST_NAME + LONGEST_NUMBER) - 1 - 1;
