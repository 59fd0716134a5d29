//! The objects as YAML: the pools, then the advertisements, as MetalLB's converter orders them, and
//! without a status, which is not the user's to write.

use serde::Serialize;

use super::convert::{NewAdvertisement, NewPool, Objects};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, S> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: S,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolSpec<'a> {
    addresses: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_assign: Option<bool>,
    #[serde(rename = "avoidBuggyIPs", skip_serializing_if = "Option::is_none")]
    avoid_buggy_ips: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdvertisementSpec<'a> {
    ip_address_pools: [&'a str; 1],
}

/// The `objects` in `namespace`, as a stream of documents; empty if there are none.
pub(super) fn render(objects: &Objects<'_>, namespace: &str) -> String {
    let pools = objects.pools.iter().map(|pool| self::pool(pool, namespace));
    let advertisements = objects.advertisements.iter();
    let advertisements = advertisements.map(|one| advertisement(one, namespace));
    pools.chain(advertisements).collect::<Vec<_>>().join("---\n")
}

fn pool(NewPool { name, from }: &NewPool<'_>, namespace: &str) -> String {
    let spec = PoolSpec {
        addresses: from.addresses.as_deref().unwrap_or_default(),
        auto_assign: from.auto_assign,
        avoid_buggy_ips: from.avoid_buggy_ips.then_some(true),
    };
    document("IPAddressPool", name, namespace, spec)
}

fn advertisement(NewAdvertisement { name, pool }: &NewAdvertisement, namespace: &str) -> String {
    let spec = AdvertisementSpec { ip_address_pools: [pool] };
    document("L2Advertisement", name, namespace, spec)
}

fn document(kind: &'static str, name: &str, namespace: &str, spec: impl Serialize) -> String {
    let metadata = Metadata { name, namespace };
    let document = Document { api_version: "metallb.io/v1beta1", kind, metadata, spec };
    serde_yaml::to_string(&document).expect("texts, lists and truth values under texts are YAML")
}
