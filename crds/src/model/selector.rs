//! Label selectors: parsed once, matched often.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, Serialize};

/// An object's labels.
pub type Labels = BTreeMap<String, String>;

/// A label selector whose every requirement must hold; with none, everything matches.
///
/// Requirements are kept as a sorted set and their values as sorted sets, so that two selectors
/// that mean the same are equal, which is how duplicates are found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Selector {
    requirements: BTreeSet<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Test {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
}

/// Why a selector was rejected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum InvalidSelector {
    /// An operator that Kubernetes does not have.
    #[error("\"{0}\" is not a valid label selector operator")]
    Operator(String),
    /// `In` and `NotIn` need values.
    #[error("values of key \"{key}\": for 'in', 'notin' operators, values set can't be empty")]
    NoValues {
        /// The expression's key.
        key: String,
    },
    /// `Exists` and `DoesNotExist` take none.
    #[error("values of key \"{key}\": values set must be empty for exists and does not exist")]
    UnwantedValues {
        /// The expression's key.
        key: String,
    },
    /// Not a label key by Kubernetes' syntax.
    #[error("label key \"{0}\" is not valid")]
    Key(String),
    /// Not a label value by Kubernetes' syntax.
    #[error("label value \"{value}\" of key \"{key}\" is not valid")]
    Value {
        /// The key it was given for.
        key: String,
        /// The value itself.
        value: String,
    },
    /// One value twice within an expression.
    #[error("duplicate definition of match expression value in label selector \"{0}\"")]
    RepeatedValue(String),
    /// One expression twice within a selector.
    #[error("duplicate definition of match expressions in label selector, key \"{0}\"")]
    RepeatedExpression(String),
}

impl Selector {
    /// Reads a Kubernetes selector.
    ///
    /// # Errors
    /// [`InvalidSelector`] for what Kubernetes itself refuses in a selector, and for repeated
    /// values and expressions, which MetalLB refuses.
    pub fn parse(selector: &LabelSelector) -> Result<Self, InvalidSelector> {
        let mut requirements = BTreeSet::new();
        for (key, value) in selector.match_labels.iter().flatten() {
            check_key(key)?;
            check_value(key, value)?;
            let test = Test::In(BTreeSet::from([value.clone()]));
            requirements.insert(Requirement { key: key.clone(), test });
        }
        let mut expressions = BTreeSet::new();
        for expression in selector.match_expressions.iter().flatten() {
            let key = &expression.key;
            let values = expression.values.as_deref().unwrap_or_default();
            let requirement = Requirement {
                key: key.clone(),
                test: parse_test(key, &expression.operator, values)?,
            };
            if !expressions.insert(requirement.clone()) {
                return Err(InvalidSelector::RepeatedExpression(key.clone()));
            }
            requirements.insert(requirement);
        }
        Ok(Self { requirements })
    }

    /// Whether `labels` satisfy every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|Requirement { key, test }| match (test, labels.get(key)) {
            (Test::In(values), Some(value)) => values.contains(value),
            (Test::NotIn(values), Some(value)) => !values.contains(value),
            (Test::Exists, found) => found.is_some(),
            (Test::DoesNotExist, found) => found.is_none(),
            (Test::In(_), None) => false,
            // As in Kubernetes: an object without the key satisfies NotIn.
            (Test::NotIn(_), None) => true,
        })
    }
}

/// Whether any of `selectors` matches; an empty list is the caller's to interpret.
pub fn any_matches(selectors: &[Selector], labels: &Labels) -> bool {
    selectors.iter().any(|selector| selector.matches(labels))
}

fn parse_test(key: &str, operator: &str, values: &[String]) -> Result<Test, InvalidSelector> {
    check_key(key)?;
    let mut set = BTreeSet::new();
    for value in values {
        check_value(key, value)?;
        if !set.insert(value.clone()) {
            return Err(InvalidSelector::RepeatedValue(value.clone()));
        }
    }
    let test = match operator {
        "In" => Test::In(set),
        "NotIn" => Test::NotIn(set),
        "Exists" => Test::Exists,
        "DoesNotExist" => Test::DoesNotExist,
        other => return Err(InvalidSelector::Operator(other.to_owned())),
    };
    match (&test, values.is_empty()) {
        (Test::In(_) | Test::NotIn(_), true) => {
            Err(InvalidSelector::NoValues { key: key.to_owned() })
        }
        (Test::Exists | Test::DoesNotExist, false) => {
            Err(InvalidSelector::UnwantedValues { key: key.to_owned() })
        }
        (Test::In(_) | Test::NotIn(_), false) | (Test::Exists | Test::DoesNotExist, true) => {
            Ok(test)
        }
    }
}

/// A label key: an optional DNS prefix and a slash, then a name of at most 63 characters.
fn check_key(key: &str) -> Result<(), InvalidSelector> {
    let (prefix, name) =
        key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefix_ok = prefix.is_none_or(|prefix| {
        !prefix.is_empty()
            && prefix.len() <= 253
            && prefix.split('.').all(|label| {
                is_name(label) && label.chars().all(|c| !c.is_ascii_uppercase() && c != '_')
            })
    });
    if prefix_ok && is_name(name) { Ok(()) } else { Err(InvalidSelector::Key(key.to_owned())) }
}

fn check_value(key: &str, value: &str) -> Result<(), InvalidSelector> {
    if value.is_empty() || is_name(value) {
        return Ok(());
    }
    Err(InvalidSelector::Value { key: key.to_owned(), value: value.to_owned() })
}

/// Up to 63 letters, digits, `-`, `_`, `.`, with a letter or digit at both ends.
fn is_name(text: &str) -> bool {
    let ends_well = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && ends_well(text.chars().next())
        && ends_well(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    use super::*;

    fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        let values = values.iter().map(ToString::to_string).collect();
        LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: key.to_owned(),
                operator: operator.to_owned(),
                values: Some(values),
            }]),
            match_labels: None,
        }
    }

    #[test]
    fn matches_as_kubernetes_does() {
        let zone_a = Labels::from([("zone".to_owned(), "a".to_owned())]);
        for (operator, values, with, without) in [
            ("In", &["a", "b"][..], true, false),
            ("NotIn", &["a"], false, true),
            ("NotIn", &["b"], true, true),
            ("Exists", &[], true, false),
            ("DoesNotExist", &[], false, true),
        ] {
            let selector = Selector::parse(&expression("zone", operator, values)).unwrap();
            assert_eq!(selector.matches(&zone_a), with, "{operator} {values:?}");
            assert_eq!(selector.matches(&Labels::new()), without, "{operator} {values:?}");
        }
        assert!(Selector::default().matches(&Labels::new()));
    }

    #[test]
    fn order_of_values_does_not_make_another_selector() {
        let parse = |values| Selector::parse(&expression("zone", "In", values)).unwrap();
        assert_eq!(parse(&["a", "b"]), parse(&["b", "a"]));
    }

    #[test]
    fn refuses_what_kubernetes_refuses() {
        for (key, operator, values, message) in [
            ("zone", "Is", &["a"][..], "\"Is\" is not a valid label selector operator"),
            (
                "zone",
                "In",
                &[],
                "values of key \"zone\": for 'in', 'notin' operators, values set can't be empty",
            ),
            (
                "zone",
                "Exists",
                &["a"],
                "values of key \"zone\": values set must be empty for exists and does not exist",
            ),
            ("zo ne", "Exists", &[], "label key \"zo ne\" is not valid"),
            ("zone", "In", &["a b"], "label value \"a b\" of key \"zone\" is not valid"),
            (
                "zone",
                "In",
                &["a", "a"],
                "duplicate definition of match expression value in label selector \"a\"",
            ),
        ] {
            let refused = Selector::parse(&expression(key, operator, values)).unwrap_err();
            assert_eq!(refused.to_string(), message);
        }
    }

    #[test]
    fn refuses_an_expression_given_twice() {
        let mut twice = expression("zone", "In", &["a", "b"]);
        twice
            .match_expressions
            .as_mut()
            .unwrap()
            .extend(expression("zone", "In", &["b", "a"]).match_expressions.unwrap());
        assert_eq!(
            Selector::parse(&twice),
            Err(InvalidSelector::RepeatedExpression("zone".to_owned()))
        );
    }
}
