//! The old configuration: what MetalLB 0.9 to 0.12 read from the ConfigMap. Everything that does not
//! fit is noted, and the rest goes on being read.
//!
//! MetalLB refused keys that it did not know. It read YAML 1.1, where `yes` and `off` are true and
//! false, and took a number for a name.

use serde_yaml::{Mapping, Value};

use super::finding::{Caution, Fault, Findings, Place, PoolPlace};
use super::nearest::nearest;

/// The parts of the configuration. All but the first are about BGP.
pub(super) const SECTIONS: [&str; 4] =
    ["address-pools", "peers", "bgp-communities", "bfd-profiles"];
const POOLS: &str = SECTIONS[0];

/// What a pool may say.
const KEYS: [&str; 6] =
    ["name", "protocol", "addresses", "auto-assign", "avoid-buggy-ips", "bgp-advertisements"];

const PROTOCOLS: [&str; 2] = ["layer2", "bgp"];

/// How the addresses of a pool are made known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// By ARP and NDP.
    Layer2,
    /// By BGP.
    Bgp,
}

/// One pool. What is `None` was not given, or was noted as wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pool {
    pub(super) place: PoolPlace,
    pub(super) protocol: Option<Protocol>,
    /// As written; empty if not given.
    pub(super) addresses: Option<Vec<String>>,
    pub(super) auto_assign: Option<bool>,
    pub(super) avoid_buggy_ips: bool,
}

/// Reads `text`; gives the pools. `None` if it is no configuration at all.
pub(super) fn parse(text: &str, findings: &mut Findings) -> Option<Vec<Pool>> {
    let config = match serde_yaml::from_str(text).and_then(merged) {
        Ok(config) => config,
        Err(error) => {
            findings.reject(Place::key("config"), Fault::NotYaml(error.to_string()));
            return None;
        }
    };
    let config = match config {
        Value::Mapping(config) => config,
        Value::Null => Mapping::new(),
        other => {
            let fault = Fault::WrongType { expected: "a map of settings", found: kind_of(&other) };
            findings.reject(Place::key("config"), fault);
            return None;
        }
    };
    check_keys(&config, &SECTIONS, Place::key, findings);
    for section in SECTIONS.into_iter().filter(|section| *section != POOLS) {
        if config.get(section).is_some_and(|value| !is_empty(value)) {
            findings.warn(Place::key(section), Caution::BgpSection);
        }
    }
    let pools = list(config.get(POOLS), "a list of pools", Place::key(POOLS), findings);
    let pools = pools.unwrap_or_default();
    let pools = pools.iter().enumerate().filter_map(|(index, value)| pool(index, value, findings));
    let pools: Vec<Pool> = pools.collect();
    if pools.is_empty() && findings.errors.is_empty() {
        findings.warn(Place::default(), Caution::NoPools);
    }
    Some(pools)
}

/// YAML 1.1 has merge keys, and long lists of pools made use of them.
fn merged(mut value: Value) -> Result<Value, serde_yaml::Error> {
    value.apply_merge()?;
    Ok(value)
}

fn pool(index: usize, value: &Value, findings: &mut Findings) -> Option<Pool> {
    let Value::Mapping(pool) = value else {
        let place = PoolPlace { index, name: None };
        let fault =
            Fault::WrongType { expected: "a pool: a map of settings", found: kind_of(value) };
        findings.reject(Place { pool: Some(place), key: None }, fault);
        return None;
    };
    let mut place = PoolPlace { index, name: None };
    let name = pool.get("name").filter(|value| !is_empty(value));
    match name.map(|value| scalar(value).ok_or(value)) {
        Some(Ok(name)) => place.name = Some(name),
        Some(Err(value)) => wrong_type(findings, Place::of(&place, "name"), "a text", value),
        None => findings.reject(Place::of(&place, "name"), Fault::Missing),
    }
    check_keys(pool, &KEYS, |key| Place::of(&place, key), findings);
    let protocol = protocol(pool, &place, findings);
    let advertises = pool.get("bgp-advertisements").is_some_and(|value| !is_empty(value));
    if advertises && protocol == Some(Protocol::Layer2) {
        findings.reject(Place::of(&place, "bgp-advertisements"), Fault::NotABgpPool);
    }
    Some(Pool {
        protocol,
        addresses: addresses(pool, &place, findings),
        auto_assign: boolean(pool, "auto-assign", &place, findings),
        avoid_buggy_ips: boolean(pool, "avoid-buggy-ips", &place, findings).unwrap_or_default(),
        place,
    })
}

fn protocol(pool: &Mapping, place: &PoolPlace, findings: &mut Findings) -> Option<Protocol> {
    let place = Place::of(place, "protocol");
    let Some(value) = pool.get("protocol").filter(|value| !is_empty(value)) else {
        findings.reject(place, Fault::Missing);
        return None;
    };
    match scalar(value).as_deref() {
        Some("layer2") => Some(Protocol::Layer2),
        Some("bgp") => Some(Protocol::Bgp),
        Some(other) => {
            let near = nearest(other, &PROTOCOLS);
            let value = other.to_owned();
            findings.reject(place, Fault::UnknownProtocol { value, near, known: &PROTOCOLS });
            None
        }
        None => {
            wrong_type(findings, place, "layer2 or bgp", value);
            None
        }
    }
}

fn addresses(pool: &Mapping, place: &PoolPlace, findings: &mut Findings) -> Option<Vec<String>> {
    let expected = "a list of addresses";
    let entries = list(pool.get("addresses"), expected, Place::of(place, "addresses"), findings)?;
    let mut addresses = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        if let Value::String(address) = entry {
            addresses.push(address.clone());
        } else {
            let place = Place::of(place, format!("addresses[{index}]"));
            wrong_type(findings, place, "a CIDR or a range", entry);
        }
    }
    // Positions in what is left would not be those that the user sees.
    (addresses.len() == entries.len()).then_some(addresses)
}

fn boolean(
    pool: &Mapping,
    key: &'static str,
    place: &PoolPlace,
    findings: &mut Findings,
) -> Option<bool> {
    let value = pool.get(key)?;
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(*value),
        Value::String(text) if TRUE.contains(&text.as_str()) => Some(true),
        Value::String(text) if FALSE.contains(&text.as_str()) => Some(false),
        other => {
            wrong_type(findings, Place::of(place, key), "true or false", other);
            None
        }
    }
}

/// Further words of YAML 1.1, in the spellings that MetalLB's reader knew.
const TRUE: [&str; 8] = ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON"];
const FALSE: [&str; 8] = ["n", "N", "no", "No", "NO", "off", "Off", "OFF"];

/// The entries of a list; none if it was not given, `None` if it is something else.
fn list<'a>(
    value: Option<&'a Value>,
    expected: &'static str,
    place: Place,
    findings: &mut Findings,
) -> Option<&'a [Value]> {
    match value {
        None | Some(Value::Null) => Some(&[]),
        Some(Value::Sequence(entries)) => Some(entries),
        Some(other) => {
            wrong_type(findings, place, expected, other);
            None
        }
    }
}

fn check_keys(
    mapping: &Mapping,
    known: &'static [&'static str],
    place: impl Fn(String) -> Place,
    findings: &mut Findings,
) {
    for key in mapping.keys() {
        let text = scalar(key).unwrap_or_else(|| kind_of(key));
        if !known.contains(&text.as_str()) {
            let near = nearest(&text, known);
            findings.reject(place(text), Fault::UnknownKey { near, known });
        }
    }
}

fn wrong_type(findings: &mut Findings, place: Place, expected: &'static str, value: &Value) {
    findings.reject(place, Fault::WrongType { expected, found: kind_of(value) });
}

/// A text, or a number that stands where a text belongs.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null
        | Value::Bool(_)
        | Value::Sequence(_)
        | Value::Mapping(_)
        | Value::Tagged(_) => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Sequence(entries) => entries.is_empty(),
        Value::Mapping(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Tagged(_) => false,
    }
}

/// What a value is, in words.
pub(super) fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text \"{text}\""),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a map".to_owned(),
        Value::Tagged(tagged) => format!("a value of type {}", tagged.tag),
    }
}
