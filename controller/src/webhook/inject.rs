//! Where the API server reads which authority to trust: the `caBundle` of the entries of the
//! ValidatingWebhookConfiguration that lead to our Service, and of the conversion of the kind BGPPeer
//! if it does. Entries that lead elsewhere are somebody else's.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::certs::{Authority, bundle};

/// The CustomResourceDefinition whose conversion is asked for at the webhook.
pub const CONVERTED: &str = "bgppeers.metallb.io";

/// The Service that the webhook is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Its name.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
}

impl Behind {
    fn is(&self, service: Option<(&str, &str)>) -> bool {
        service == Some((&self.service, &self.namespace))
    }
}

/// One object in which trust is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Its resourceVersion.
    pub version: Option<String>,
    /// The entries that lead to us, by name, with what they trust.
    pub entries: Vec<(String, Vec<Authority>)>,
}

/// What `object` says of us.
pub fn webhooks(object: &ValidatingWebhookConfiguration, behind: &Behind) -> Place {
    let ours = object.webhooks.iter().flatten().filter(|entry| {
        let service = entry.client_config.service.as_ref();
        behind.is(service.map(|service| (service.name.as_str(), service.namespace.as_str())))
    });
    let entry = |entry: &k8s_openapi::api::admissionregistration::v1::ValidatingWebhook| {
        (entry.name.clone(), trusted(entry.client_config.ca_bundle.as_ref()))
    };
    Place { version: object.metadata.resource_version.clone(), entries: ours.map(entry).collect() }
}

/// What `object` says of us, if it has its objects converted by a webhook.
pub fn conversion(object: &CustomResourceDefinition, behind: &Behind) -> Place {
    let webhook = object.spec.conversion.as_ref().and_then(|one| one.webhook.as_ref());
    let client = webhook.and_then(|webhook| webhook.client_config.as_ref());
    let ours = client.filter(|client| {
        let service = client.service.as_ref();
        behind.is(service.map(|service| (service.name.as_str(), service.namespace.as_str())))
    });
    let entry = ours.map(|client| ("conversion".to_owned(), trusted(client.ca_bundle.as_ref())));
    Place {
        version: object.metadata.resource_version.clone(),
        entries: entry.into_iter().collect(),
    }
}

fn trusted(text: Option<&ByteString>) -> Vec<Authority> {
    text.map_or_else(Vec::new, |text| bundle::read(&text.0))
}

/// A strategic merge patch by which the entries of `place` trust `authorities`; all else stays. It
/// holds for this version of the object only: entries that came or went must be looked at first.
pub fn webhooks_patch(place: &Place, authorities: &[Authority]) -> Value {
    let client = json!({"caBundle": encoded(authorities)});
    let entry = |(name, _): &(String, _)| json!({"name": name, "clientConfig": client});
    let entries: Vec<_> = place.entries.iter().map(entry).collect();
    json!({"metadata": {"resourceVersion": place.version}, "webhooks": entries})
}

/// A merge patch by which the conversion trusts `authorities`, for this version of the object only.
pub fn conversion_patch(place: &Place, authorities: &[Authority]) -> Value {
    json!({
        "metadata": {"resourceVersion": place.version},
        "spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": encoded(authorities)}}}},
    })
}

fn encoded(authorities: &[Authority]) -> ByteString {
    ByteString(bundle::write(authorities).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::certs::make;

    fn behind() -> Behind {
        Behind { service: "s".to_owned(), namespace: "ns".to_owned() }
    }

    fn client(service: &str, bundle: &str) -> Value {
        let bundle = ByteString(bundle.as_bytes().to_vec());
        json!({"caBundle": bundle, "service": {"name": service, "namespace": "ns"}})
    }

    #[test]
    fn only_entries_that_lead_to_us_are_read_and_written() {
        let authority = make::anew(&["s.ns.svc".to_owned()], 1_800_000_000).unwrap().authority;
        let entry = |name: &str, client: Value| {
            let versions = ["v1"];
            json!({
                "name": name, "clientConfig": client, "sideEffects": "None",
                "admissionReviewVersions": versions,
            })
        };
        let object = json!({
            "metadata": {"name": "c", "resourceVersion": "7"},
            "webhooks": [
                entry("a", client("s", &authority)),
                entry("b", client("other", &authority)),
                entry("c", json!({"url": "https://192.0.2.1"})),
                entry("d", json!({"service": {"name": "s", "namespace": "ns"}})),
            ],
        });
        let place = webhooks(&serde_json::from_value(object).unwrap(), &behind());
        let all = bundle::read(authority.as_bytes());
        let expected = vec![("a".to_owned(), all.clone()), ("d".to_owned(), Vec::new())];
        assert_eq!(place, Place { version: Some("7".to_owned()), entries: expected });
        let patch = webhooks_patch(&place, &all);
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let names: Vec<_> =
            patch["webhooks"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["a", "d"]);
        let written = &patch["webhooks"][1]["clientConfig"]["caBundle"];
        let written: ByteString = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(bundle::read(&written.0), all);
    }

    #[test]
    fn a_conversion_is_ours_only_if_a_webhook_of_ours_does_it() {
        let place = |how: &Value| {
            let object = json!({
                "metadata": {"name": CONVERTED, "resourceVersion": "7"},
                "spec": {
                    "group": "metallb.io", "scope": "Namespaced", "versions": [],
                    "names": {"kind": "BGPPeer", "plural": "bgppeers"}, "conversion": how,
                },
            });
            conversion(&serde_json::from_value(object).unwrap(), &behind())
        };
        let webhook = |client: Value| {
            let webhook = json!({"clientConfig": client, "conversionReviewVersions": ["v1"]});
            json!({"strategy": "Webhook", "webhook": webhook})
        };
        assert_eq!(place(&json!({"strategy": "None"})).entries, []);
        assert_eq!(place(&webhook(client("other", ""))).entries, []);
        let ours = place(&webhook(client("s", "")));
        assert_eq!(ours.entries, [("conversion".to_owned(), Vec::new())]);
        assert_eq!(conversion_patch(&ours, &[])["metadata"]["resourceVersion"], "7");
    }
}
