//! From the ConfigMap that MetalLB read before version 0.13 to the objects that took its place.
//!
//! Text in, text out; nothing is read or written here. Whatever is wrong is found in one go, and the
//! objects are judged by the same [`compile`](crds::model::compile::compile) that the programs use
//! before any of them is given out.

mod convert;
mod finding;
mod judge;
mod legacy;
mod name;
mod nearest;
mod render;
mod source;

pub use finding::{Caution, Fault, Finding, Findings, Place, PoolPlace};

/// What the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A ConfigMap object.
    ConfigMap,
    /// What stands under the ConfigMap's key `config`.
    OnlyData,
}

/// What came of it.
#[derive(Debug)]
pub struct Migration {
    /// The objects, as YAML documents; `None` if there is an error.
    pub yaml: Option<String>,
    /// What is wrong, and what has no counterpart; in the order of the input.
    pub findings: Findings,
}

/// Converts `text`. The objects go to `namespace`; `None`: to the ConfigMap's own, else to
/// `metallb-system`.
pub fn migrate(text: &str, form: Form, namespace: Option<&str>) -> Migration {
    let mut findings = Findings::default();
    let yaml = source::read(text, form, &mut findings).and_then(|source| {
        let legacy = legacy::parse(&source.config, &mut findings)?;
        let namespace = namespace.map(str::to_owned).or(source.namespace);
        let objects = convert::convert(&legacy, &mut findings);
        judge::judge(&legacy, &objects, &mut findings);
        Some(render::render(&objects, namespace.as_deref().unwrap_or("metallb-system")))
    });
    findings.sort();
    Migration { yaml: yaml.filter(|_| findings.errors.is_empty()), findings }
}

#[cfg(test)]
mod tests;
