//! `BGPPeer` between `v1beta1` and `v1beta2`. ferrolb ignores the kind, but who took over a cluster
//! from MetalLB has its CustomResourceDefinition, by which the API server asks here, and could
//! otherwise not even list or delete such objects.
//!
//! All fields of the older version are in the newer one, with the same names and shapes, but for two
//! values that only one of them admits. What the newer one has besides, the API server takes away
//! itself, by the schema of the version it asked for.

use serde::Deserialize;
use serde_json::{Value, json};

const OLD: &str = "metallb.io/v1beta1";
const NEW: &str = "metallb.io/v1beta2";

#[derive(Deserialize)]
struct Review {
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    #[serde(rename = "desiredAPIVersion")]
    desired: String,
    objects: Vec<Value>,
}

/// The answer to a `ConversionReview` of `apiextensions.k8s.io/v1`.
///
/// # Errors
/// When the body is none.
pub fn convert(body: &[u8]) -> Result<Value, serde_json::Error> {
    let Review { request } = serde_json::from_slice(body)?;
    let converted: Result<Vec<_>, String> =
        request.objects.into_iter().map(|object| one(object, &request.desired)).collect();
    let (objects, result) = match converted {
        Ok(objects) => (objects, json!({"status": "Success"})),
        Err(message) => (Vec::new(), json!({"status": "Failure", "message": message})),
    };
    Ok(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "response": {"uid": request.uid, "convertedObjects": objects, "result": result},
    }))
}

fn one(mut object: Value, desired: &str) -> Result<Value, String> {
    let from = object["apiVersion"].as_str().unwrap_or_default().to_owned();
    let kind = &object["kind"];
    if kind != "BGPPeer" || ![OLD, NEW].contains(&from.as_str()) || ![OLD, NEW].contains(&desired) {
        return Err(format!("{kind} of {from} cannot be made one of {desired}"));
    }
    object["apiVersion"] = json!(desired);
    match object.get_mut("spec").and_then(Value::as_object_mut) {
        // The older one takes 0 for the default port, the newer one takes only ports.
        Some(spec) if desired == NEW && spec.get("peerPort") == Some(&json!(0)) => {
            spec.remove("peerPort");
        }
        // The older one insists on values, also for operators that have none.
        Some(spec) if desired == OLD => {
            let selectors = spec.get_mut("nodeSelectors").and_then(Value::as_array_mut);
            for selector in selectors.into_iter().flatten() {
                let all = selector.get_mut("matchExpressions").and_then(Value::as_array_mut);
                for expression in all.into_iter().flatten().filter_map(Value::as_object_mut) {
                    expression.entry("values").or_insert_with(|| json!([]));
                }
            }
        }
        Some(_) | None => {}
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(desired: &str, objects: &[Value]) -> Value {
        let body = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
            "request": {"uid": "u", "desiredAPIVersion": desired, "objects": objects},
        });
        convert(body.to_string().as_bytes()).unwrap()["response"].clone()
    }

    fn peer(version: &str, spec: &Value) -> Value {
        json!({
            "apiVersion": version, "kind": "BGPPeer",
            "metadata": {"name": "p", "labels": {"a": "b"}, "uid": "1"}, "spec": spec,
        })
    }

    #[test]
    fn what_both_versions_have_comes_through_either_way() {
        let spec = json!({
            "myASN": 64500, "peerASN": 64501, "peerAddress": "192.0.2.1", "peerPort": 1179,
            "holdTime": "1m30s", "keepaliveTime": "30s", "password": "x", "ebgpMultiHop": true,
            "nodeSelectors": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}],
        });
        for (from, to) in [(OLD, NEW), (NEW, OLD)] {
            let response = review(to, &[peer(from, &spec), peer(to, &spec)]);
            assert_eq!(response["result"]["status"], "Success");
            let expected = [peer(to, &spec), peer(to, &spec)];
            assert_eq!(response["convertedObjects"], json!(expected), "{from} -> {to}");
        }
    }

    #[test]
    fn values_that_only_one_version_admits_are_adapted() {
        let response = review(NEW, &[peer(OLD, &json!({"myASN": 1, "peerPort": 0}))]);
        assert_eq!(response["convertedObjects"][0]["spec"], json!({"myASN": 1}));
        let exists = |more: Value| {
            let mut expression = json!({"key": "a", "operator": "Exists"});
            expression.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"nodeSelectors": [{"matchExpressions": [expression]}]})
        };
        let response = review(OLD, &[peer(NEW, &exists(json!({})))]);
        assert_eq!(response["convertedObjects"][0]["spec"], exists(json!({"values": []})));
    }

    #[test]
    fn other_kinds_and_versions_are_refused_as_a_whole() {
        let mut other = peer(OLD, &json!({}));
        other["kind"] = json!("Other");
        for (desired, object) in [
            (NEW, other),
            ("metallb.io/v1", peer(OLD, &json!({}))),
            (OLD, peer("metallb.io/v1", &json!({}))),
        ] {
            let response = review(desired, &[peer(OLD, &json!({})), object]);
            assert_eq!(response["result"]["status"], "Failure", "{response}");
            assert_eq!(response["convertedObjects"], json!([]));
        }
        assert!(convert(b"{}").is_err());
    }
}
