//! A frame ready to be sent, in a buffer of its own: making one allocates nothing.

use super::ethernet::FRAME_LEN;

/// Bytes of the longest frame made here: Ethernet and IPv6 headers, and a neighbour discovery message
/// with one link-layer option.
pub const LONGEST: usize = 86;

/// A whole frame, Ethernet header first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Frame {
    /// The first `len` of `bytes`.
    pub(super) const fn new(bytes: [u8; LONGEST], len: usize) -> Self {
        Self { bytes, len }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl From<[u8; FRAME_LEN]> for Frame {
    fn from(frame: [u8; FRAME_LEN]) -> Self {
        let mut bytes = [0; LONGEST];
        if let Some(start) = bytes.first_chunk_mut() {
            *start = frame;
        }
        Self { bytes, len: FRAME_LEN }
    }
}

/// As hexadecimal digits.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
