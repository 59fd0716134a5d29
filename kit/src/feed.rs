//! One kind of object, watched: what the API server says, in the shape both programs take it in.
//!
//! A feed never ends and never fails as a whole. An object that cannot be read is reported by
//! itself and the others work; a broken watch is taken up again with a back-off that stays short,
//! because addresses wait for it.

use std::fmt::Debug;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// A change of the objects watched.
#[derive(Debug, Clone)]
pub enum Change<K> {
    /// All that exist now; whatever is not among them is gone. Comes first, and after every relist.
    Reset {
        /// The objects that could be read.
        objects: Vec<K>,
        /// Those that could not.
        unreadable: Vec<Unreadable>,
    },
    /// One was made or changed.
    Put(K),
    /// One is gone; its last state.
    Gone(Box<ObjectMeta>),
    /// One was made or changed and cannot be read. It exists: treat it as invalid, not as gone.
    Unreadable(Unreadable),
}

/// An object that exists and does not fit its type.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Its metadata.
    pub metadata: Box<ObjectMeta>,
    /// What does not fit.
    pub error: String,
}

/// Watches the objects of `api` that `config` selects. `strip` throws away what nobody reads, as
/// early as can be; `managedFields` always goes. The guard in `api`'s type comes by itself:
/// `feed(Api::all(client), ..)`.
pub fn feed<K>(
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    strip: fn(&mut K),
) -> impl Stream<Item = Change<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let kind = K::kind(&()).into_owned();
    let mut listing = Listing::new(strip);
    let events = watcher(api, config).backoff(Pause::default());
    events.filter_map(move |event| {
        let change = match event {
            Ok(event) => listing.step(event),
            Err(error) => {
                tracing::warn!(kind, %error, "watch failed, trying again");
                None
            }
        };
        std::future::ready(change)
    })
}

/// Gathers a list that arrives piece by piece.
struct Listing<K> {
    strip: fn(&mut K),
    objects: Vec<K>,
    unreadable: Vec<Unreadable>,
}

impl<K: Resource> Listing<K> {
    fn new(strip: fn(&mut K)) -> Self {
        Self { strip, objects: Vec::new(), unreadable: Vec::new() }
    }

    fn read(&self, guarded: DeserializeGuard<K>) -> Result<K, Unreadable> {
        match guarded.0 {
            Ok(mut object) => {
                object.meta_mut().managed_fields = None;
                (self.strip)(&mut object);
                Ok(object)
            }
            Err(InvalidObject { error, metadata }) => {
                Err(Unreadable { metadata: Box::new(metadata), error })
            }
        }
    }

    fn step(&mut self, event: watcher::Event<DeserializeGuard<K>>) -> Option<Change<K>> {
        match event {
            watcher::Event::Init => {
                self.objects.clear();
                self.unreadable.clear();
                None
            }
            watcher::Event::InitApply(guarded) => {
                match self.read(guarded) {
                    Ok(object) => self.objects.push(object),
                    Err(unreadable) => self.unreadable.push(unreadable),
                }
                None
            }
            watcher::Event::InitDone => Some(Change::Reset {
                objects: std::mem::take(&mut self.objects),
                unreadable: std::mem::take(&mut self.unreadable),
            }),
            watcher::Event::Apply(guarded) => Some(match self.read(guarded) {
                Ok(object) => Change::Put(object),
                Err(unreadable) => Change::Unreadable(unreadable),
            }),
            watcher::Event::Delete(mut guarded) => {
                Some(Change::Gone(Box::new(std::mem::take(guarded.meta_mut()))))
            }
        }
    }
}

/// The pause before a failed watch is tried again: 100 ms doubling to 5 s. client-go goes to 30 s,
/// but no Service gets an address while we wait, and a handful of watches harm nobody.
struct Pause(Duration);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Iterator for Pause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

impl Backoff for Pause {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;

    use super::*;

    fn namespace(name: &str) -> DeserializeGuard<Namespace> {
        let mut object = Namespace::default();
        object.metadata.name = Some(name.to_owned());
        object.metadata.managed_fields = Some(Vec::new());
        DeserializeGuard(Ok(object))
    }

    fn broken(name: &str) -> DeserializeGuard<Namespace> {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let error = "spec: expected a map".to_owned();
        DeserializeGuard(Err(InvalidObject { error, metadata }))
    }

    #[test]
    fn a_list_is_given_as_a_whole_and_one_bad_object_hides_no_other() {
        let mut listing = Listing::new(|object: &mut Namespace| object.spec = None);
        assert!(listing.step(watcher::Event::Init).is_none());
        for guarded in [namespace("a"), broken("b"), namespace("c")] {
            assert!(listing.step(watcher::Event::InitApply(guarded)).is_none());
        }
        let Some(Change::Reset { objects, unreadable }) = listing.step(watcher::Event::InitDone)
        else {
            panic!("no reset");
        };
        let names: Vec<_> = objects.iter().map(|o| o.metadata.name.as_deref()).collect();
        assert_eq!(names, [Some("a"), Some("c")]);
        assert!(objects[0].metadata.managed_fields.is_none());
        assert_eq!(unreadable[0].metadata.name.as_deref(), Some("b"));
    }

    #[test]
    fn a_list_that_breaks_off_leaves_nothing_behind() {
        let mut listing = Listing::new(|_: &mut Namespace| ());
        listing.step(watcher::Event::Init);
        listing.step(watcher::Event::InitApply(namespace("a")));
        listing.step(watcher::Event::Init);
        let Some(Change::Reset { objects, .. }) = listing.step(watcher::Event::InitDone) else {
            panic!("no reset");
        };
        assert!(objects.is_empty());
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        let pauses: Vec<_> = Pause::default().take(8).map(|p| p.as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
