//! Finds the configuration in what the user gave: the value of the key `config` of a ConfigMap, which
//! may stand among other objects.

use serde::Deserialize as _;
use serde_yaml::{Deserializer, Mapping, Value};

use super::Form;
use super::finding::{Caution, Fault, Findings, Place};
use super::legacy::{self, kind_of};

/// The configuration, and where it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The ConfigMap's namespace, if it says.
    pub(super) namespace: Option<String>,
    /// The configuration: YAML.
    pub(super) config: String,
}

/// Finds the configuration in `text`.
pub(super) fn read(text: &str, form: Form, findings: &mut Findings) -> Option<Source> {
    let objects = match documents(text) {
        Ok(objects) => objects,
        Err(error) => {
            findings.reject(Place::default(), Fault::NotYaml(error.to_string()));
            return None;
        }
    };
    match form {
        Form::OnlyData if objects.iter().any(is_config_map) => {
            findings.reject(Place::default(), Fault::IsConfigMap);
            None
        }
        Form::OnlyData => Some(Source { namespace: None, config: text.to_owned() }),
        Form::ConfigMap => one_config_map(&objects, findings),
    }
}

/// Every object of a stream of documents, those in lists among them.
fn documents(text: &str) -> Result<Vec<Mapping>, serde_yaml::Error> {
    let mut objects = Vec::new();
    for document in Deserializer::from_str(text) {
        let Value::Mapping(object) = Value::deserialize(document)? else { continue };
        match object.get("items") {
            Some(Value::Sequence(items)) if string(&object, "kind").is_some() => {
                objects.extend(items.iter().filter_map(Value::as_mapping).cloned());
            }
            _ => objects.push(object),
        }
    }
    Ok(objects)
}

fn one_config_map(objects: &[Mapping], findings: &mut Findings) -> Option<Source> {
    let has_config = |object: &&Mapping| {
        is_config_map(object) && data(object).is_some_and(|data| data.contains_key("config"))
    };
    let found: Vec<&Mapping> = objects.iter().filter(has_config).collect();
    match found.as_slice() {
        [one] => config_map(one, findings),
        [] => {
            let bare = |object: &Mapping| {
                let is_known = |key: &&str| object.contains_key(*key);
                !object.contains_key("kind") && legacy::SECTIONS.iter().any(is_known)
            };
            let kinds = || {
                let kind = |object| string(object, "kind").unwrap_or("an object without a kind");
                objects.iter().map(|object| kind(object).to_owned()).collect()
            };
            let is_bare = objects.iter().any(bare);
            let fault = if is_bare { Fault::IsOnlyData } else { Fault::NoConfigMap(kinds()) };
            findings.reject(Place::default(), fault);
            None
        }
        several => {
            let name = |object: &&Mapping| {
                let name = |key| metadata(object, key).unwrap_or("-");
                format!("{}/{}", name("namespace"), name("name"))
            };
            let names = several.iter().map(name).collect();
            findings.reject(Place::default(), Fault::SeveralConfigMaps(names));
            None
        }
    }
}

fn config_map(object: &Mapping, findings: &mut Findings) -> Option<Source> {
    let data = data(object)?;
    for key in data.keys().filter_map(Value::as_str).filter(|key| *key != "config") {
        findings.warn(Place::key(format!("data.{key}")), Caution::OtherData);
    }
    let config = data.get("config")?;
    let Some(config) = config.as_str() else {
        let expected = "a text: in a ConfigMap, `config: |` and indented lines below it";
        let found = kind_of(config);
        findings.reject(Place::key("data.config"), Fault::WrongType { expected, found });
        return None;
    };
    let namespace = metadata(object, "namespace").map(str::to_owned);
    Some(Source { namespace, config: config.to_owned() })
}

fn is_config_map(object: &Mapping) -> bool {
    string(object, "kind") == Some("ConfigMap")
}

fn data(object: &Mapping) -> Option<&Mapping> {
    object.get("data")?.as_mapping()
}

fn metadata<'a>(object: &'a Mapping, key: &str) -> Option<&'a str> {
    string(object.get("metadata")?.as_mapping()?, key).filter(|text| !text.is_empty())
}

fn string<'a>(object: &'a Mapping, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}
