//! The watches, merged into one stream of what happens.

use crds::api::v1alpha1::Speaker;
use crds::api::v1beta1::{ConfigurationState, IPAddressPool, L2Advertisement, ServiceL2Status};
use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use k8s_openapi::api::core::v1::{Namespace, Service};
use kit::feed::{Change, feed};
use kube::Api;
use kube::runtime::watcher::Config;

use super::desk::{Input, Role};
use super::mover::facts::{self as moves, NodeFacts, SliceFacts, StatusFacts};
use super::objects::{EndpointSlice, Node};
use super::run::Context;
use crate::view::{self, Facts};

/// Something that happened, and whom it concerns.
pub(super) enum News {
    /// The desk; and the mover, if Services.
    Desk(Input),
    /// The mover.
    Slices(Change<SliceFacts>),
    /// The mover.
    Nodes(Change<NodeFacts>),
    /// The mover.
    Statuses(Change<StatusFacts>),
    /// Both.
    Speakers(Change<Speaker>),
    /// What keeps account of nodes that are gone, as Nodes do.
    States(Change<ConfigurationState>),
}

/// Everything there is to know in `role`, from the first lists on. One that stands by watches what
/// it has to be quick about, and not the many objects that only moves depend on.
pub(super) fn inputs(context: &Context, role: Role) -> SelectAll<BoxStream<'static, News>> {
    let mut all = desk(context);
    if role == Role::Leader {
        let (client, namespace) = (context.writer.client(), &context.namespace);
        let any = Config::default;
        let slices = feed(Api::all(client.clone()), any(), |_: &mut EndpointSlice| ());
        let nodes = feed(Api::all(client.clone()), any(), |_: &mut Node| ());
        let statuses = Api::namespaced(client.clone(), namespace);
        let statuses = feed(statuses, any(), |_: &mut ServiceL2Status| ());
        let speakers = Api::namespaced(client.clone(), namespace);
        let speakers = feed(speakers, any(), |_: &mut Speaker| ());
        let states = Api::namespaced(client, namespace);
        let states = feed(states, any(), |object: &mut ConfigurationState| object.status = None);
        all.push(slices.map(|change| News::Slices(reduce(change, moves::slice))).boxed());
        all.push(nodes.map(|change| News::Nodes(reduce(change, moves::node))).boxed());
        all.push(statuses.map(|change| News::Statuses(reduce(change, moves::status))).boxed());
        all.push(speakers.map(News::Speakers).boxed());
        all.push(states.map(News::States).boxed());
    }
    all
}

/// What the desk has to know.
fn desk(context: &Context) -> SelectAll<BoxStream<'static, News>> {
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
    all.push(services.map(News::Desk).boxed());
    all.push(pools.map(Input::Pools).map(News::Desk).boxed());
    all.push(advertisements.map(Input::Advertisements).map(News::Desk).boxed());
    all.push(namespaces.map(Input::Namespaces).map(News::Desk).boxed());
    all
}

/// What is kept of `service`; the rest of it goes.
pub(super) fn facts(service: Service, class: Option<&str>) -> Facts {
    let facts = view::facts(&service, class);
    drop(service);
    facts
}

pub(super) fn reduce<A, B>(change: Change<A>, reduce: impl Fn(A) -> B) -> Change<B> {
    match change {
        Change::Reset { objects, unreadable } => {
            Change::Reset { objects: objects.into_iter().map(reduce).collect(), unreadable }
        }
        Change::Put(object) => Change::Put(reduce(object)),
        Change::Gone(metadata) => Change::Gone(metadata),
        Change::Unreadable(unreadable) => Change::Unreadable(unreadable),
    }
}
