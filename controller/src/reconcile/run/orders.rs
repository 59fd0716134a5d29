//! The mover's part of the loop.

use std::time::Duration;

use crds::api::v1alpha1::Speaker;
use crds::model::ids::NodeName;

use super::Term;
use crate::reconcile::mover::Scene;
use crate::reconcile::mover::facts::speaker;
use crate::reconcile::write::Failure;

impl Term {
    /// Says who is to hand over what.
    pub(super) fn move_on(&mut self, now: Duration) {
        let Some(mover) = self.mover.as_mut().filter(|_| self.desk.is_synced()) else {
            return;
        };
        let (writer, metrics) = (&self.context.writer, &self.context.metrics);
        let (config, revision) = (self.desk.config(), self.desk.revision());
        let scene = Scene { config, revision, epoch: writer.epoch(), now };
        for (node, orders) in mover.work(scene) {
            let (writer, namespace) = (writer.clone(), self.context.namespace.clone());
            self.order_writes.spawn(async move {
                let written = writer.orders(&namespace, &node, &orders).await;
                (node, written)
            });
        }
        if let Some(unserved) = mover.take_unserved() {
            self.desk.set_unserved(unserved, now);
        }
        metrics.placement_spread.set(mover.spread().into());
        for (reason, count) in mover.take_ordered() {
            metrics.moves_ordered.with_label_values(&[reason]).inc_by(count);
        }
    }

    pub(super) fn ordered(&mut self, node: &NodeName, result: Result<Speaker, Failure>) {
        let written = result.map(|object| speaker(&object)).inspect_err(|error| {
            self.context.metrics.update_errors.inc();
            self.context.metrics.count_failure(error);
            tracing::warn!(%node, %error, "orders not written");
        });
        if let Some(mover) = &mut self.mover {
            mover.written(node, written.ok(), self.context.clock.elapsed());
        }
    }
}
