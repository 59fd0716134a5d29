//! Keeps a program's ConfigurationState object saying what is wrong with the configuration. It
//! writes only when the object says something else, and makes it anew when somebody deletes it.

use std::pin::pin;
use std::time::Duration;

use crds::api::v1beta1::configuration_state::ConfigurationStateBody;
use crds::api::v1beta1::{ConfigurationResult, ConfigurationState, ConfigurationStateStatus};
use crds::model::compile::Problem;
use crds::names::configuration_state as names;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;

use crate::client::brief;
use crate::feed::{Change, feed};

/// The pause after a write that failed.
const PAUSE: Duration = Duration::from_secs(5);
/// A request that takes longer is given up and tried again.
const LIMIT: Duration = Duration::from_secs(5);

/// Whose judgement it is.
#[derive(Debug, Clone)]
pub struct Judge {
    /// The object's name.
    pub name: String,
    /// The value of its label for the kind of program.
    pub component: &'static str,
    /// The node, if it is a program of one.
    pub node: Option<String>,
    /// The type of the condition.
    pub condition: &'static str,
    /// What the object goes with.
    pub owner: Option<OwnerReference>,
}

impl Judge {
    /// The controller.
    pub fn controller() -> Self {
        Self {
            name: names::CONTROLLER.to_owned(),
            component: "controller",
            node: None,
            condition: names::POOL_CONDITION,
            owner: None,
        }
    }

    /// The speaker of `node`.
    pub fn speaker(node: &str, owner: Option<OwnerReference>) -> Self {
        Self {
            name: format!("{}{node}", names::SPEAKER_PREFIX),
            component: "speaker",
            node: Some(node.to_owned()),
            condition: names::CONFIG_CONDITION,
            owner,
        }
    }
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the lease is not held")]
    Fenced,
    #[error("no answer within {}s", LIMIT.as_secs())]
    Timeout,
    #[error("{}", brief(.0))]
    Api(#[from] kube::Error),
}

/// Says of the objects in `namespace` what `judge` finds, for as long as `problems` may change.
/// `None` in it: not known yet. Nothing is written while `may_write` says no.
pub async fn keep(
    client: Client,
    namespace: String,
    judge: Judge,
    may_write: impl Fn() -> bool,
    mut problems: watch::Receiver<Option<Vec<Problem>>>,
) {
    let guarded = Api::namespaced(client.clone(), &namespace);
    let only = watcher::Config::default().fields(&format!("metadata.name={}", judge.name));
    let mut changes = pin!(feed(guarded, only, |_: &mut ConfigurationState| ()));
    let api: Api<ConfigurationState> = Api::namespaced(client, &namespace);
    let mut found: Option<Option<ConfigurationState>> = None;
    loop {
        let wanted = problems.borrow_and_update().clone();
        let mut failed = false;
        if let (Some(found), Some(wanted)) = (&mut found, wanted) {
            match write(&api, &judge, &may_write, found.as_ref(), &wanted).await {
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
    api: &Api<ConfigurationState>,
    judge: &Judge,
    may_write: &impl Fn() -> bool,
    found: Option<&ConfigurationState>,
    wanted: &[Problem],
) -> Result<Option<ConfigurationState>, Failure> {
    let made;
    let object = if let Some(found) = found {
        found
    } else {
        let create = PostParams::default();
        made = limited(may_write, api.create(&create, &blank(judge))).await?;
        &made
    };
    let before = object.status.clone().unwrap_or_default();
    let after = status(judge.condition, wanted, &before, now());
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
    let written = limited(may_write, api.patch_status(&judge.name, &params, &patch)).await?;
    Ok(Some(written))
}

async fn limited<T>(
    may_write: &impl Fn() -> bool,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Failure> {
    if !may_write() {
        return Err(Failure::Fenced);
    }
    match tokio::time::timeout(LIMIT, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::Timeout),
    }
}

fn blank(judge: &Judge) -> ConfigurationState {
    let mut object = ConfigurationState::new(&judge.name, ConfigurationStateBody {});
    let component = (names::COMPONENT_TYPE.to_owned(), judge.component.to_owned());
    let node = judge.node.as_ref().map(|node| (names::NODE_NAME.to_owned(), node.clone()));
    object.metadata.labels = Some([component].into_iter().chain(node).collect());
    object.metadata.owner_references = judge.owner.clone().map(|owner| vec![owner]);
    object
}

#[expect(clippy::disallowed_methods, reason = "a condition says since when it holds")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// What the status should be; equal to `before` if that says the same.
fn status(
    type_: &str,
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
    let ours = |condition: &&Condition| condition.type_ == type_;
    let known = before.conditions.iter().find(ours);
    let since = known
        .filter(|known| known.status == state)
        .map_or(Time(now), |known| known.last_transition_time.clone());
    let condition = Condition {
        type_: type_.to_owned(),
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
    fn objects_are_called_and_labelled_as_metallbs() {
        let controller = blank(&Judge::controller());
        assert_eq!(controller.metadata.name.as_deref(), Some("controller"));
        let labels = json!({"metallb.io/component-type": "controller"});
        assert_eq!(json!(controller.metadata.labels), labels);
        let judge = Judge::speaker("n1", None);
        let speaker = blank(&judge);
        assert_eq!(speaker.metadata.name.as_deref(), Some("speaker-n1"));
        let labels = json!({"metallb.io/component-type": "speaker", "metallb.io/node-name": "n1"});
        assert_eq!(json!(speaker.metadata.labels), labels);
        let conditions = (Judge::controller().condition, judge.condition);
        assert_eq!(conditions, ("poolReconcilerValid", "configReconcilerValid"));
    }

    #[test]
    fn a_status_that_says_the_same_is_the_same_later_on() {
        let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        for problems in [Vec::new(), vec![problem()]] {
            let first = status("a", &problems, &ConfigurationStateStatus::default(), early);
            assert_eq!(status("a", &problems, &first, late), first);
        }
    }

    #[test]
    fn it_says_what_metallb_says() {
        let before = ConfigurationStateStatus::default();
        let bad = status("a", &[problem()], &before, Timestamp::UNIX_EPOCH);
        let text = "IPAddressPool \"p\": spec.addresses: pool has no prefixes defined";
        assert_eq!(bad.result, Some(ConfigurationResult::Invalid));
        assert_eq!(bad.error_summary.as_deref(), Some(text));
        assert_eq!(bad.conditions[0].reason, "ConfigurationError");
        assert_eq!(bad.conditions[0].message, format!("configuration error: {text}"));
        let good = status("a", &[], &bad, Timestamp::UNIX_EPOCH);
        assert_eq!(good.result, Some(ConfigurationResult::Valid));
        assert_eq!(good.error_summary, None);
        assert_eq!(good.conditions[0].status, "True");
    }
}
