//! A certificate that can be replaced while it is in use.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificate that handshakes use from now on. Until the first [`replace`](Self::replace) there
/// is none, and all handshakes fail.
#[derive(Debug, Default)]
pub struct Certificate(ArcSwapOption<CertifiedKey>);

/// Why a pair of certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The text of the certificates is not PEM.
    #[error("certificate: {0}")]
    Certificate(#[source] pem::Error),
    /// There is no certificate in the text.
    #[error("certificate: the file holds none")]
    NoCertificate,
    /// There is no key in the text, or it is not PEM.
    #[error("key: {0}")]
    Key(#[source] pem::Error),
    /// The key is of no known kind, or not the certificate's.
    #[error("certificate and key: {0}")]
    Pair(#[source] rustls::Error),
}

impl Certificate {
    /// Uses this chain (the server's own certificate first) and its key from the next handshake on.
    /// On an error the former pair stays in use.
    ///
    /// # Errors
    /// [`CertificateError`] when the texts are not PEM, or do not belong together.
    pub fn replace(&self, cert_pem: &[u8], key_pem: &[u8]) -> Result<(), CertificateError> {
        let chain = CertificateDer::pem_slice_iter(cert_pem).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(CertificateError::Certificate)?;
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(CertificateError::Key)?;
        let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
        self.0.store(Some(Arc::new(pair.map_err(CertificateError::Pair)?)));
        Ok(())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// A new key, and a certificate for `names` that it signed itself: both as PEM, the certificate
/// first.
///
/// # Errors
/// `rcgen`'s, for a name that no certificate can hold.
pub fn self_signed(names: &[&str]) -> Result<(String, String), rcgen::Error> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(names)?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_does_not_fit_is_refused_and_the_former_stays() {
        let certificate = Certificate::default();
        let (cert, key) = self_signed(&["localhost"]).unwrap();
        let (other_cert, _) = self_signed(&["localhost"]).unwrap();
        certificate.replace(cert.as_bytes(), key.as_bytes()).unwrap();
        let before = certificate.0.load_full().unwrap();
        let replaced = |cert: &str, key: &str| certificate.replace(cert.as_bytes(), key.as_bytes());
        assert!(matches!(replaced(&other_cert, &key), Err(CertificateError::Pair(_))));
        assert!(matches!(replaced("", &key), Err(CertificateError::NoCertificate)));
        assert!(matches!(replaced(&key, &key), Err(CertificateError::NoCertificate)));
        assert!(matches!(replaced(&cert, ""), Err(CertificateError::Key(_))));
        let broken = cert.replace("END", "FIN");
        assert!(matches!(replaced(&broken, &key), Err(CertificateError::Certificate(_))));
        assert!(Arc::ptr_eq(&before, &certificate.0.load_full().unwrap()));
    }
}
