//! What became of writes.

use std::time::Duration;

use crds::api::v1beta1::IPAddressPool;
use crds::model::ids::ServiceKey;
use k8s_openapi::api::core::v1::Service;

use super::Term;
use super::report::REPORT_PERIOD;
use crate::reconcile::desk::Written;
use crate::reconcile::inputs::facts;
use crate::reconcile::write::{Failure, Retry};

/// The pause after the first failed write of a Service; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Term {
    pub(super) fn written(&mut self, key: &ServiceKey, result: Result<Service, Failure>) {
        let now = self.context.clock.elapsed();
        let written = match result {
            Ok(service) => {
                self.failures.remove(key);
                self.context.metrics.status_writes.inc();
                tracing::info!(event = "serviceUpdated", service = %key, "updated service object");
                Written::Done(Box::new(facts(service, self.context.class.as_deref())))
            }
            Err(failure) => {
                let retry = failure.retry();
                self.context.metrics.count_failure(&failure);
                if retry == Retry::Soon {
                    self.context.metrics.update_errors.inc();
                }
                tracing::warn!(service = %key, error = %failure, "service not updated");
                match retry {
                    Retry::Soon => {
                        let count = self.failures.entry(key.clone()).or_default();
                        *count += 1;
                        Written::Failed(pause(*count, rand::random()))
                    }
                    Retry::WhenChanged => Written::Conflict,
                    Retry::Never => {
                        self.failures.remove(key);
                        Written::Gone
                    }
                }
            }
        };
        self.desk.written(key, written, now);
    }

    pub(super) fn pool_written(&mut self, name: &str, result: Result<IPAddressPool, Failure>) {
        self.pools_writing.remove(name);
        match result {
            Ok(pool) => self.desk.pool_written(pool),
            Err(error) => {
                self.context.metrics.update_errors.inc();
                self.context.metrics.count_failure(&error);
                tracing::warn!(pool = name, %error, "pool status not written");
                self.report_due = Some(self.context.clock.elapsed() + 5 * REPORT_PERIOD);
            }
        }
    }
}

/// The pause before the next try after `failures` in a row: doubling, and spread by up to a
/// quarter, so that a thousand writes that failed together do not come back together.
fn pause(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE * 2_u32.saturating_pow(failures.saturating_sub(1).min(20));
    doubled.min(LONGEST_PAUSE).mul_f64(0.75 + chance.clamp(0.0, 1.0) / 2.0)
}
