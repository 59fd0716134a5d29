//! MetalLB's kinds for BGP. ferrolb does not read them; their definitions are installed so that a
//! MetalLB cluster can be taken over, and given back, without losing an object.
//!
//! Nothing here judges an object: `spec` and `status` take every field of every version of MetalLB
//! and keep it. See decision 0010.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceConversion, CustomResourceDefinition,
    CustomResourceDefinitionNames, CustomResourceDefinitionSpec, CustomResourceDefinitionVersion,
    CustomResourceSubresourceStatus, CustomResourceSubresources, CustomResourceValidation,
    JSONSchemaProps,
};
use kube::core::ObjectMeta;

use crate::names::GROUP;

/// A kind of object.
struct Kind {
    name: &'static str,
    plural: &'static str,
    doc: &'static str,
    /// Oldest first; the last one is stored.
    versions: &'static [Version],
    columns: &'static [Column],
}

struct Version {
    name: &'static str,
    /// What `kubectl` says to those who use it.
    deprecation: Option<&'static str>,
}

/// What `kubectl get` shows.
struct Column {
    name: &'static str,
    path: &'static str,
    kind: &'static str,
    /// Above 0: only with `-o wide`.
    priority: i32,
}

const V1BETA1: &[Version] = &[Version { name: "v1beta1", deprecation: None }];

const fn column(name: &'static str, path: &'static str, kind: &'static str) -> Column {
    Column { name, path, kind, priority: 0 }
}

const KINDS: &[Kind] = &[
    Kind {
        name: "BGPPeer",
        plural: "bgppeers",
        doc: "A BGP router to connect to. Kept for MetalLB; ferrolb does not read it.",
        versions: &[
            Version {
                name: "v1beta1",
                deprecation: Some("metallb.io/v1beta1 BGPPeer is deprecated; use v1beta2"),
            },
            Version { name: "v1beta2", deprecation: None },
        ],
        columns: &[
            column("Address", ".spec.peerAddress", "string"),
            column("ASN", ".spec.peerASN", "string"),
            column("BFD Profile", ".spec.bfdProfile", "string"),
            column("Multi Hops", ".spec.ebgpMultiHop", "string"),
        ],
    },
    Kind {
        name: "BGPAdvertisement",
        plural: "bgpadvertisements",
        doc: "Which pools are advertised by BGP. Kept for MetalLB; ferrolb does not read it.",
        versions: V1BETA1,
        columns: &[
            column("IPAddressPools", ".spec.ipAddressPools", "string"),
            column("IPAddressPool Selectors", ".spec.ipAddressPoolSelectors", "string"),
            column("Peers", ".spec.peers", "string"),
            Column {
                name: "Node Selectors",
                path: ".spec.nodeSelectors",
                kind: "string",
                priority: 10,
            },
        ],
    },
    Kind {
        name: "BFDProfile",
        plural: "bfdprofiles",
        doc: "How BFD watches BGP peers. Kept for MetalLB; ferrolb does not read it.",
        versions: V1BETA1,
        columns: &[
            column("Passive Mode", ".spec.passiveMode", "boolean"),
            column("Transmit Interval", ".spec.transmitInterval", "integer"),
            column("Receive Interval", ".spec.receiveInterval", "integer"),
            column("Multiplier", ".spec.detectMultiplier", "integer"),
        ],
    },
    Kind {
        name: "Community",
        plural: "communities",
        doc: "Names for BGP communities. Kept for MetalLB; ferrolb does not read it.",
        versions: V1BETA1,
        columns: &[],
    },
    Kind {
        name: "ServiceBGPStatus",
        plural: "servicebgpstatuses",
        doc: "The BGP peers a Service is advertised to. Kept for MetalLB; ferrolb does not write it.",
        versions: V1BETA1,
        columns: &[
            column("Node", ".status.node", "string"),
            column("Service Name", ".status.serviceName", "string"),
            column("Service Namespace", ".status.serviceNamespace", "string"),
        ],
    },
];

/// The definitions of all five kinds.
pub fn definitions() -> impl Iterator<Item = CustomResourceDefinition> {
    KINDS.iter().map(definition)
}

fn definition(kind: &Kind) -> CustomResourceDefinition {
    let stored = kind.versions.len() - 1;
    CustomResourceDefinition {
        metadata: ObjectMeta {
            name: Some(format!("{}.{GROUP}", kind.plural)),
            ..ObjectMeta::default()
        },
        spec: CustomResourceDefinitionSpec {
            // Spelt out, though it is the default: it replaces MetalLB's call of a webhook.
            conversion: (kind.versions.len() > 1)
                .then(|| CustomResourceConversion { strategy: "None".to_owned(), webhook: None }),
            group: GROUP.to_owned(),
            names: CustomResourceDefinitionNames {
                kind: kind.name.to_owned(),
                plural: kind.plural.to_owned(),
                singular: Some(kind.name.to_lowercase()),
                ..CustomResourceDefinitionNames::default()
            },
            scope: "Namespaced".to_owned(),
            versions: kind
                .versions
                .iter()
                .enumerate()
                .map(|(number, version)| served(kind, version, number == stored))
                .collect(),
            ..CustomResourceDefinitionSpec::default()
        },
        status: None,
    }
}

fn served(kind: &Kind, version: &Version, is_stored: bool) -> CustomResourceDefinitionVersion {
    let columns = kind.columns.iter().map(|column| CustomResourceColumnDefinition {
        name: column.name.to_owned(),
        json_path: column.path.to_owned(),
        type_: column.kind.to_owned(),
        priority: (column.priority > 0).then_some(column.priority),
        ..CustomResourceColumnDefinition::default()
    });
    CustomResourceDefinitionVersion {
        name: version.name.to_owned(),
        served: true,
        storage: is_stored,
        deprecated: version.deprecation.map(|_| true),
        deprecation_warning: version.deprecation.map(str::to_owned),
        additional_printer_columns: Some(columns.collect::<Vec<_>>())
            .filter(|columns| !columns.is_empty()),
        schema: Some(CustomResourceValidation { open_api_v3_schema: Some(schema(kind.doc)) }),
        subresources: Some(CustomResourceSubresources {
            scale: None,
            status: Some(CustomResourceSubresourceStatus(serde_json::json!({}))),
        }),
        ..CustomResourceDefinitionVersion::default()
    }
}

/// Takes whatever there is under `spec` and `status`.
fn schema(doc: &str) -> JSONSchemaProps {
    let open = |doc: &str| JSONSchemaProps {
        description: Some(doc.to_owned()),
        type_: Some("object".to_owned()),
        x_kubernetes_preserve_unknown_fields: Some(true),
        ..JSONSchemaProps::default()
    };
    let properties = [
        ("spec".to_owned(), open("Any fields; MetalLB's documentation lists them.")),
        ("status".to_owned(), open("Any fields.")),
    ];
    JSONSchemaProps {
        description: Some(doc.to_owned()),
        type_: Some("object".to_owned()),
        properties: Some(properties.into()),
        ..JSONSchemaProps::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_stores_exactly_one_version_and_drops_no_field() {
        for definition in definitions() {
            let versions = &definition.spec.versions;
            assert_eq!(versions.iter().filter(|version| version.storage).count(), 1);
            for version in versions {
                let schema = version.schema.clone().and_then(|all| all.open_api_v3_schema);
                let properties = schema.and_then(|schema| schema.properties).unwrap();
                for part in ["spec", "status"] {
                    assert_eq!(properties[part].x_kubernetes_preserve_unknown_fields, Some(true));
                }
            }
        }
    }

    #[test]
    fn of_two_versions_of_a_peer_the_newer_is_stored_and_the_older_warns() {
        let peer = definitions().find(|kind| kind.spec.names.kind == "BGPPeer").unwrap();
        let [old, new] = &peer.spec.versions[..] else {
            unreachable!("two versions");
        };
        assert_eq!((old.name.as_str(), old.storage), ("v1beta1", false));
        assert!(old.deprecation_warning.is_some());
        assert_eq!((new.name.as_str(), new.storage), ("v1beta2", true));
        assert_eq!(new.deprecation_warning, None);
        assert_eq!(peer.spec.conversion.map(|by| by.strategy).as_deref(), Some("None"));
    }
}
