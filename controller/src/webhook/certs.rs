//! The certificate that the webhook is served with, and the authority that vouches for it.
//!
//! Both live in one Secret, shared by all replicas: the API server may ask any of them. `judge` says
//! what a Secret is good for, `make` makes what is missing, `rotation` decides what is done when.

pub mod bundle;
pub mod judge;
pub mod make;
pub mod rotation;

use std::collections::BTreeMap;

/// Seconds since 1970, as certificates count.
pub type Wall = i64;

/// What the Secret holds, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// `ca.crt`: the authority's certificate.
    pub authority: String,
    /// `ca.key`: its key.
    pub authority_key: String,
    /// `tls.crt`: the server's certificate.
    pub certificate: String,
    /// `tls.key`: its key.
    pub key: String,
}

/// The Secret's keys, which are MetalLB's.
const KEYS: [&str; 4] = ["ca.crt", "ca.key", "tls.crt", "tls.key"];

impl Material {
    /// Reads the Secret's data, by key; `None` when one of the texts is missing, empty or no text.
    /// Without the authority's key it is complete: a certificate of somebody else's authority.
    pub fn read<'a>(entry: impl Fn(&str) -> Option<&'a [u8]>) -> Option<Self> {
        let text = |key| {
            let text = std::str::from_utf8(entry(key)?).ok()?;
            (!text.trim().is_empty()).then(|| text.to_owned())
        };
        let [authority, authority_key, certificate, key] = KEYS.map(text);
        Some(Self {
            authority: authority?,
            authority_key: authority_key.unwrap_or_default(),
            certificate: certificate?,
            key: key?,
        })
    }

    /// The Secret's data, by key.
    pub fn entries(&self) -> BTreeMap<&'static str, &str> {
        let Self { authority, authority_key, certificate, key } = self;
        KEYS.into_iter()
            .zip([authority, authority_key, certificate, key].map(String::as_str))
            .collect()
    }
}

/// What an authority vouches for is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its certificate, as DER.
    pub der: Vec<u8>,
    /// The end of its time.
    pub until: Wall,
}

/// The DNS names of a Service in `namespace`: the first is what the API server asks for.
pub fn names(service: &str, namespace: &str) -> [String; 3] {
    let full = format!("{service}.{namespace}.svc");
    [full.clone(), format!("{full}.cluster.local"), format!("{service}.{namespace}")]
}
