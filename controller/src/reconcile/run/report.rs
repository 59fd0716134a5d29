//! The numbers, as metrics and as the pools' status.

use std::time::Duration;

use super::Term;
use crate::reconcile::desk::{Happened, Role};

/// How often the numbers of the pools are looked at while something happens.
pub(super) const REPORT_PERIOD: Duration = Duration::from_secs(1);

impl Term {
    /// Shows the numbers: at once after a quiet time, then at most once in a while.
    pub(super) fn report(&mut self, now: Duration) {
        let metrics = &self.context.metrics;
        let backlog = self.desk.backlog() + self.waiting.len();
        metrics.queue_length.set(i64::try_from(backlog).unwrap_or(i64::MAX));
        let Happened { refusals, cleared } = self.desk.take_happened();
        for (counter, counts) in [(&metrics.refusals, refusals), (&metrics.cleared, cleared)] {
            for (reason, count) in counts {
                counter.with_label_values(&[reason]).inc_by(count);
            }
        }
        metrics.exchanges.inc_by(self.desk.take_exchanges());
        if self.role == Role::Standby || !self.desk.is_synced() {
            return;
        }
        let next = self.last_report.map_or(now, |last| last + REPORT_PERIOD);
        self.report_due = (now < next).then_some(next);
        if self.report_due.is_some() {
            return;
        }
        self.last_report = Some(now);
        metrics.show_usage(&self.desk.usage());
        metrics.refused.show(self.desk.refused());
        metrics.unannounced.show(self.desk.unannounced());
        metrics.conflicts.show(self.desk.conflicts());
        let aside = self.desk.ledger().aside_count();
        metrics.addresses_aside.set(i64::try_from(aside).unwrap_or(i64::MAX));
        for (name, status) in self.desk.pool_reports() {
            if !self.pools_writing.insert(name.clone()) {
                continue;
            }
            let (writer, namespace) = (self.context.writer.clone(), self.context.namespace.clone());
            self.pool_writes.spawn(async move {
                let written = writer.pool(&namespace, &name, &status).await;
                (name, written)
            });
        }
    }
}
