//! What can be wrong with an object: one typed cause, from which log line, Event and condition
//! are all made.

use std::fmt;

use crate::model::range::{AddressRange, InvalidRange};
use crate::model::selector::InvalidSelector;

/// One thing wrong with one field of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The object's kind.
    pub kind: Kind,
    /// The object's name.
    pub name: String,
    /// The field, as a path from the object's root.
    pub field: Field,
    /// What is wrong with it.
    pub cause: Cause,
}

/// The kinds that can have problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `IPAddressPool`
    IpAddressPool,
    /// `L2Advertisement`
    L2Advertisement,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IpAddressPool => "IPAddressPool",
            Self::L2Advertisement => "L2Advertisement",
        })
    }
}

/// A field's path; `spec.addresses[2]` prints so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// The path up to the list or value, from the object's root.
    pub path: &'static str,
    /// The position in that list, where it is one, from 0.
    pub index: Option<usize>,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}[{index}]", self.path),
            None => f.write_str(self.path),
        }
    }
}

/// What is wrong with a field. The texts keep MetalLB's shape, which people search for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Cause {
    /// A pool without addresses.
    #[error("pool has no prefixes defined")]
    NoPrefixes,
    /// An entry that is no range of addresses.
    #[error("invalid CIDR \"{entry}\" in pool \"{pool}\": {why}")]
    InvalidRange {
        /// The entry.
        entry: String,
        /// The pool it stands in.
        pool: String,
        /// What is wrong with it.
        why: InvalidRange,
    },
    /// A range that shares addresses with another, of this pool or an older one.
    #[error(
        "CIDR \"{range}\" in pool \"{pool}\" overlaps with already defined CIDR \"{other}\" of pool \"{owner}\""
    )]
    Overlap {
        /// The range rejected.
        range: AddressRange,
        /// The pool it stands in.
        pool: String,
        /// The range that was there first.
        other: AddressRange,
        /// The pool that one stands in.
        owner: String,
    },
    /// A namespace named twice.
    #[error("duplicate definition in namespaces field \"{0}\"")]
    RepeatedNamespace(String),
    /// A pool named twice.
    #[error("duplicate definition of ipAddressPools \"{0}\"")]
    RepeatedPool(String),
    /// A selector given twice in one list.
    #[error("duplicate definition of {0}: an equal selector stands before it")]
    RepeatedSelector(&'static str),
    /// A selector that Kubernetes would not take.
    #[error("invalid label selector: {0}")]
    InvalidSelector(InvalidSelector),
    /// A weight outside 1 to 100, which the schema refuses too.
    #[error("weight {0} is not from 1 to 100")]
    Weight(i32),
    /// An object that does not fit its type; the API server's schema normally prevents it.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

impl Cause {
    /// A short fixed word for metric labels and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoPrefixes => "noPrefixes",
            Self::InvalidRange { .. } => "invalidRange",
            Self::Overlap { .. } => "overlap",
            Self::RepeatedNamespace(_) => "repeatedNamespace",
            Self::RepeatedPool(_) => "repeatedPool",
            Self::RepeatedSelector(_) => "repeatedSelector",
            Self::InvalidSelector(_) => "invalidSelector",
            Self::Weight(_) => "weight",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// `IPAddressPool "a": spec.addresses[0]: ...`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, field, cause } = self;
        write!(f, "{kind} \"{name}\": {field}: {cause}")
    }
}
