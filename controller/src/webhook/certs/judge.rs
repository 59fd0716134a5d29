//! What a Secret is good for: whether the API server would trust its certificate, and until when. The
//! Secret may be ours, MetalLB's, or anybody's; it is judged by what it can do.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{KeyPair, PublicKeyData as _};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use x509_parser::parse_x509_certificate;

use super::{Authority, Material, Wall, bundle};

/// A certificate with its key, good for serving now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate and what comes with it, as PEM: who has the same has the same pair.
    pub certificate: String,
    /// Its key, as PEM.
    pub key: String,
    /// The authority that vouches for it.
    pub authority: Authority,
    /// The end of the certificate's time.
    pub until: Wall,
    /// Whether another certificate can be had from the same authority: its key is at hand.
    pub is_renewable: bool,
}

/// Why a Secret's certificate cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Not all is there.
    #[error("it lacks a certificate, a key or an authority")]
    Incomplete,
    /// The certificate cannot be read, or the key is not its key.
    #[error("certificate and key: {0}")]
    Pair(String),
    /// Nobody would trust it, at this time and under this name.
    #[error("not to be trusted: {0}")]
    Untrusted(String),
}

/// Judges `material` as the API server would that asks for `name` at the time `now`.
///
/// # Errors
/// [`Flaw`] when it cannot be served.
pub fn judge(material: &Material, name: &str, now: Wall) -> Result<Pair, Flaw> {
    let broken = |error: &dyn std::fmt::Display| Flaw::Pair(error.to_string());
    let chain = CertificateDer::pem_slice_iter(material.certificate.as_bytes());
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| broken(&error))?;
    let key = PrivateKeyDer::from_pem_slice(material.key.as_bytes());
    let key = key.map_err(|error| broken(&error))?;
    let Some((own, between)) = chain.split_first() else {
        return Err(Flaw::Incomplete);
    };
    CertifiedKey::from_der(chain.clone(), key, &ring::default_provider())
        .map_err(|error| broken(&error))?;
    let (_, parsed) = parse_x509_certificate(own).map_err(|error| broken(&error))?;
    let mut last = Flaw::Untrusted("there is no authority".to_owned());
    for authority in bundle::read(material.authority.as_bytes()) {
        match vouches(&authority, own, between, name, now) {
            Ok(()) => {
                return Ok(Pair {
                    certificate: material.certificate.clone(),
                    key: material.key.clone(),
                    until: parsed.validity().not_after.timestamp(),
                    is_renewable: is_key_of(&material.authority_key, &authority),
                    authority,
                });
            }
            Err(why) => last = Flaw::Untrusted(why),
        }
    }
    Err(last)
}

/// Whether trust in `authority` makes its holder trust the certificate.
fn vouches(
    authority: &Authority,
    own: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    name: &str,
    now: Wall,
) -> Result<(), String> {
    let der = CertificateDer::from(authority.der.as_slice());
    let (_, parsed) = parse_x509_certificate(&der).map_err(|error| error.to_string())?;
    // Go, which the API server is written in, looks at this; webpki does not.
    let validity = parsed.validity();
    if now < validity.not_before.timestamp() || now > validity.not_after.timestamp() {
        return Err("the authority's time has passed, or has not come".to_owned());
    }
    let mut roots = RootCertStore::empty();
    roots.add(der.into_owned()).map_err(|error| error.to_string())?;
    let provider = Arc::new(ring::default_provider());
    let client = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let client = client.build().map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let now = Duration::from_secs(u64::try_from(now).unwrap_or_default());
    let now = UnixTime::since_unix_epoch(now);
    let verified = client.verify_server_cert(own, between, &name, &[], now);
    verified.map(drop).map_err(|error| error.to_string())
}

fn is_key_of(key: &str, authority: &Authority) -> bool {
    let Ok(key) = KeyPair::from_pem(key) else {
        return false; // MetalLB's may be of a form that cannot be signed with here.
    };
    parse_x509_certificate(&authority.der)
        .is_ok_and(|(_, parsed)| parsed.public_key().raw == key.subject_public_key_info())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::certs::make::{self, AUTHORITY_LIFE, LIFE};
    use crate::webhook::certs::names;

    const NOW: Wall = 1_800_000_000;
    const NAME: &str = "metallb-webhook-service.metallb-system.svc";

    fn made(at: Wall) -> Material {
        make::anew(&names("metallb-webhook-service", "metallb-system"), at).unwrap()
    }

    #[test]
    fn what_is_made_is_trusted_under_its_names_from_its_first_to_its_last_second() {
        let material = made(NOW);
        let pair = judge(&material, NAME, NOW).unwrap();
        assert!(pair.is_renewable);
        assert_eq!((pair.until, pair.authority.until), (NOW + LIFE, NOW + AUTHORITY_LIFE));
        for name in names("metallb-webhook-service", "metallb-system") {
            assert!(judge(&material, &name, NOW).is_ok(), "{name}");
        }
        assert!(judge(&material, NAME, NOW + LIFE).is_ok());
        for (why, name, now) in [
            ("too late", NAME, NOW + LIFE + 1),
            ("too early", NAME, NOW - make::BACKDATED - 1),
            ("another Service", "other.metallb-system.svc", NOW),
        ] {
            assert!(matches!(judge(&material, name, now), Err(Flaw::Untrusted(_))), "{why}");
        }
    }

    #[test]
    fn a_renewed_certificate_is_vouched_for_by_the_same_authority() {
        let old = made(NOW);
        let later = NOW + LIFE - 5;
        let new = make::renewed(&old, &names("metallb-webhook-service", "metallb-system"), later);
        let new = new.unwrap();
        let (before, after) =
            (judge(&old, NAME, later).unwrap(), judge(&new, NAME, later).unwrap());
        assert_eq!(after.authority, before.authority);
        assert_eq!(after.until, later + LIFE);
        assert_ne!(after.certificate, before.certificate);
    }

    #[test]
    fn no_certificate_outlives_its_authority() {
        let old = made(NOW);
        let late = NOW + AUTHORITY_LIFE - 10;
        let new = make::renewed(&old, &names("metallb-webhook-service", "metallb-system"), late);
        let new = new.unwrap();
        assert_eq!(judge(&new, NAME, late).unwrap().until, NOW + AUTHORITY_LIFE);
        assert!(judge(&new, NAME, NOW + AUTHORITY_LIFE + 1).is_err());
    }

    #[test]
    fn parts_that_do_not_belong_together_are_found_out() {
        let (one, other) = (made(NOW), made(NOW));
        let foreign = Material { authority: other.authority.clone(), ..one.clone() };
        assert!(matches!(judge(&foreign, NAME, NOW), Err(Flaw::Untrusted(_))));
        let mixed = Material { key: other.key.clone(), ..one.clone() };
        assert!(matches!(judge(&mixed, NAME, NOW), Err(Flaw::Pair(_))));
        let empty = Material { certificate: "no PEM".to_owned(), ..one.clone() };
        assert_eq!(judge(&empty, NAME, NOW), Err(Flaw::Incomplete));
        let unkeyed = Material { authority_key: other.authority_key.clone(), ..one.clone() };
        assert!(!judge(&unkeyed, NAME, NOW).unwrap().is_renewable);
        let two = Material { authority: other.authority + &one.authority, ..one.clone() };
        let vouching = bundle::read(one.authority.as_bytes()).remove(0);
        assert_eq!(judge(&two, NAME, NOW).unwrap().authority, vouching);
    }

    /// Its data as MetalLB's rotator leaves it: RSA keys of PKCS #1, an authority called `cert` of
    /// `metallb`. Made with openssl from that description.
    #[test]
    fn a_secret_that_metallb_left_is_served_but_its_authority_cannot_sign_here() {
        let read = |name: &str| match name {
            "ca.crt" => Some(&include_bytes!("judge/metallb/ca.crt")[..]),
            "ca.key" => Some(&include_bytes!("judge/metallb/ca.key")[..]),
            "tls.crt" => Some(&include_bytes!("judge/metallb/tls.crt")[..]),
            "tls.key" => Some(&include_bytes!("judge/metallb/tls.key")[..]),
            _ => None,
        };
        let pair = judge(&Material::read(read).unwrap(), NAME, NOW).unwrap();
        assert!(!pair.is_renewable);
    }
}
