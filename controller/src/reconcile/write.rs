//! The writes, each of them checked against the fence first.

use std::time::Duration;

use crds::api::v1alpha1::{MoveOrder, Speaker};
use crds::api::v1beta1::{ConfigurationState, IPAddressPool, IPAddressPoolStatus, ServiceL2Status};
use crds::model::ids::{NodeName, ServiceKey};
use crds::names::{configuration_state, l2_status};
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::lease::fence::Fence;

/// A request that takes longer is given up and tried again.
const LIMIT: Duration = Duration::from_secs(5);

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// This replica does not lead any more.
    #[error("the lease is not held")]
    Fenced,
    /// The object is not what it was when this was decided.
    #[error("the object changed meanwhile")]
    Conflict,
    /// The object does not exist any more.
    #[error("the object is gone")]
    Gone,
    /// No answer.
    #[error("no answer within {}s", LIMIT.as_secs())]
    Timeout,
    /// Anything else.
    #[error("{}", kit::client::brief(.0))]
    Api(#[source] kube::Error),
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After a pause that grows.
    Soon,
    /// When the object is seen to change.
    WhenChanged,
    /// Not at all.
    Never,
}

impl Failure {
    /// A short fixed word for metric labels.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Fenced => "fenced",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Timeout => "timeout",
            Self::Api(_) => "error",
        }
    }

    /// When to try again.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Timeout | Self::Api(_) | Self::Fenced => Retry::Soon,
            Self::Conflict => Retry::WhenChanged,
            Self::Gone => Retry::Never,
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 409 => Self::Conflict,
            kube::Error::Api(status) if status.code == 404 => Self::Gone,
            _ => Self::Api(error),
        }
    }
}

/// Writes, as long as the fence is open; cheap to clone.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    fence: Fence,
}

impl Writer {
    /// A writer that asks `fence`.
    pub fn new(client: Client, fence: Fence) -> Self {
        Self { client, fence }
    }

    /// Writes `patch` to the status of `key`, and returns what the Service is then.
    pub async fn service(&self, key: &ServiceKey, patch: &Value) -> Result<Service, Failure> {
        let api = Api::<Service>::namespaced(self.client.clone(), &key.namespace);
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        self.fenced(api.patch_status(&key.name, &params, &patch)).await
    }

    /// Writes the status of the pool `name`. It is bound to nothing: nobody else writes it.
    pub async fn pool(
        &self,
        namespace: &str,
        name: &str,
        status: &IPAddressPoolStatus,
    ) -> Result<IPAddressPool, Failure> {
        let api = Api::<IPAddressPool>::namespaced(self.client.clone(), namespace);
        let patch = Patch::Merge(json!({"status": status}));
        self.fenced(api.patch_status(name, &PatchParams::default(), &patch)).await
    }

    /// Writes what the speaker of `node` is to hand over. It is bound to nothing: nobody else writes
    /// orders, and an order itself names what it is about.
    pub async fn orders(
        &self,
        namespace: &str,
        node: &NodeName,
        orders: &[MoveOrder],
    ) -> Result<Speaker, Failure> {
        let api = Api::<Speaker>::namespaced(self.client.clone(), namespace);
        let patch = Patch::Merge(json!({"spec": {"orders": orders}}));
        self.fenced(api.patch(node.as_str(), &PatchParams::default(), &patch)).await
    }

    /// Deletes all that the speaker of `node`, which is no more, said in objects of its own. Its
    /// ConfigurationState is last: while it is there, something may be left to delete.
    pub async fn forget(&self, namespace: &str, node: &NodeName) -> Result<(), Failure> {
        let params = DeleteParams::default();
        let api = Api::<ServiceL2Status>::namespaced(self.client.clone(), namespace);
        let of_node = ListParams::default().labels(&format!("{}={node}", l2_status::NODE));
        self.fenced(api.delete_collection(&params, &of_node)).await?;
        let api = Api::<Speaker>::namespaced(self.client.clone(), namespace);
        self.fenced(api.delete(node.as_str(), &params)).await.map(drop).or_else(gone_is_well)?;
        let api = Api::<ConfigurationState>::namespaced(self.client.clone(), namespace);
        let name = format!("{}{node}", configuration_state::SPEAKER_PREFIX);
        self.fenced(api.delete(&name, &params)).await.map(drop).or_else(gone_is_well)
    }

    /// Whether the fence is open.
    pub fn may_write(&self) -> bool {
        self.fence.is_open()
    }

    /// How often the working controller has changed.
    pub fn epoch(&self) -> u64 {
        self.fence.epoch()
    }

    /// When the first controller began to work here, in seconds since 1970; `None`: not known.
    pub fn installed(&self) -> Option<i64> {
        self.fence.installed()
    }

    /// Sends `request` if the fence is open.
    pub async fn fenced<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Failure> {
        if !self.fence.is_open() {
            return Err(Failure::Fenced);
        }
        match tokio::time::timeout(LIMIT, request).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failure::Timeout),
        }
    }

    /// The client, for watching.
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

/// What is to be deleted need not be there.
fn gone_is_well(failure: Failure) -> Result<(), Failure> {
    if let Failure::Gone = failure { Ok(()) } else { Err(failure) }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use kube::core::Status;

    use super::*;
    use crate::lease::fence::Clock;

    fn refused(code: u16) -> kube::Error {
        kube::Error::Api(Status::failure("no", "Test").with_code(code).boxed())
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_has_its_own_word_and_time_to_try_again() {
        let (service, _handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let fence = Fence::new(Clock::start());
        let writer = Writer::new(Client::new(service, "default"), fence.clone());
        let failure = async |answer: Option<kube::Error>| {
            let request = async {
                match answer {
                    Some(error) => Err(error),
                    None => std::future::pending::<Result<(), _>>().await,
                }
            };
            let failure = writer.fenced(request).await.unwrap_err();
            (failure.reason(), failure.retry())
        };
        assert_eq!(failure(None).await, ("fenced", Retry::Soon));
        fence.set(Some(Duration::from_hours(1)));
        for (answer, expected) in [
            (Some(refused(409)), ("conflict", Retry::WhenChanged)),
            (Some(refused(404)), ("gone", Retry::Never)),
            (Some(refused(500)), ("error", Retry::Soon)),
            (None, ("timeout", Retry::Soon)),
        ] {
            assert_eq!(failure(answer).await, expected);
        }
    }
}
