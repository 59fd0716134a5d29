//! The watches, merged into one stream of what happens.

use crds::api::v1beta1::{IPAddressPool, L2Advertisement};
use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use k8s_openapi::api::core::v1::{Namespace, Service};
use kit::feed::{Change, feed};
use kube::Api;
use kube::runtime::watcher::Config;

use super::desk::Input;
use super::run::Context;
use crate::view::{self, Facts};

/// Everything the desk has to know, from the first lists on.
pub(super) fn inputs(context: &Context) -> SelectAll<BoxStream<'static, Input>> {
    let client = context.writer.client();
    let namespace = &context.namespace;
    let class = context.class.clone();
    let services = feed(Api::all(client.clone()), Config::default(), view::strip);
    let services = services.map(move |change| {
        Input::Services(reduce(change, |service| facts(service, class.as_deref())))
    });
    let pools = feed(
        Api::namespaced(client.clone(), namespace),
        Config::default(),
        |_: &mut IPAddressPool| (),
    );
    let advertisements = feed(
        Api::namespaced(client.clone(), namespace),
        Config::default(),
        |_: &mut L2Advertisement| (),
    );
    let namespaces = feed(Api::all(client), Config::default(), |object: &mut Namespace| {
        object.spec = None;
        object.status = None;
        object.metadata.annotations = None;
    });
    let mut all = SelectAll::new();
    all.push(services.boxed());
    all.push(pools.map(Input::Pools).boxed());
    all.push(advertisements.map(Input::Advertisements).boxed());
    all.push(namespaces.map(Input::Namespaces).boxed());
    all
}

/// What is kept of `service`; the rest of it goes.
pub(super) fn facts(service: Service, class: Option<&str>) -> Facts {
    let facts = view::facts(&service, class);
    drop(service);
    facts
}

fn reduce<A, B>(change: Change<A>, reduce: impl Fn(A) -> B) -> Change<B> {
    match change {
        Change::Reset { objects, unreadable } => {
            Change::Reset { objects: objects.into_iter().map(reduce).collect(), unreadable }
        }
        Change::Put(object) => Change::Put(reduce(object)),
        Change::Gone(metadata) => Change::Gone(metadata),
        Change::Unreadable(unreadable) => Change::Unreadable(unreadable),
    }
}
