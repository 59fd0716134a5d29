//! Logs that another host speaks for an address that is answered here. What to do about it is the
//! engine's to decide, once it does; until then a person must be told.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crds::model::ids::MacAddr;
use tokio::sync::mpsc;

use super::Error;
use crate::respond::{Heard, HeardKind};

/// Logs every conflict once for each address and MAC.
pub(super) async fn log(mut heard: mpsc::Receiver<Heard>) -> Result<&'static str, Error> {
    let mut told: BTreeMap<Ipv4Addr, MacAddr> = BTreeMap::new();
    while let Some(Heard { address, mac, kind, link, source: _ }) = heard.recv().await {
        if kind == HeardKind::Conflict && told.insert(address, mac) != Some(mac) {
            tracing::warn!(
                event = "addressConflict", ip = %address, mac = %mac, interface = %link,
                "another host answers for an address that is announced here"
            );
        }
    }
    Ok("conflicts")
}
