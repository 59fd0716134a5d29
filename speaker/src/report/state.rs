//! What is known about status objects, and what is still to be written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crds::api::v1beta1::{ServiceL2Status, ServiceL2StatusStatus};
use crds::model::ids::ServiceKey;
use crds::names::l2_status;
use kit::feed::Change;

use super::plan::{Announced, Seen, Step, plan};
use crate::view::{Maker, claim, maker, subject};

/// The pause after a failed write, doubling from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What is known, and what is to be done.
#[derive(Default)]
pub(super) struct State {
    /// The engine has decided about every Service: one that is not in `announced` is not announced.
    /// Before that a restarted speaker would delete the objects it is about to need.
    is_settled: bool,
    /// The nodes whose speakers are alive; `None` where there is no mesh to tell.
    alive: Option<BTreeSet<String>>,
    announced: BTreeMap<ServiceKey, Announced>,
    /// Services that this node will announce unless another host has their addresses. A record of
    /// theirs that belongs to nobody is still needed: it is why this node and no other will.
    undecided: BTreeSet<ServiceKey>,
    /// All status objects, by Service and name; `None` until they were listed.
    objects: Option<BTreeMap<ServiceKey, BTreeMap<String, Seen>>>,
    dirty: BTreeSet<ServiceKey>,
    busy: BTreeSet<ServiceKey>,
    failures: BTreeMap<ServiceKey, u32>,
}

/// What one job did: status objects that are now there, or gone.
pub(super) type Done = (ServiceKey, Result<Vec<(String, Option<Seen>)>, kube::Error>);

impl State {
    /// `service`, whose UID is `uid`, is announced here, for the interfaces named and under the claim
    /// of that number; `None`: it is not.
    pub(super) fn announce(
        &mut self,
        service: ServiceKey,
        uid: String,
        announced: Option<(BTreeSet<String>, u64)>,
    ) {
        if let Some((interfaces, claim)) = announced {
            let before = self.announced.remove(&service).filter(|before| before.uid == uid);
            let is_news = before.is_none_or(|before| before.is_news);
            self.announced.insert(service.clone(), Announced { uid, interfaces, claim, is_news });
        } else {
            self.announced.remove(&service);
        }
        self.undecided.remove(&service);
        self.dirty.insert(service);
    }

    /// Whether `service` is to be announced here is still being found out.
    pub(super) fn suspend(&mut self, service: ServiceKey) {
        self.announced.remove(&service);
        self.dirty.insert(service.clone());
        self.undecided.insert(service);
    }

    /// The nodes alive are now these; what the others left is to be cleared away.
    pub(super) fn set_alive(&mut self, alive: BTreeSet<String>) {
        self.alive = Some(alive);
        self.dirty.extend(self.announced.keys().cloned());
    }

    /// Every Service has been decided about once.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// Takes out the next Service that something is to be written for.
    pub(super) fn next(&mut self, node: &str) -> Option<(ServiceKey, Vec<Step>, Duration)> {
        let objects = self.objects.as_ref().filter(|_| self.is_settled)?;
        let nothing = BTreeMap::new();
        loop {
            let mut waiting = self.dirty.iter().filter(|service| !self.busy.contains(*service));
            let service = waiting.next().cloned()?;
            self.dirty.remove(&service);
            let mut there = Cow::Borrowed(objects.get(&service).unwrap_or(&nothing));
            if self.undecided.contains(&service) {
                there.to_mut().retain(|_, seen| seen.maker != Maker::Nobody);
            }
            let steps = plan(self.announced.get(&service), &there, node, self.alive.as_ref());
            // Told now, or known from an object of our own: no news any more, whatever comes.
            if let Some(announced) = self.announced.get_mut(&service) {
                announced.is_news = false;
            }
            if !steps.is_empty() {
                let failures = self.failures.get(&service).copied().unwrap_or_default();
                self.busy.insert(service.clone());
                return Some((service, steps, pause(failures)));
            }
            self.failures.remove(&service);
        }
    }

    pub(super) fn finish(&mut self, (service, result): Done) {
        self.busy.remove(&service);
        let Ok(changes) = result else {
            *self.failures.entry(service.clone()).or_default() += 1;
            self.dirty.insert(service);
            return;
        };
        self.failures.remove(&service);
        let objects = self.objects.get_or_insert_default().entry(service.clone()).or_default();
        for (name, seen) in changes {
            match seen {
                Some(seen) => objects.insert(name, seen),
                None => objects.remove(&name),
            };
        }
        if objects.is_empty()
            && let Some(all) = &mut self.objects
        {
            all.remove(&service);
        }
        // Something may have gone that should be there, or the plan may be another by now.
        self.dirty.insert(service);
    }

    pub(super) fn observe(&mut self, change: Change<ServiceL2Status>) {
        match change {
            Change::Reset { objects, unreadable: _ } => {
                self.objects = Some(BTreeMap::new());
                for object in &objects {
                    self.see(object);
                }
                self.dirty.extend(self.announced.keys().cloned());
            }
            Change::Put(object) => self.see(&object),
            Change::Gone(metadata) => {
                let Some(service) = subject(&metadata) else {
                    return;
                };
                let name = metadata.name.unwrap_or_default();
                let objects = self.objects.get_or_insert_default();
                if let Some(there) = objects.get_mut(&service) {
                    there.remove(&name);
                    if there.is_empty() {
                        objects.remove(&service);
                    }
                }
                self.dirty.insert(service);
            }
            Change::Unreadable(_) => {}
        }
    }

    fn see(&mut self, object: &ServiceL2Status) {
        let Some(service) = subject(&object.metadata) else {
            return;
        };
        let seen = seen(object);
        let name = object.metadata.name.clone().unwrap_or_default();
        let objects = self.objects.get_or_insert_default().entry(service.clone()).or_default();
        // News of an object's making may come after we know of its status, which we wrote next.
        if seen.interfaces.is_some() || !objects.contains_key(&name) {
            objects.insert(name, seen);
            self.dirty.insert(service);
        }
    }
}

fn pause(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(repeated) => PAUSES.0.saturating_mul(1 << repeated.min(10)).min(PAUSES.1),
    }
}

/// What matters of a status object.
pub(super) fn seen(object: &ServiceL2Status) -> Seen {
    let labels = object.metadata.labels.as_ref();
    Seen {
        node: labels.and_then(|labels| labels.get(l2_status::NODE)).cloned().unwrap_or_default(),
        interfaces: object.status.as_ref().map(interfaces),
        claim: claim(&object.metadata),
        maker: maker(&object.metadata),
    }
}

fn interfaces(status: &ServiceL2StatusStatus) -> BTreeSet<String> {
    status.interfaces.iter().filter_map(|interface| interface.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use crds::names::CLAIM;
    use serde_json::json;

    use super::*;

    fn object(status: &serde_json::Value) -> ServiceL2Status {
        let labels = json!({
            l2_status::NODE: "n1",
            l2_status::SERVICE_NAME: "web",
            l2_status::SERVICE_NAMESPACE: "default",
        });
        serde_json::from_value(json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "ServiceL2Status",
            "metadata": {"name": "l2-a", "labels": labels, "annotations": {CLAIM: "0"}},
            "status": status,
        }))
        .unwrap()
    }

    fn key() -> ServiceKey {
        ServiceKey::new("default", "web")
    }

    /// A settled state that knows of these objects.
    fn settled(objects: Vec<ServiceL2Status>) -> State {
        let mut state = State::default();
        state.settle();
        state.observe(Change::Reset { objects, unreadable: Vec::new() });
        state
    }

    /// One that announces a Service, whose steps are under way.
    fn announcing() -> (State, ServiceKey) {
        let mut state = settled(Vec::new());
        state.announce(key(), "u".to_owned(), Some((BTreeSet::new(), 0)));
        assert_eq!(state.next("n1").map(|(_, steps, _)| steps.len()), Some(2));
        assert!(state.next("n1").is_none(), "one job at a time for one Service");
        (state, key())
    }

    #[test]
    fn nothing_is_deleted_before_it_is_known_what_is_announced() {
        let mut state = State::default();
        let objects = vec![object(&json!({"node": "n1"}))];
        state.observe(Change::Reset { objects, unreadable: Vec::new() });
        assert!(state.next("n1").is_none());
        state.announce(key(), "u".to_owned(), Some((BTreeSet::new(), 0)));
        state.settle();
        assert!(state.next("n1").is_none(), "found again, and as it should be");
        state.announce(key(), "u".to_owned(), None);
        assert!(state.next("n1").is_some());
    }

    #[test]
    fn a_record_of_nobody_stays_while_this_node_asks_the_network() {
        let mut orphan = object(&json!(null));
        orphan.metadata.annotations = None;
        let mut state = settled(vec![orphan]);
        state.suspend(key());
        assert!(state.next("n1").is_none(), "it says who is to announce");
        state.announce(key(), "u".to_owned(), None);
        let steps = state.next("n1").map(|(_, steps, _)| steps);
        assert_eq!(steps, Some(vec![Step::Delete { name: "l2-a".to_owned() }]));
    }

    #[test]
    fn what_the_dead_left_is_cleared_away_when_they_die() {
        let mut dead = object(&json!({"node": "n2"}));
        dead.metadata.name = Some("l2-b".to_owned());
        dead.metadata.labels.as_mut().unwrap().insert(l2_status::NODE.to_owned(), "n2".to_owned());
        let mut state = settled(vec![object(&json!({"node": "n1"})), dead]);
        state.set_alive(["n1", "n2"].map(str::to_owned).into());
        state.announce(key(), "u".to_owned(), Some((BTreeSet::new(), 0)));
        assert!(state.next("n1").is_none(), "it will do so itself");
        state.set_alive(["n1"].map(str::to_owned).into());
        let steps = state.next("n1").map(|(_, steps, _)| steps);
        assert_eq!(steps, Some(vec![Step::Delete { name: "l2-b".to_owned() }]));
    }

    #[test]
    fn it_is_told_once_for_each_time_the_announcement_begins() {
        let (mut state, service) = announcing();
        state.finish((service, Err(kube::Error::LinesCodecMaxLineLengthExceeded)));
        let tells = |state: &mut State| {
            let steps = state.next("n1").map(|(_, steps, _)| steps).unwrap_or_default();
            state.busy.clear();
            steps.iter().any(|step| matches!(step, Step::Tell { .. }))
        };
        assert!(!tells(&mut state), "a failed write is repeated without a word");
        state.announce(key(), "u".to_owned(), None);
        state.announce(key(), "u".to_owned(), Some((BTreeSet::new(), 0)));
        assert!(tells(&mut state));
        state.announce(key(), "another".to_owned(), Some((BTreeSet::new(), 0)));
        assert!(tells(&mut state), "another Service of the same name");
    }

    #[test]
    fn what_we_wrote_is_not_written_again_when_the_watch_tells_of_it_late() {
        let (mut state, service) = announcing();
        let seen = seen(&object(&json!({"node": "n1"})));
        state.finish((service, Ok(vec![("l2-a".to_owned(), Some(seen))])));
        for status in [json!(null), json!({"node": "n1"})] {
            state.observe(Change::Put(object(&status)));
            assert!(state.next("n1").is_none());
        }
    }

    #[test]
    fn a_failed_write_is_tried_again_after_a_growing_pause() {
        let (mut state, service) = announcing();
        let mut pauses = Vec::new();
        for _ in 0..3 {
            let error = kube::Error::LinesCodecMaxLineLengthExceeded;
            state.finish((service.clone(), Err(error)));
            pauses.push(state.next("n1").map(|(_, _, pause)| pause));
        }
        let expected = [500, 1_000, 2_000].map(|ms| Some(Duration::from_millis(ms)));
        assert_eq!(pauses, expected);
    }

    #[test]
    fn an_object_deleted_by_hand_is_made_again() {
        let (mut state, service) = announcing();
        let seen = seen(&object(&json!({"node": "n1"})));
        state.finish((service, Ok(vec![("l2-a".to_owned(), Some(seen))])));
        state.observe(Change::Gone(Box::new(object(&json!(null)).metadata)));
        assert!(state.next("n1").is_some());
    }
}
