//! What a ServiceL2Status looks like.

use std::collections::BTreeSet;

use crds::api::v1beta1::{ServiceL2Status, ServiceL2StatusBody};
use crds::model::ids::ServiceKey;
use crds::names::{CLAIM, l2_status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};

/// The object that says that `node` announces `service`, without its status, which is written apart.
pub(super) fn object(
    node: &str,
    owner: Option<OwnerReference>,
    service: &ServiceKey,
    claim: u64,
) -> ServiceL2Status {
    let mut object = ServiceL2Status::new("", ServiceL2StatusBody::default());
    let labels = [
        (l2_status::NODE, node),
        (l2_status::SERVICE_NAME, &service.name),
        (l2_status::SERVICE_NAMESPACE, &service.namespace),
    ];
    object.metadata = ObjectMeta {
        generate_name: Some(l2_status::NAME_PREFIX.to_owned()),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        // Also without a mesh, where claims have no number: it says whose object this is.
        annotations: Some([(CLAIM.to_owned(), claim.to_string())].into()),
        owner_references: owner.map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    object
}

/// The patch that says the same in its status: announced on `interfaces`, or on all if there are none.
pub(super) fn status(node: &str, service: &ServiceKey, interfaces: &BTreeSet<String>) -> Value {
    let names: Vec<_> = interfaces.iter().map(|name| json!({ "name": name })).collect();
    json!({"status": {
        "node": node,
        "serviceName": service.name,
        "serviceNamespace": service.namespace,
        "interfaces": names,
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_object_is_called_and_labelled_as_metallbs() {
        let owner = OwnerReference { kind: "DaemonSet".to_owned(), ..OwnerReference::default() };
        let service = ServiceKey::new("default", "web");
        let object = object("n1", Some(owner.clone()), &service, 7);
        let metadata = serde_json::to_value(&object.metadata).unwrap();
        assert_eq!(metadata["generateName"], "l2-");
        let labels = json!({
            "metallb.io/node": "n1",
            "metallb.io/service-name": "web",
            "metallb.io/service-namespace": "default",
        });
        assert_eq!(metadata["labels"], labels);
        assert_eq!(metadata["annotations"], json!({"ferrolb.io/claim": "7"}));
        assert_eq!(object.metadata.owner_references, Some(vec![owner]));
        assert_eq!(object.status, None);
    }
}
