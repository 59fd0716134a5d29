//! Deliberate defects, for tests that prove that the simulation would notice them. Without the
//! feature `defects` there are none.

use super::Settings;

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Whoever is missed is taken for dead, without a question to the wire.
    SkipWireCheck,
    /// An owner that hands over stops before its successor has claimed.
    SkipAcknowledgement,
    /// A higher claim makes nobody stop.
    IgnoreClaims,
    /// Whom the API's record names takes the address, whoever owns it.
    RecordIsAnOrder,
    /// A dead holder's claim goes on counting.
    TrustTheDead,
    /// A move order is followed whatever claim it is about.
    ObeyVoidOrders,
    /// Ports go on answering however long nobody has been in touch.
    NeverLapse,
}

/// Whether `defect` is in force.
#[cfg(feature = "defects")]
pub(super) fn has(settings: &Settings, defect: Defect) -> bool {
    settings.defect == Some(defect)
}

/// There are none.
#[cfg(not(feature = "defects"))]
pub(super) const fn has(_: &Settings, _: Defect) -> bool {
    false
}
