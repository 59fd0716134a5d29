//! Group `ferrolb.io`, version `v1alpha1`: kinds of our own. Nothing that users write is here; what
//! they configure is in [`v1beta1`](super::v1beta1).

pub mod speaker;

pub use speaker::{
    Conflict, ConflictKind, Knock, MoveOrder, Speaker, SpeakerLink, SpeakerSpec, SpeakerState,
    SpeakerStatus, Unanswered,
};
