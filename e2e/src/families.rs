//! Of which families the addresses of a Service are.

use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// As the cluster has it when the Service is silent: IPv4.
    Default,
    Ipv6,
    Both,
}

impl Families {
    /// What the spec of such a Service says.
    pub fn spec(self) -> Value {
        match self {
            Self::Default => json!({}),
            Self::Ipv6 => json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}),
            Self::Both => json!({"ipFamilyPolicy": "RequireDualStack"}),
        }
    }

    /// The same as lines of YAML.
    pub fn lines(self) -> String {
        let spec = self.spec();
        let fields = spec.as_object().into_iter().flatten();
        fields.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
    }

    /// How many addresses such a Service gets.
    pub fn each(self) -> usize {
        match self {
            Self::Default | Self::Ipv6 => 1,
            Self::Both => 2,
        }
    }

    /// A pool for them, of these ranges.
    pub fn pool(self, v4: &str, v6: &str) -> String {
        match self {
            Self::Default => v4.to_owned(),
            Self::Ipv6 => v6.to_owned(),
            Self::Both => format!("{v4}, {v6}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_yaml_too() {
        assert_eq!(Families::Both.lines(), "ipFamilyPolicy: \"RequireDualStack\"");
        assert!(Families::Ipv6.lines().contains("ipFamilies: [\"IPv6\"]"));
        assert_eq!(Families::Default.lines(), "");
    }
}
