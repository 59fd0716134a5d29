//! The shape of MetalLB's kinds, as `kubectl` and its users see it: names, versions, columns, what
//! must be given and what is assumed. An object made for either program must be valid for both.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails the test")]

use crds::api::bgp;
use crds::api::v1beta1::{ConfigurationState, IPAddressPool, L2Advertisement, ServiceL2Status};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Value, json};

fn ours() -> [CustomResourceDefinition; 4] {
    [
        IPAddressPool::crd(),
        L2Advertisement::crd(),
        ServiceL2Status::crd(),
        ConfigurationState::crd(),
    ]
}

/// The definition's only version.
fn version(definition: &CustomResourceDefinition) -> Value {
    let [version] = &definition.spec.versions[..] else {
        panic!("{:?}", definition.spec.versions);
    };
    serde_json::to_value(version).unwrap()
}

fn schema(definition: &CustomResourceDefinition) -> Value {
    version(definition)["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn kinds_have_metallbs_names_and_no_others() {
    let versions = |definition: &CustomResourceDefinition| {
        let versions = definition.spec.versions.iter();
        let served = versions.filter(|version| version.served).map(|version| version.name.clone());
        served.collect::<Vec<_>>().join(" ")
    };
    let names: Vec<_> = ours()
        .into_iter()
        .chain(bgp::definitions())
        .map(|it| {
            let names = &it.spec.names;
            assert_eq!(
                (it.spec.group.as_str(), it.spec.scope.as_str()),
                ("metallb.io", "Namespaced")
            );
            assert!(names.short_names.as_deref().unwrap_or_default().is_empty(), "{names:?}");
            assert!(names.categories.as_deref().unwrap_or_default().is_empty(), "{names:?}");
            assert_eq!(names.singular, Some(names.kind.to_lowercase()));
            format!("{} {} {}", names.kind, names.plural, versions(&it))
        })
        .collect();
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let expected = [
        "BFDProfile bfdprofiles v1beta1",
        "BGPAdvertisement bgpadvertisements v1beta1",
        "BGPPeer bgppeers v1beta1 v1beta2",
        "Community communities v1beta1",
        "ConfigurationState configurationstates v1beta1",
        "IPAddressPool ipaddresspools v1beta1",
        "L2Advertisement l2advertisements v1beta1",
        "ServiceBGPStatus servicebgpstatuses v1beta1",
        "ServiceL2Status servicel2statuses v1beta1",
    ];
    assert_eq!(sorted, expected);
}

#[test]
fn kubectl_shows_metallbs_columns() {
    let columns = |definition: &CustomResourceDefinition| {
        let columns = version(definition)["additionalPrinterColumns"].clone();
        let text = |column: &Value| {
            let wide = if column["priority"].as_i64().unwrap_or(0) > 0 { " wide" } else { "" };
            let part = |key: &str| column[key].as_str().unwrap().to_owned();
            format!("{} {} {}{wide}", part("name"), part("type"), part("jsonPath"))
        };
        columns.as_array().unwrap().iter().map(text).collect::<Vec<_>>()
    };
    let expected: [&[&str]; 4] = [
        &[
            "Auto Assign boolean .spec.autoAssign",
            "Avoid Buggy IPs boolean .spec.avoidBuggyIPs",
            "Addresses string .spec.addresses",
        ],
        &[
            "IPAddressPools string .spec.ipAddressPools",
            "IPAddressPool Selectors string .spec.ipAddressPoolSelectors",
            "Interfaces string .spec.interfaces",
            "Node Selectors string .spec.nodeSelectors wide",
        ],
        &[
            "Allocated Node string .status.node",
            "Service Name string .status.serviceName",
            "Service Namespace string .status.serviceNamespace",
        ],
        &[
            "Result string .status.result",
            "ErrorSummary string .status.errorSummary",
            "Age date .metadata.creationTimestamp",
        ],
    ];
    for (definition, expected) in ours().iter().zip(expected) {
        assert_eq!(columns(definition), expected, "{}", definition.spec.names.kind);
    }
}

#[test]
fn all_have_a_status_of_its_own() {
    for definition in ours() {
        let status = version(&definition)["subresources"]["status"].clone();
        assert!(status.is_object(), "{}", definition.spec.names.kind);
    }
}

#[test]
fn what_must_be_given_and_what_is_assumed_is_as_in_metallb() {
    let [pool, advertisement, ..] = ours().map(|definition| schema(&definition));
    assert_eq!(pool["required"], json!(["spec"]));
    let spec = &pool["properties"]["spec"];
    assert_eq!(spec["required"], json!(["addresses"]));
    assert_eq!(spec["properties"]["autoAssign"]["default"], json!(true));
    assert_eq!(spec["properties"]["avoidBuggyIPs"]["default"], json!(false));
    let allocation = &spec["properties"]["serviceAllocation"];
    assert_eq!(allocation.get("required"), None);
    let priority = &allocation["properties"]["priority"];
    assert_eq!(priority.get("minimum"), None, "a negative one is fine");
    let status = &pool["properties"]["status"];
    let mut required = status["required"].as_array().unwrap().clone();
    required.sort_by_key(ToString::to_string);
    let all = json!(["assignedIPv4", "assignedIPv6", "availableIPv4", "availableIPv6"]);
    assert_eq!(Value::Array(required), all);
    assert_eq!(status["properties"]["assignedIPv4"]["format"], "int64");

    assert_eq!(advertisement.get("required"), None, "even spec may be left out");
    let spec = &advertisement["properties"]["spec"];
    assert_eq!(spec.get("required"), None);
    let preferred = &spec["properties"]["preferredNodeSelectors"]["items"];
    let weight = &preferred["properties"]["weight"];
    assert_eq!((weight["minimum"].as_f64(), weight["maximum"].as_f64()), (Some(1.), Some(100.)));
    let mut required = preferred["required"].as_array().unwrap().clone();
    required.sort_by_key(ToString::to_string);
    assert_eq!(Value::Array(required), json!(["preference", "weight"]));
}

#[test]
fn who_announces_what_cannot_be_rewritten() {
    let [_, _, l2_status, state] = ours().map(|definition| schema(&definition));
    let status = &l2_status["properties"]["status"]["properties"];
    for field in ["node", "serviceName", "serviceNamespace"] {
        let rules = status[field]["x-kubernetes-validations"].as_array().unwrap().clone();
        assert_eq!(rules[0]["rule"], "self == oldSelf", "{field}");
        assert_eq!(rules[0]["message"], "Value is immutable", "{field}");
    }
    assert_eq!(status["interfaces"]["items"]["properties"]["name"]["type"], "string");

    let status = &state["properties"]["status"]["properties"];
    let words: Vec<_> = status["result"]["enum"].as_array().unwrap().iter().collect();
    for word in ["Valid", "Invalid", "Unknown"] {
        assert!(words.contains(&&json!(word)), "{words:?}");
    }
    assert_eq!(status["conditions"]["x-kubernetes-list-type"], "map");
    assert_eq!(status["conditions"]["x-kubernetes-list-map-keys"], json!(["type"]));
}
