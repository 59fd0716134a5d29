//! What a node leaves behind that is gone for good. The node of this test never was there, which is
//! the same to the controller, and spares a real one.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::cluster::Lab;
use e2e::config::NAMESPACE;
use e2e::wait::{Look, until};
use serde_json::{Value, json};

/// A node is gone for good after two minutes; the rest is for slow machines.
const GRACE: Duration = Duration::from_mins(3);
const GONE: &str = "n99";
const KINDS: &str =
    "servicel2statuses.metallb.io,speakers.ferrolb.io,configurationstates.metallb.io";

/// The objects of the three kinds.
fn names(lab: &Lab) -> Result<Vec<String>> {
    let found = lab.kubectl(&["-n", NAMESPACE, "get", KINDS, "-o", "name"])?;
    Ok(found.lines().map(str::to_owned).collect())
}

/// What the speaker of a node would say: one object of each kind.
fn said() -> [Value; 3] {
    let metadata = |name: &str, labels: &Value| json!({"name": name, "namespace": NAMESPACE, "labels": labels});
    let of_node = json!({"metallb.io/node": GONE});
    let judge = json!({"metallb.io/component-type": "speaker", "metallb.io/node-name": GONE});
    [
        json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status",
            "metadata": metadata("l2-left99", &of_node),
        }),
        json!({
            "apiVersion": "ferrolb.io/v1alpha1", "kind": "Speaker", "spec": {},
            "metadata": metadata(GONE, &of_node),
        }),
        json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "ConfigurationState",
            "metadata": metadata(&format!("speaker-{GONE}"), &judge),
        }),
    ]
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn what_a_node_left_that_does_not_exist_is_deleted_and_nothing_else() -> Result<()> {
    let lab = Lab::attach()?;
    for object in said() {
        lab.apply(&object.to_string())?;
    }
    let of_gone = |names: &[String]| names.iter().filter(|name| name.contains("99")).count();
    let before = names(&lab)?;
    ensure!(of_gone(&before) == 3, "{before:?}");
    until(GRACE, "the objects of a node that is gone to go", async || {
        let now = names(&lab)?;
        Ok(Look::when((of_gone(&now) == 0).then_some(()), || now.join(", ")))
    })
    .await?;
    let after = names(&lab)?;
    for node in lab.nodes().iter().map(|node| &node.name) {
        for name in [
            format!("speaker.ferrolb.io/{node}"),
            format!("configurationstate.metallb.io/speaker-{node}"),
        ] {
            ensure!(after.contains(&name), "{name} is not in {after:?}");
        }
    }
    Ok(())
}
