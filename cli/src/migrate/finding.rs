//! What is found in the old configuration: faults, which stop the conversion, and cautions about what
//! has no counterpart. Each says where it stands.

use std::fmt;

use crds::model::compile::Cause;

/// One entry of `address-pools`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolPlace {
    /// Its position, from 0.
    pub index: usize,
    /// Its name, if it has one.
    pub name: Option<String>,
}

/// `address-pools[0] "default"`
impl fmt::Display for PoolPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address-pools[{}]", self.index)?;
        self.name.iter().try_for_each(|name| write!(f, " \"{name}\""))
    }
}

/// Where something stands; both empty: it is about the whole input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// In which pool.
    pub pool: Option<PoolPlace>,
    /// Under which key.
    pub key: Option<String>,
}

impl Place {
    /// This key, outside of all pools.
    pub(super) fn key(key: impl Into<String>) -> Self {
        Self { pool: None, key: Some(key.into()) }
    }

    /// This key of `pool`.
    pub(super) fn of(pool: &PoolPlace, key: impl Into<String>) -> Self {
        Self { pool: Some(pool.clone()), key: Some(key.into()) }
    }
}

/// Something at its place; `address-pools[0] "default": protocol: is missing ...`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<T> {
    /// Where.
    pub place: Place,
    /// What.
    pub what: T,
}

impl<T: fmt::Display> fmt::Display for Finding<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { pool, key } = &self.place;
        pool.iter().try_for_each(|pool| write!(f, "{pool}: "))?;
        key.iter().try_for_each(|key| write!(f, "{key}: "))?;
        write!(f, "{}", self.what)
    }
}

/// What makes a conversion impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text cannot be read at all.
    #[error("not YAML: {0}")]
    NotYaml(String),
    /// There is none to convert; the kinds of objects found instead.
    #[error("no ConfigMap with the key \"config\" in the input, only: {}", or_nothing(.0))]
    NoConfigMap(Vec<String>),
    /// There are several; their names.
    #[error("more than one ConfigMap with the key \"config\": {}; give one at a time", .0.join(", "))]
    SeveralConfigMaps(Vec<String>),
    /// A bare configuration, and a ConfigMap was expected.
    #[error("this is not a ConfigMap, but what stands under its key \"config\": add --only-data")]
    IsOnlyData,
    /// The other way round.
    #[error("this is a whole ConfigMap: leave out --only-data")]
    IsConfigMap,
    /// A value of another type.
    #[error("must be {expected}, and is {found}")]
    WrongType {
        /// What belongs there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A key that nobody reads.
    #[error("no such key; {}", suggest(*.near, .known))]
    UnknownKey {
        /// The known key that it resembles.
        near: Option<&'static str>,
        /// All of them.
        known: &'static [&'static str],
    },
    /// A key that must be there.
    #[error("is missing")]
    Missing,
    /// A protocol that does not exist.
    #[error("\"{value}\" is no protocol; {}", suggest(*.near, .known))]
    UnknownProtocol {
        /// What was given.
        value: String,
        /// The protocol that it resembles.
        near: Option<&'static str>,
        /// All of them.
        known: &'static [&'static str],
    },
    /// Advertisements of BGP in a pool of another protocol.
    #[error("only a pool of protocol bgp may have them")]
    NotABgpPool,
    /// A name of which nothing can be made.
    #[error("no name for an object can be made from \"{0}\", which has no letter: rename the pool")]
    NoLetter(String),
    /// A name of which something was made that is no name either.
    #[error("\"{0}\" would become \"{1}\", which is no name for an object: rename the pool")]
    BadName(String, String),
    /// A second pool of the name.
    #[error("{other} has that name as well")]
    SameName {
        /// The first.
        other: PoolPlace,
    },
    /// A second pool whose name becomes the same.
    #[error("becomes \"{made}\", as does that of {other}: rename one of them")]
    NamesMeet {
        /// What both become.
        made: String,
        /// The first.
        other: PoolPlace,
    },
    /// What the programs would reject.
    #[error("{0}")]
    Rejected(Cause),
}

/// What a user should know, though it stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Caution {
    /// A pool for BGP.
    #[error(
        "bgp is not spoken here: the pool gets no advertisement, so its addresses can be given out, \
         and nobody answers for them"
    )]
    BgpPool,
    /// Something else for BGP.
    #[error("left out, since it is about BGP, which is not spoken here")]
    BgpSection,
    /// A name that had to be changed.
    #[error(
        "\"{0}\" becomes \"{1}\"; Services that name the pool in an annotation must name it so, too"
    )]
    Renamed(String, String),
    /// A key of the ConfigMap beside `config`.
    #[error("left out: MetalLB read the key \"config\" only")]
    OtherData,
    /// There is no pool.
    #[error("there is no pool: nothing to convert")]
    NoPools,
}

/// All that was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What stops the conversion.
    pub errors: Vec<Finding<Fault>>,
    /// What does not.
    pub warnings: Vec<Finding<Caution>>,
}

impl Findings {
    pub(super) fn reject(&mut self, place: Place, what: Fault) {
        self.errors.push(Finding { place, what });
    }

    pub(super) fn warn(&mut self, place: Place, what: Caution) {
        self.warnings.push(Finding { place, what });
    }

    /// In the order of the pools; what is about none goes first.
    pub(super) fn sort(&mut self) {
        let position = |place: &Place| place.pool.as_ref().map(|pool| pool.index);
        self.errors.sort_by_key(|finding| position(&finding.place));
        self.warnings.sort_by_key(|finding| position(&finding.place));
    }
}

fn or_nothing(kinds: &[String]) -> String {
    if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
}

fn suggest(near: Option<&str>, known: &[&str]) -> String {
    match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("there are: {}", known.join(", ")),
    }
}
