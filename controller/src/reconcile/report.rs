//! Keeps the ConfigurationState object saying what is wrong with the configuration. It writes only
//! when the object says something else, and makes it anew when somebody deletes it.

use std::pin::pin;
use std::time::Duration;

use crds::api::v1beta1::configuration_state::ConfigurationStateBody;
use crds::api::v1beta1::{ConfigurationResult, ConfigurationState, ConfigurationStateStatus};
use crds::model::compile::Problem;
use crds::names::configuration_state as names;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kit::feed::{Change, feed};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use serde_json::json;
use tokio::sync::watch;

use super::write::{Failure, Writer};

/// The pause after a write that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// Runs until it is dropped, or `problems` can change no more. `None` in it: not known yet.
pub async fn keep(
    writer: Writer,
    namespace: String,
    mut problems: watch::Receiver<Option<Vec<Problem>>>,
) {
    let guarded = Api::namespaced(writer.client(), &namespace);
    let only = watcher::Config::default().fields(&format!("metadata.name={}", names::CONTROLLER));
    let mut changes = pin!(feed(guarded, only, |_: &mut ConfigurationState| ()));
    let api: Api<ConfigurationState> = Api::namespaced(writer.client(), &namespace);
    let mut found: Option<Option<ConfigurationState>> = None;
    loop {
        let wanted = problems.borrow_and_update().clone();
        let mut failed = false;
        if let (Some(found), Some(wanted)) = (&mut found, wanted) {
            match write(&writer, &api, found.as_ref(), &wanted).await {
                Ok(Some(now)) => *found = Some(now),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "configuration state not written");
                    failed = true;
                }
            }
        }
        tokio::select! {
            more = problems.changed() => if more.is_err() {
                return;
            },
            Some(change) = changes.next() => match change {
                Change::Reset { mut objects, .. } => found = Some(objects.pop()),
                Change::Put(object) => found = Some(Some(object)),
                Change::Gone(_) => found = Some(None),
                Change::Unreadable(_) => {}
            },
            () = tokio::time::sleep(PAUSE), if failed => {}
        }
    }
}

/// Makes the object say what is `wanted`, and returns what it is then if it had to be written.
async fn write(
    writer: &Writer,
    api: &Api<ConfigurationState>,
    found: Option<&ConfigurationState>,
    wanted: &[Problem],
) -> Result<Option<ConfigurationState>, Failure> {
    let made;
    let object = if let Some(found) = found {
        found
    } else {
        let create = PostParams::default();
        made = writer.fenced(api.create(&create, &blank())).await?;
        &made
    };
    let before = object.status.clone().unwrap_or_default();
    let after = status(wanted, &before, now());
    if after == before {
        return Ok(None);
    }
    // An empty summary is left out of the status, and a merge would then keep the old one.
    let patch = json!({"status": {
        "result": after.result,
        "errorSummary": after.error_summary,
        "conditions": after.conditions,
    }});
    let params = PatchParams::default();
    let patch = Patch::Merge(patch);
    let written = writer.fenced(api.patch_status(names::CONTROLLER, &params, &patch)).await?;
    Ok(Some(written))
}

fn blank() -> ConfigurationState {
    let mut object = ConfigurationState::new(names::CONTROLLER, ConfigurationStateBody {});
    let labels = [(names::COMPONENT_TYPE.to_owned(), "controller".to_owned())];
    object.metadata.labels = Some(labels.into());
    object
}

#[expect(clippy::disallowed_methods, reason = "a condition says since when it holds")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// What the status should be; equal to `before` if that says the same.
fn status(
    problems: &[Problem],
    before: &ConfigurationStateStatus,
    now: Timestamp,
) -> ConfigurationStateStatus {
    let summary: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let summary = summary.join("\n");
    let (result, state, reason, message) = if problems.is_empty() {
        (ConfigurationResult::Valid, "True", names::RECONCILED, String::new())
    } else {
        let message = format!("configuration error: {summary}");
        (ConfigurationResult::Invalid, "False", names::CONFIGURATION_ERROR, message)
    };
    let ours = |condition: &&Condition| condition.type_ == names::POOL_CONDITION;
    let known = before.conditions.iter().find(ours);
    let since = known
        .filter(|known| known.status == state)
        .map_or(Time(now), |known| known.last_transition_time.clone());
    let condition = Condition {
        type_: names::POOL_CONDITION.to_owned(),
        status: state.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: since,
        observed_generation: None,
    };
    let others = before.conditions.iter().filter(|one| !ours(one)).cloned();
    ConfigurationStateStatus {
        result: Some(result),
        error_summary: Some(summary).filter(|summary| !summary.is_empty()),
        conditions: others.chain([condition]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crds::model::compile::{Cause, Field, Kind};

    use super::*;

    fn problem() -> Problem {
        Problem {
            kind: Kind::IpAddressPool,
            name: "p".to_owned(),
            field: Field { path: "spec.addresses", index: None },
            cause: Cause::NoPrefixes,
        }
    }

    #[test]
    fn a_status_that_says_the_same_is_the_same_later_on() {
        let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        for problems in [Vec::new(), vec![problem()]] {
            let first = status(&problems, &ConfigurationStateStatus::default(), early);
            assert_eq!(status(&problems, &first, late), first);
        }
    }

    #[test]
    fn it_says_what_metallb_says() {
        let before = ConfigurationStateStatus::default();
        let bad = status(&[problem()], &before, Timestamp::UNIX_EPOCH);
        let text = "IPAddressPool \"p\": spec.addresses: pool has no prefixes defined";
        assert_eq!(bad.result, Some(ConfigurationResult::Invalid));
        assert_eq!(bad.error_summary.as_deref(), Some(text));
        assert_eq!(bad.conditions[0].reason, "ConfigurationError");
        assert_eq!(bad.conditions[0].message, format!("configuration error: {text}"));
        let good = status(&[], &bad, Timestamp::UNIX_EPOCH);
        assert_eq!(good.result, Some(ConfigurationResult::Valid));
        assert_eq!(good.error_summary, None);
        assert_eq!(good.conditions[0].status, "True");
    }
}
