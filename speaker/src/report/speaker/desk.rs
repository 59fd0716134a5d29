//! What is to be written about speakers: the difference between what should be there and what is.

use std::collections::BTreeMap;

use crds::api::v1alpha1::{SpeakerState, SpeakerStatus};
use crds::model::ids::NodeName;

use super::status::status;
use crate::engine::Description;

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Make the object of this node.
    Create,
    /// Give it this status.
    Status {
        /// Which.
        status: Box<SpeakerStatus>,
        /// Once it is there, people are to be told that the node is drained.
        is_drained_now: bool,
    },
    /// Knock at the speaker of another node.
    Knock {
        /// Which.
        node: NodeName,
        /// To be echoed.
        nonce: String,
    },
}

/// What is known, and what is to be said.
#[derive(Debug)]
pub(super) struct Desk {
    node: String,
    /// How the speaker stands; `None` before it has been told.
    described: Option<Description>,
    own: Own,
    knocks: BTreeMap<NodeName, String>,
}

/// The object of this node.
#[derive(Debug)]
enum Own {
    /// The objects have not been listed yet.
    Unknown,
    Missing,
    There(Box<SpeakerStatus>),
}

impl Desk {
    pub(super) fn new(node: String) -> Self {
        Self { node, described: None, own: Own::Unknown, knocks: BTreeMap::new() }
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// The speaker stands like this now.
    pub(super) fn describe(&mut self, description: Description) {
        self.described = Some(description);
    }

    /// The speaker of `node` is to be knocked at. A later knock takes the place of an earlier one.
    pub(super) fn knock(&mut self, node: NodeName, nonce: String) {
        self.knocks.insert(node, nonce);
    }

    /// The object of this node has this status, by the watch; `None`: there is no such object.
    pub(super) fn observe(&mut self, own: Option<SpeakerStatus>) {
        self.own = own.map_or(Own::Missing, |status| Own::There(Box::new(status)));
    }

    /// What to write next; while `only_urgent` what can wait is left for later. `now` is in
    /// milliseconds since 1970, and only for people.
    pub(super) fn next(&self, only_urgent: bool, now: u64) -> Option<Step> {
        if let Some((node, nonce)) = self.knocks.first_key_value() {
            return Some(Step::Knock { node: node.clone(), nonce: nonce.clone() });
        }
        let described = self.described.as_ref()?;
        match &self.own {
            Own::Unknown => None,
            Own::Missing => Some(Step::Create),
            Own::There(there) => {
                let wanted = status(described, there, now);
                let urgent = wanted.state != there.state || wanted.knock != there.knock;
                let write = wanted != **there && (urgent || !only_urgent);
                // Judged now: when the write is done, the watch may have told of it already.
                let is_drained_now = wanted.state == Some(SpeakerState::Drained)
                    && there.state != Some(SpeakerState::Drained);
                write.then(|| Step::Status { status: Box::new(wanted), is_drained_now })
            }
        }
    }

    /// `step` was carried out, and `status` is what this node's object has now, if the step was
    /// about it and the object is there.
    pub(super) fn finish(&mut self, step: Step, status: Option<SpeakerStatus>) {
        if let Step::Knock { node, nonce } = step {
            // There may be another by now.
            if self.knocks.get(&node) == Some(&nonce) {
                self.knocks.remove(&node);
            }
        } else {
            self.observe(status);
        }
    }
}
