//! Whether an object may be made or changed. Denied is only what is at fault itself: its own fields,
//! or addresses that a pool in force has already. What else is wrong in the cluster, other objects'
//! owners must mend, and need not do so before anybody may do anything.
//!
//! All judging is `crds::model::compile`'s, so that what is admitted here is in force afterwards.

use std::collections::BTreeSet;

use crds::api::v1beta1::{IPAddressPool, L2Advertisement};
use crds::model::compile::{
    Cause, Field, Kind, Problem, Resources, advertisement_objections, missing_pools,
    pool_objections,
};
use serde_json::Value;

use super::question::{Operation, Question};

/// What a question can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// `IPAddressPool`
    Pool,
    /// `L2Advertisement`
    Advertisement,
    /// A kind that only matters to BGP, by its name.
    Bgp(&'static str),
}

impl Subject {
    /// Every subject, with the path it is asked about at. The paths are MetalLB's.
    pub const ALL: [(&'static str, Self); 6] = [
        ("/validate-metallb-io-v1beta1-ipaddresspool", Self::Pool),
        ("/validate-metallb-io-v1beta1-l2advertisement", Self::Advertisement),
        ("/validate-metallb-io-v1beta1-community", Self::Bgp("Community")),
        ("/validate-metallb-io-v1beta1-bgpadvertisement", Self::Bgp("BGPAdvertisement")),
        ("/validate-metallb-io-v1beta1-bfdprofile", Self::Bgp("BFDProfile")),
        ("/validate-metallb-io-v1beta2-bgppeer", Self::Bgp("BGPPeer")),
    ];

    /// The kind's name.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Pool => "IPAddressPool",
            Self::Advertisement => "L2Advertisement",
            Self::Bgp(kind) => kind,
        }
    }
}

/// The answer to a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is denied; `None`: it is allowed.
    pub denial: Option<Denial>,
    /// What the user is told in any case.
    pub warnings: Vec<String>,
}

/// Why an object is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// It is to be made where it would mean nothing.
    #[error("resource must be created in {home} namespace")]
    OtherNamespace {
        /// ferrolb's namespace.
        home: String,
    },
    /// All this is wrong with it.
    #[error("{}", joined(.0))]
    Faulty(Vec<Problem>),
}

impl Denial {
    /// What is wrong, in short fixed words for metric labels; those of problems are the same as where
    /// the object is in force already.
    pub fn reasons(&self) -> BTreeSet<&'static str> {
        match self {
            Self::OtherNamespace { .. } => ["otherNamespace"].into(),
            Self::Faulty(problems) => {
                problems.iter().map(|problem| problem.cause.reason()).collect()
            }
        }
    }
}

fn joined(problems: &[Problem]) -> String {
    let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
    all.join("; ")
}

impl Verdict {
    /// Denied for this reason.
    pub const fn denied(why: Denial) -> Self {
        Self { denial: Some(why), warnings: Vec::new() }
    }

    fn warning(text: String) -> Self {
        Self { denial: None, warnings: vec![text] }
    }

    /// Denied for these problems, if there are any.
    fn of(problems: Vec<Problem>) -> Self {
        if problems.is_empty() { Self::default() } else { Self::denied(Denial::Faulty(problems)) }
    }
}

/// The verdict, where it does not depend on what else there is. `home` is ferrolb's namespace.
pub fn at_once(subject: Subject, question: &Question, home: &str) -> Option<Verdict> {
    let Some(new) = &question.object else {
        return Some(Verdict::default()); // Anything may be deleted.
    };
    let is_elsewhere = question.namespace.as_deref().is_some_and(|namespace| namespace != home);
    match question.operation {
        Operation::Create if is_elsewhere => {
            return Some(Verdict::denied(Denial::OtherNamespace { home: home.to_owned() }));
        }
        // Made while nobody checked. It means nothing there, whatever it says.
        Operation::Update if is_elsewhere => {
            let text = format!("only objects in namespace \"{home}\" count: this one does nothing");
            return Some(Verdict::warning(text));
        }
        Operation::Create | Operation::Update => {}
        Operation::Delete | Operation::Connect => return Some(Verdict::default()),
    }
    if let Subject::Bgp(kind) = subject {
        let text = format!("ferrolb does not do BGP: this {kind} is kept and ignored");
        return Some(Verdict::warning(text));
    }
    // A bad object must be able to lose its finalizers, or it could never be deleted, and its labels
    // and annotations are other people's. It is no worse than it was. So too for one on its way out.
    let is_same =
        question.old_object.as_ref().is_some_and(|old| old.get("spec") == new.get("spec"));
    let is_going = !new["metadata"]["deletionTimestamp"].is_null();
    (question.operation == Operation::Update && (is_same || is_going)).then(Verdict::default)
}

/// The verdict on an object that is made or changed among those that `exist`.
pub fn judge(subject: Subject, new: &Value, exist: &Resources) -> Verdict {
    match subject {
        Subject::Pool => match serde_json::from_value::<IPAddressPool>(new.clone()) {
            Ok(pool) => Verdict::of(pool_objections(&pool, exist)),
            Err(error) => Verdict::of(vec![unreadable(Kind::IpAddressPool, new, &error)]),
        },
        Subject::Advertisement => match serde_json::from_value::<L2Advertisement>(new.clone()) {
            Ok(advertisement) => {
                let warnings = missing_pools(&advertisement, exist).into_iter();
                let warnings =
                    warnings.map(|pool| format!("there is no IPAddressPool \"{pool}\" (yet)"));
                let verdict = Verdict::of(advertisement_objections(&advertisement));
                Verdict { warnings: warnings.collect(), ..verdict }
            }
            Err(error) => Verdict::of(vec![unreadable(Kind::L2Advertisement, new, &error)]),
        },
        Subject::Bgp(_) => Verdict::default(),
    }
}

fn unreadable(kind: Kind, object: &Value, error: &serde_json::Error) -> Problem {
    Problem {
        kind,
        name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        field: Field { path: "spec", index: None },
        cause: Cause::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
