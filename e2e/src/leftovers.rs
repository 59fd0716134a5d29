//! Objects as MetalLB 0.16 writes them, left in ferrolb's namespace when its pods have gone.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use crate::cluster::Lab;
use crate::config::NAMESPACE;

/// The pod of MetalLB to which its objects belonged: it is gone.
pub fn gone_pod(name: &str) -> Value {
    let uid = "0f5a3c1e-0000-4000-8000-00000000dead";
    json!([{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}])
}

/// Makes an object, and then gives it a status.
fn make(lab: &Lab, object: &Value, status: &Value) -> Result<()> {
    lab.apply(&object.to_string())?;
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    let patch = json!({ "status": status }).to_string();
    let status = ["--subresource=status", "--type=merge", "-p", &patch];
    // One that belongs to a pod that is gone may be gone by now.
    match kubectl(lab, &[&["patch", kind, name], &status[..]].concat()) {
        Err(error) if format!("{error:#}").contains("not found") => Ok(()),
        done => done.map(drop),
    }
}

/// What one of MetalLB's speakers said: that it announces a Service. `number` picks the node.
pub fn announced(
    lab: &Lab,
    space: &str,
    number: usize,
    service: &str,
    owner: &Value,
) -> Result<()> {
    let node = &lab.nodes()[number % lab.nodes().len()].name;
    let object = json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status",
        "metadata": {
            "name": format!("l2-left{number}"), "namespace": NAMESPACE,
            "labels": {
                "metallb.io/node": node, "metallb.io/service-name": service,
                "metallb.io/service-namespace": space,
            },
            "ownerReferences": owner,
        },
    });
    let status = json!({"node": node, "serviceName": service, "serviceNamespace": space});
    make(lab, &object, &status)
}

/// What MetalLB's programs thought of their configuration.
pub fn judged(lab: &Lab, name: &str, condition: &str, owner: &Value) -> Result<()> {
    let component = if name == "controller" { "controller" } else { "speaker" };
    let object = json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "ConfigurationState",
        "metadata": {
            "name": name, "namespace": NAMESPACE,
            "labels": {"metallb.io/component-type": component},
            "ownerReferences": owner,
        },
    });
    let condition = json!({
        "type": condition, "status": "False", "reason": "ConfigurationError",
        "message": "configuration error: of long ago", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let status = json!({
        "result": "Invalid", "errorSummary": "configuration error: of long ago",
        "conditions": [condition],
    });
    make(lab, &object, &status)
}

/// The Secrets that both programs keep under the same names.
pub fn secrets(lab: &Lab) -> Result<()> {
    const FOLDER: [(&str, &str); 4] = [
        ("ca.crt", include_str!("../../controller/src/webhook/certs/judge/metallb/ca.crt")),
        ("ca.key", include_str!("../../controller/src/webhook/certs/judge/metallb/ca.key")),
        ("tls.crt", include_str!("../../controller/src/webhook/certs/judge/metallb/tls.crt")),
        ("tls.key", include_str!("../../controller/src/webhook/certs/judge/metallb/tls.key")),
    ];
    let certificate: BTreeMap<&str, &str> = FOLDER.into();
    let key = "MetalLB makes this of a hundred and twenty-eight random letters";
    let all = [
        ("metallb-webhook-cert", json!(certificate)),
        // Not ours, which the chart calls otherwise: with another key under them, speakers that are
        // replaced one after the other would not hear those that have the former.
        ("memberlist", json!({ "secretkey": key })),
    ];
    for (name, data) in all {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": {"name": name, "namespace": NAMESPACE},
        });
        lab.apply(&secret.to_string())?;
    }
    Ok(())
}

fn kubectl(lab: &Lab, args: &[&str]) -> Result<String> {
    lab.kubectl(&[&["-n", NAMESPACE], args].concat())
}
