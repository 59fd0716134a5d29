//! Deletes what nodes left behind that are gone for good.

use std::time::Duration;

use crds::model::ids::NodeName;

use super::Term;
use crate::reconcile::write::Failure;

impl Term {
    pub(super) fn clear_away(&mut self, now: Duration) {
        for node in self.departed.due(now) {
            let (writer, namespace) = (self.context.writer.clone(), self.context.namespace.clone());
            self.farewells.spawn(async move {
                let result = writer.forget(&namespace, &node).await;
                (node, result)
            });
        }
    }

    pub(super) fn cleared_away(&self, node: &NodeName, result: Result<(), Failure>) {
        match result {
            Ok(()) => tracing::info!(%node, "the node is gone, and so are its speaker's objects"),
            // It is tried again as long as the object that tells of the speaker is there.
            Err(error) => {
                self.context.metrics.update_errors.inc();
                self.context.metrics.count_failure(&error);
                tracing::warn!(%node, %error, "objects of a node that is gone not deleted");
            }
        }
    }
}
